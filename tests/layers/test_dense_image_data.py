"""DenseImageData: shapes and refusals; tests/data/test_label_maps.py reads with it."""

from __future__ import annotations

import pytest

from tests.layers.cases import Case
from tests.layers.source_case import declared, refused
from tests.nets import net_reading

CASES = [
    Case(
        "DenseImageData",
        net=net_reading("DenseImageData", "dense_image_data_param { batch_size: 2 crop_height: 5 crop_width: 5 }"),
        values="formula in tests/data/test_label_maps.py",
    ),
]

HEAD = 'type: "DenseImageData" top: "data" top: "label" '


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("dense_image_data_param { batch_size: 3 new_height: 5 new_width: 6 }", (3, 3, 5, 6)),
        ("dense_image_data_param { batch_size: 1 is_color: false crop_height: 5 crop_width: 6 }", (1, 1, 5, 6)),
        ("dense_image_data_param { batch_size: 1 }", None),
    ],
)
def test_shapes(text: str, shape: tuple[int, ...] | None) -> None:
    data, label = declared(HEAD + text)
    assert data == shape
    assert label == (shape and (shape[0], 1, *shape[2:]))


def test_refusals() -> None:
    refused(HEAD + "dense_image_data_param { batch_size: 0 }", "batch_size")
    refused(HEAD + "dense_image_data_param { batch_size: 1 crop_height: 3 }", "crop_height and crop_width must be set")
    refused(HEAD + "transform_param { crop_size: 3 } dense_image_data_param { batch_size: 1 }", "takes no crop_size")
