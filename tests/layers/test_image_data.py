"""ImageData: shapes and refusals."""

from __future__ import annotations

import pytest

from tests.layers.cases import IMAGES, Case
from tests.layers.source_case import declared, refused
from tests.nets import net_reading

CASES = [
    Case("ImageData", net=net_reading("ImageData", f"image_data_param {{ batch_size: 2 }} {IMAGES}")),
]

HEAD = 'type: "ImageData" top: "data" top: "label" '


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("", None),
        ("image_data_param { batch_size: 3 new_height: 5 new_width: 6 }", (3, 3, 5, 6)),
        ("image_data_param { new_height: 5 new_width: 6 is_color: false }", (1, 1, 5, 6)),
        ("image_data_param { new_height: 5 new_width: 6 } transform_param { crop_size: 4 }", (1, 3, 4, 4)),
        ("transform_param { crop_size: 4 }", (1, 3, 4, 4)),
    ],
)
def test_shapes(text: str, shape: tuple[int, ...] | None) -> None:
    data, label = declared(HEAD + text)
    assert data == shape
    assert len(label) == 1


def test_refusals() -> None:
    refused(HEAD + "image_data_param { new_height: 5 }", "new_height and new_width")
    refused(HEAD + "image_data_param { batch_size: 0 }", "batch_size")
    refused(HEAD + 'transform_param { mean_value: 1 mean_file: "m" }', "mean_file and mean_value")
