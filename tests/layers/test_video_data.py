"""VideoData: shapes."""

from __future__ import annotations

import pytest

import keras_caffe
from keras_caffe.errors import LayerError
from tests.layers.cases import IMAGES, Case
from tests.layers.source_case import declared
from tests.nets import net_reading

CASES = [
    Case(
        "VideoData",
        net=net_reading("VideoData", f"data_param {{ batch_size: 2 }} {IMAGES}"),
        input_shapes={"x": (2, 3, 5, 5)},
    ),
]


def test_shapes() -> None:
    text = 'type: "VideoData" top: "data" data_param { batch_size: 2 } '
    assert declared(text + "transform_param { resize_param { height: 3 width: 4 } }") == [(2, 3, 3, 4)]
    assert declared('type: "VideoData" top: "data" top: "label" data_param { batch_size: 2 }') == [None, (2,)]


FLOW = "source: 'list.txt' batch_size: 4 new_length: 5 num_segments: 3 shuffle: true name_pattern: 'flow_%c_%05d.jpg'"


def test_shapes_of_segments() -> None:
    """Temporal segment networks stack the frames of a video's segments as channels."""
    text = 'type: "VideoData" top: "data" top: "label" transform_param { %s } video_data_param { %s }'
    assert declared(text % ("crop_size: 8", FLOW)) == [(4, 2 * 5 * 3, 8, 8), (4, 1, 1, 1)]
    assert declared(text % ("crop_size: 8", "modality: RGB batch_size: 1 num_segments: 7")) == [
        (1, 3 * 7, 8, 8),
        (1, 1, 1, 1),
    ]
    sized = f"{FLOW} new_height: 6 new_width: 9 modality: FLOW"
    assert declared(text % ("fix_crop: true is_flow: true", sized)) == [(4, 30, 6, 9), (4, 1, 1, 1)]
    assert declared(text % ("", FLOW)) == [None, (4, 1, 1, 1)]
    with pytest.raises(LayerError, match="batch_size is missing or 0 in video_data_param"):
        declared(text % ("", "batch_size: 0"))


def test_segments_tell_the_fork() -> None:
    net = 'layer { name: "v" type: "VideoData" top: "x" transform_param { crop_size: 4 } video_data_param { %s } }'
    model = keras_caffe.load(net % FLOW + 'layer { name: "y" type: "AbsVal" bottom: "x" top: "y" }')
    assert model.net.fork.name == "tsn"
    assert model.output_shape == (None, 4, 4, 30)
