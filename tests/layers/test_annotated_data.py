"""AnnotatedData: shapes, the open number of boxes, refusals."""

from __future__ import annotations

import keras_caffe
from keras_caffe.layers import AnnotatedData
from tests.layers.cases import IMAGES, Case
from tests.layers.source_case import declared, message, refused
from tests.nets import net_reading

CASES = [
    Case("AnnotatedData", net=net_reading("AnnotatedData", f"data_param {{ batch_size: 2 }} {IMAGES}")),
]

TEXT = """type: "AnnotatedData" top: "data" top: "label" data_param { batch_size: 6 }
    transform_param { mean_value: 104 mean_value: 117 mean_value: 123 resize_param { height: 30 width: 40 } }"""


def test_shapes() -> None:
    assert declared(TEXT) == [(6, 3, 30, 40), (1, 1, 6, 8)]


def test_the_number_of_boxes_is_open() -> None:
    assert AnnotatedData.open_axes(message(TEXT)) == [(0,), (2,)]
    model = keras_caffe.load(f'layer {{ name: "d" {TEXT} }}', data_format="channels_first")
    assert [tuple(blob.shape) for blob in model.blobs.values()] == [(None, 3, 30, 40), (1, 1, None, 8)]


def test_refusals() -> None:
    refused('type: "AnnotatedData" top: "data"', "batch_size")
