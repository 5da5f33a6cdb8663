"""Names that files give: where they start, and which are refused with `confine`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import keras_caffe
from keras_caffe import proto, pycaffe
from keras_caffe.cli import main
from keras_caffe.errors import DataError
from keras_caffe.places import Places
from tests.data.records import labels, write_lmdb

DATA = """layer {{ name: "d" type: "Data" top: "data" top: "label"
  data_param {{ source: "{}" batch_size: 2 backend: {} }} }}"""
LISTED = """layer {{ name: "d" type: "ImageData" top: "data" top: "label"
  image_data_param {{ source: "{}" batch_size: 1 root_folder: "{}" }} }}"""
NET = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'
LEAVES = "the name leaves the folder"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with a database, beside another; links lead out of it."""
    inside = tmp_path / "inside"
    inside.mkdir()
    write_lmdb(inside / "db", 3)
    write_lmdb(tmp_path / "outside", 3)
    (inside / "link").symlink_to(tmp_path / "outside")
    (inside / "hollow").mkdir()
    (inside / "hollow" / "data.mdb").symlink_to(tmp_path / "outside" / "data.mdb")
    (inside / "within").symlink_to(inside / "db")
    return inside


INSIDE = ["db", "./db", "hollow/../db", "within", "{base}/db"]
OUTSIDE = ["../outside", "{base}/../outside", "link", "hollow", "link/data.mdb", "{base}/link", "../inside2", "/etc"]


@pytest.mark.parametrize("name", INSIDE)
def test_names_that_stay_are_found(base: Path, name: str) -> None:
    data = keras_caffe.dataset(DATA.format(name.format(base=base), "LMDB"), base_dir=base, confine=True, epochs=1)
    assert labels(data) == [0, 1, 2]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_leave_are_refused(base: Path, name: str) -> None:
    (base.parent / "inside2").mkdir()
    net = DATA.format(name.format(base=base), "LMDB")
    with pytest.raises(DataError, match=LEAVES) as refused:
        keras_caffe.dataset(net, base_dir=base, confine=True)
    assert "Leave out confine if you trust the file that names it." in str(refused.value)


def test_without_confine_they_are_followed(base: Path) -> None:
    for name in ("../outside", "link", "hollow"):
        assert labels(keras_caffe.dataset(DATA.format(name, "LMDB"), base_dir=base, epochs=1)) == [0, 1, 2]


def test_a_base_dir_that_is_a_link_is_no_way_out(base: Path) -> None:
    (base.parent / "short").symlink_to(base)
    data = keras_caffe.dataset(DATA.format("db", "LMDB"), base_dir=base.parent / "short", confine=True, epochs=1)
    assert labels(data) == [0, 1, 2]


def test_confine_needs_a_folder(base: Path) -> None:
    with pytest.raises(DataError, match="no folder to confine names to. Pass base_dir="):
        keras_caffe.dataset(DATA.format("db", "LMDB"), confine=True)


def test_names_that_are_none_stay_inside(tmp_path: Path) -> None:
    places = Places(tmp_path, confine=True)
    assert places.find("a\0b") == tmp_path / "a\0b"  # nobody can open it
    with pytest.raises(DataError, match="the source is missing"):
        places.need("nothing", "source")


def test_images_of_a_list_and_mean_files(base: Path) -> None:
    (base / "list.txt").write_text("../outside/data.mdb 0\n")
    with pytest.raises(DataError, match=LEAVES):
        keras_caffe.dataset(LISTED.format("list.txt", ""), base_dir=base, confine=True)
    with pytest.raises(DataError, match=LEAVES):
        keras_caffe.dataset(LISTED.format("list.txt", f"{base}/"), base_dir=base, confine=True)
    mean = DATA.format("db", "LMDB").replace("data_param", 'transform_param { mean_file: "/etc/hostname" } data_param')
    with pytest.raises(DataError, match=LEAVES):
        keras_caffe.dataset(mean, base_dir=base, confine=True)


def test_hdf5_lists(base: Path) -> None:
    with h5py.File(base.parent / "rows.h5", "w") as file:
        file["x"] = np.zeros((2, 3), "f4")
    (base / "list.txt").write_text("../rows.h5\n")
    net = 'layer { name: "d" type: "HDF5Data" top: "x" hdf5_data_param { source: "list.txt" batch_size: 1 } }'
    with pytest.raises(DataError, match=LEAVES):
        keras_caffe.dataset(net, base_dir=base, confine=True)
    with pytest.raises(DataError, match=LEAVES):
        pycaffe.Net(net, 1, base_dir=str(base), confine=True)


