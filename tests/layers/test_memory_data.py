"""MemoryData: shapes and refusals."""

from __future__ import annotations

import pytest

from keras_caffe.converters.load import load
from keras_caffe.errors import NetError
from tests.layers.cases import Case
from tests.layers.source_case import declared, refused
from tests.nets import net_reading

CASES = [
    Case(
        "MemoryData",
        net=net_reading("MemoryData", "memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 }"),
    ),
]

HEAD = 'type: "MemoryData" top: "data" top: "label" '


def test_shapes() -> None:
    text = HEAD + "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }"
    assert declared(text) == [(2, 3, 4, 5), (2,)]


@pytest.mark.parametrize("missing", ["batch_size", "channels", "height", "width"])
def test_every_size_is_needed(missing: str) -> None:
    sizes = " ".join(f"{name}: 2" for name in ("batch_size", "channels", "height", "width") if name != missing)
    refused(HEAD + f"memory_data_param {{ {sizes} }}", missing)


def test_two_tops_are_needed() -> None:
    sizes = "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }"
    with pytest.raises(NetError, match="number of tops"):
        load(f'layer {{ name: "d" type: "MemoryData" top: "d" {sizes} }}')
