"""WindowData: shapes and refusals."""

from __future__ import annotations

from tests.layers.cases import IMAGES, Case
from tests.layers.source_case import declared, refused
from tests.nets import net_reading

CASES = [
    Case("WindowData", net=net_reading("WindowData", f"window_data_param {{ batch_size: 2 }} {IMAGES}")),
]

HEAD = 'type: "WindowData" top: "data" top: "label" '


def test_shapes() -> None:
    text = HEAD + "transform_param { crop_size: 7 } window_data_param { batch_size: 5 crop_size: 9 }"
    assert declared(text) == [(5, 3, 7, 7), (5,)]


def test_refusals() -> None:
    refused(HEAD + "window_data_param { batch_size: 5 crop_size: 9 }", "crop_size is missing or 0 in transform_param")
    refused(HEAD + "transform_param { crop_size: 7 }", "batch_size")