def open_solver(base: Path, **fields: str) -> Any:
    (base / "net.prototxt").write_text(DATA.format(fields.pop("source", "db"), "LMDB") + NET + LOSS)
    named = {"net": "net.prototxt", **fields}
    text = " ".join(f'{name}: "{value}"' for name, value in named.items())
    solver = f"{text} base_lr: 0.01 lr_policy: 'fixed' max_iter: 1"
    return keras_caffe.load_solver(solver, base_dir=base, confine=True)


def test_a_solver_stays_in_its_folder(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = open_solver(base, snapshot_prefix="snap")
    assert len(solver.step(1)) == 1
    model, state = map(Path, solver.snapshot())
    assert {model.parent, state.parent} == {base}
    monkeypatch.chdir(base.parent)
    solver.restore(state)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("net", "../net.prototxt"),
        ("source", "../outside"),
        ("weights", "/etc/hostname"),
        ("snapshot_prefix", "../snap"),
        ("snapshot_prefix", "hollow/../link/snap"),
    ],
)
def test_what_a_solver_names_outside_is_refused(base: Path, field: str, name: str) -> None:
    (base.parent / "net.prototxt").write_text(NET)
    with pytest.raises(DataError, match=LEAVES):
        open_solver(base, **{field: name})


def test_the_parameters_that_a_state_names_are_refused_outside(base: Path) -> None:
    solver = open_solver(base)
    (base.parent / "x.caffemodel").write_bytes(b"")
    state = proto.SolverState(iter=1, learned_net="../x.caffemodel")
    state.history.extend(
        proto.BlobProto(shape={"dim": array.shape}, data=array.ravel()) for array in solver.history.get()
    )
    (base / "x.solverstate").write_bytes(state.SerializeToString())
    with pytest.raises(DataError, match=LEAVES):
        solver.restore(base / "x.solverstate")


@pytest.mark.parametrize("open_net", [keras_caffe.pycaffe.Net])
def test_a_pycaffe_net_stays_in_its_folder(base: Path, open_net: Callable[..., Any]) -> None:
    net = open_net(DATA.format("db", "LMDB") + NET, 1, base_dir=base, confine=True)
    assert net.forward()["ip"].shape == (2, 2)
    with pytest.raises(DataError, match=LEAVES):
        open_net(DATA.format("link", "LMDB") + NET, 1, base_dir=base, confine=True)
    matrix = (
        'layer { name: "i" type: "Input" top: "p" top: "l" input_param { shape { dim: 1 dim: 2 } shape { dim: 1 } } }'
    )
    loss = 'layer { name: "loss" type: "InfogainLoss" bottom: "p" bottom: "l" infogain_loss_param { source: "../m" } }'
    with pytest.raises(DataError, match=LEAVES):
        open_net(matrix + loss, 1, base_dir=base, confine=True)


def test_a_pycaffe_net_writes_in_its_folder(base: Path) -> None:
    inputs = 'layer { name: "i" type: "Input" top: "x" top: "y" input_param { shape { dim: 1 dim: 2 } } }'
    written = 'layer {{ name: "o" type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param {{ file_name: "{}" }} }}'
    pycaffe.Net(inputs + written.format("out.h5"), 1, base_dir=base, confine=True).forward()
    assert (base / "out.h5").exists()
    with pytest.raises(DataError, match=LEAVES):
        pycaffe.Net(inputs + written.format("../out.h5"), 1, base_dir=base, confine=True)
    assert not (base.parent / "out.h5").exists()


def test_the_command_line_says_its_own_flag(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = base / "train.prototxt"
    net.write_text(DATA.format("link", "LMDB") + NET)
    out = str(base / "out.npz")
    weights = str(base / "w.caffemodel")
    keras_caffe.save(
        keras_caffe.load(DATA.format("link", "LMDB") + NET, input_shapes={"data": (1, 3, 8, 9)}), None, weights
    )
    command = ["extract", str(net), weights, "--blob", "ip", "-o", out, "--root-dir", str(base)]
    assert main(command) == 0
    assert main([*command, "--confine"]) == 1
    said = capsys.readouterr().err
    assert LEAVES in said and "Leave out --confine if you trust the file that names it." in said
