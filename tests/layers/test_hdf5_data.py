"""HDF5Data: shapes from the first file where it is at hand, refusals."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_caffe.converters.load import load
from keras_caffe.errors import DataError, ShapeError
from tests.layers.cases import Case
from tests.layers.source_case import declared, refused
from tests.nets import net_reading

CASES = [
    Case(
        "HDF5Data",
        net=net_reading("HDF5Data", "hdf5_data_param { batch_size: 2 }"),
        input_shapes={"x": (2, 3), "y": (2, 1)},
    ),
]

HEAD = 'type: "HDF5Data" top: "data" top: "label" '


@pytest.fixture
def source(tmp_path: Path) -> str:
    with h5py.File(tmp_path / "first.h5", "w") as file:
        file["data"], file["label"] = np.zeros((7, 2, 3, 4)), np.zeros(7)
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'first.h5'}\nnot_here.h5\n")
    return str(tmp_path / "list.txt")


def test_shapes(source: str) -> None:
    assert declared(HEAD + f'hdf5_data_param {{ source: "{source}" batch_size: 5 }}') == [(5, 2, 3, 4), (5,)]


def test_without_the_files_the_shapes_are_open(tmp_path: Path) -> None:
    assert declared(HEAD + 'hdf5_data_param { source: "nope.txt" batch_size: 5 }') == [None, None]
    (tmp_path / "list.txt").write_text("nope.h5\n")
    assert declared(HEAD + f'hdf5_data_param {{ source: "{tmp_path}/list.txt" batch_size: 5 }}') == [None, None]
    with pytest.raises(ShapeError, match=r"input_shapes=.*nope\.txt"):
        load(f'layer {{ name: "d" {HEAD} hdf5_data_param {{ source: "nope.txt" batch_size: 5 }} }}')


def test_refusals(source: str, tmp_path: Path) -> None:
    refused(HEAD + "transform_param { scale: 2 }", "does not transform")
    other = f'type: "HDF5Data" top: "other" hdf5_data_param {{ source: "{source}" batch_size: 5 }}'
    refused(other, "no data set 'other'.*data, label", DataError)
    (tmp_path / "first.h5").write_bytes(b"not HDF5")
    refused(HEAD + f'hdf5_data_param {{ source: "{source}" batch_size: 5 }}', "the HDF5 file cannot be read", DataError)
