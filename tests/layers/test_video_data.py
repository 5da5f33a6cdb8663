"""VideoData: shapes."""

from __future__ import annotations

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
