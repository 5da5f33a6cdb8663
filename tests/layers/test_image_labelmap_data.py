"""ImageLabelmapData: shapes and refusals; tests/data/test_label_maps.py reads with it."""

from __future__ import annotations

import pytest

from tests.layers.cases import IMAGES, Case
from tests.layers.source_case import declared, refused
from tests.nets import net_reading

CASES = [
    Case(
        "ImageLabelmapData",
        net=net_reading("ImageLabelmapData", f"image_data_param {{ batch_size: 2 }} {IMAGES}"),
        values="formula in tests/data/test_label_maps.py",
    ),
]

HEAD = 'type: "ImageLabelmapData" top: "data" top: "label" '


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("transform_param { crop_size: 4 }", (1, 3, 4, 4)),
        ("image_data_param { batch_size: 2 is_color: false new_height: 5 new_width: 6 }", (2, 1, 5, 6)),
        ("", None),
    ],
)
def test_shapes(text: str, shape: tuple[int, ...] | None) -> None:
    data, label = declared(HEAD + text)
    assert data == shape
    assert label == (shape and (shape[0], 1, *shape[2:]))


def test_refusals() -> None:
    refused(HEAD + "image_data_param { batch_size: 0 }", "batch_size")
    refused(HEAD + "image_data_param { new_height: 3 }", "new_height and new_width must be set together")
