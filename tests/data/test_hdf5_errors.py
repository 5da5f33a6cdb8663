"""HDF5Data and files that are broken, contradict each other, or change while they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_caffe.data import dataset
from keras_caffe.errors import CaffeError, DataError


def test_hdf5_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    net = 'layer { name: "h" type: "HDF5Data" top: "x" top: "y" hdf5_data_param { source: "list.txt" batch_size: 2 } }'

    def write(**sets: Any) -> None:
        with h5py.File(tmp_path / "b.h5", "w") as file:
            for name, value in sets.items():
                file[name] = value

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = np.zeros((3, 2)), np.zeros(3)
    (tmp_path / "list.txt").write_text("a.h5\nb.h5\n")
    with pytest.raises(DataError, match="'b.h5'"):
        dataset(net, base_dir=tmp_path)
    for sets, problem in (
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, "differ in their number of rows"),
        ({"x": np.zeros((3, 5)), "y": np.zeros(3)}, "another shape"),
        ({"x": np.zeros((3, 2)), "y": np.array([b"a"] * 3)}, "no numbers"),
    ):
        write(**sets)
        with pytest.raises(DataError, match=problem):
            dataset(net, base_dir=tmp_path)
    (tmp_path / "b.h5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="cannot be read"):
        dataset(net, base_dir=tmp_path)


def test_an_hdf5_file_that_is_replaced_is_checked_again(tmp_path: Path) -> None:
    """What was never written takes no room in the file, and 48 GB of memory where it is read."""
    net = 'layer { name: "h" type: "HDF5Data" top: "x" hdf5_data_param { source: "list.txt" batch_size: 2 } }'
    (tmp_path / "list.txt").write_text("a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.ones((5, 3), "float32")
    opened = dataset(net, base_dir=tmp_path, epochs=1)
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file.create_dataset("x", (1 << 32, 3), "float32", chunks=(2, 3))
    (tmp_path / "new.h5").rename(tmp_path / "a.h5")
    with pytest.raises(DataError, match=r"a\.h5.*does not match the shape"):
        list(opened)
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file["x"] = np.ones((6, 3), "float32")
    (tmp_path / "new.h5").rename(tmp_path / "a.h5")
    with pytest.raises(DataError, match=r"has changed since it was opened; expected 5 rows .* received 6 rows"):
        list(opened)


def test_damaged_hdf5_files_are_refused_or_read(tmp_path: Path) -> None:
    net = 'layer { name: "h" type: "HDF5Data" top: "x" hdf5_data_param { source: "list.txt" batch_size: 2 } }'
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.ones((5, 3), "float32"), chunks=(2, 3), compression="gzip")
    (tmp_path / "list.txt").write_text("a.h5")
    whole, chosen, refused = (tmp_path / "a.h5").read_bytes(), np.random.default_rng(0), 0
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))
    for _ in range(60):
        data = bytearray(whole)
        for place in chosen.choice(used, 4):
            data[place] = chosen.integers(256)
        (tmp_path / "a.h5").write_bytes(data)
        try:
            list(dataset(net, epochs=1, base_dir=tmp_path))
        except CaffeError:
            refused += 1
    assert refused >= 20
