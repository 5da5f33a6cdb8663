"""HDF5 files that lead elsewhere, or state more than they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe.converters.keras_file import read_keras
from keras_caffe.converters.read_hdf5 import read_hdf5_weights
from keras_caffe.data import dataset
from keras_caffe.errors import CaffeError, ReadError
from keras_caffe.hdf5_file import find, opened

NET = 'layer { name: "h" type: "HDF5Data" top: "x" hdf5_data_param { source: "list.txt" batch_size: 2 } }'
ROWS = np.arange(6, dtype="f4").reshape(3, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a list of one file, a.h5, which a test writes, beside a file that it may lead to."""
    (tmp_path / "list.txt").write_text("a.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = ROWS
    return tmp_path


def written(folder: Path, write: Callable[[Any], None]) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        write(file)
    return folder / "a.h5"


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 2))
    file.create_virtual_dataset("x", layout)


def circle(file: Any) -> None:
    file["x"], file["y"] = h5py.SoftLink("/y"), h5py.SoftLink("/x")


def through_a_group(file: Any) -> None:
    file["there"], file["x"] = h5py.ExternalLink("other.h5", "/"), h5py.SoftLink("/there/x")


ELSEWHERE: dict[str, Callable[[Any], Any]] = {
    "external link": lambda file: file.__setitem__("x", h5py.ExternalLink("other.h5", "/x")),
    "through a group": through_a_group,
    "external storage": lambda file: file.create_dataset("x", (3, 2), "f4", external=[("raw.bin", 0, 24)]),
    "virtual": virtual,
    "circle": circle,
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_rows_of_other_files_are_refused(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "raw.bin").write_bytes(ROWS.tobytes())
    written(folder, ELSEWHERE[kind])
    with pytest.raises(ReadError, match="neither a group nor a dataset of this file"):
        dataset(NET)
    with pytest.raises(ReadError, match="neither a group nor a dataset of this file"):
        keras_caffe.load(NET + 'layer { name: "r" type: "ReLU" bottom: "x" top: "y" }', phase="TRAIN")


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_weights_of_other_files_are_refused(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    path = written(folder, lambda file: ELSEWHERE[kind](file.create_group("data/ip")))
    with pytest.raises(CaffeError, match="neither a group nor a dataset of this file"):
        read_hdf5_weights(path)


def test_links_inside_the_file_are_followed_as_caffe_does(folder: Path) -> None:
    def write(file: Any) -> None:
        file["deep/rows"] = ROWS
        file["deep/short"], file["x"] = h5py.SoftLink("rows"), h5py.SoftLink("/deep/./short")

    path = written(folder, write)
    (batch,) = dataset(NET, base_dir=folder).take(1)
    np.testing.assert_array_equal(batch["x"], ROWS[:2])
    with opened(path) as file:
        assert find(file, "deep/none", path) is None and find(file, "x/rows", path) is None


def unwritten(file: Any) -> None:
    file.create_dataset("x", (10**9, 1000), "f4", chunks=(1000, 1000), compression="gzip")


def wide_chunk(file: Any) -> None:
    file.create_dataset("x", (3, 2), "f4", chunks=(10**6, 1000), maxshape=(None, None))


def packed_twice(file: Any) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((3, 2))
    plist.set_deflate(9)
    plist.set_deflate(9)
    space = h5py.h5s.create_simple((3, 2))
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, dcpl=plist).write(h5py.h5s.ALL, h5py.h5s.ALL, ROWS)


def sparse(file: Any) -> None:
    file.create_dataset("x", (10**9, 1000), "f4", chunks=(100, 1000), compression="gzip")[0] = 1


@pytest.mark.parametrize("write", [unwritten, wide_chunk, packed_twice, sparse])
def test_bombs_are_refused_before_they_are_unpacked(folder: Path, write: Callable[[Any], None]) -> None:
    written(folder, write)
    with pytest.raises(CaffeError, match="does not match the shape|more than the file can hold"):
        dataset(NET, base_dir=folder)


def test_what_was_never_written_is_zeros(folder: Path) -> None:
    written(folder, lambda file: file.create_dataset("x", (3, 2), "f4"))
    (batch,) = dataset(NET, base_dir=folder).take(1)
    np.testing.assert_array_equal(batch["x"], np.zeros((2, 2)))


def test_tightly_packed_rows_are_no_bomb(folder: Path) -> None:
    written(folder, lambda file: file.create_dataset("x", data=np.zeros((1000, 5000), "f4"), compression="gzip"))
    (batch,) = dataset(NET, base_dir=folder).take(1)
    assert batch["x"].shape == (2, 5000)


def test_a_keras_file_whose_weights_lie_elsewhere_is_refused(tmp_path: Path) -> None:
    import zipfile

    model = keras_caffe.load(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2 } }'
    )
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "w.h5").write_bytes(members["model.weights.h5"])
    with h5py.File(tmp_path / "w.h5", "a") as file:
        paths: list[str] = []
        file.visititems(lambda name, item: paths.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in paths:
            del file[name]
            file[name] = h5py.ExternalLink("elsewhere.h5", "/x")
    members["model.weights.h5"] = (tmp_path / "w.h5").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert paths
    keras.backend.clear_session()
    with pytest.raises(ReadError, match="not a Keras model"):
        read_keras(tmp_path / "m.keras")
