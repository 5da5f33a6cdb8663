"""HDF5Output layers of a solver's nets write their files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.data import write_hdf5
from keras_caffe.errors import CaffeWarning, DataError
from tests.solver import digits

SINKS = """
layer { name: "out" type: "HDF5Output" bottom: "pool" bottom: "label" include { phase: TRAIN }
  hdf5_output_param { file_name: "train.h5" } }
layer { name: "out" type: "HDF5Output" bottom: "ip" bottom: "label" include { phase: TEST }
  hdf5_output_param { file_name: "test.h5" } }
"""
NET = """
layer { name: "mnist" type: "Data" top: "data" top: "label"
  data_param { source: "records" batch_size: 4 backend: LMDB } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { kernel_size: 14 stride: 7 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "constant" value: 0.25 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SCORED = """
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }
layer { name: "out" type: "HDF5Output" bottom: "loss" bottom: "accuracy" hdf5_output_param { file_name: "out.h5" } }
"""


@pytest.fixture
def solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tests = "max_iter: 2 display: 0 test_iter: 3 test_interval: 2 test_initialization: false"
    return digits.write(tmp_path, tests, NET + SINKS)


def pooled(first: int) -> np.ndarray:
    """The pool blob of the batch that begins with a record."""
    model = keras_caffe.load(NET, input_shapes={"data": (4, 1, 28, 28), "label": (4,)}, phase="TEST")
    batch = list(keras_caffe.dataset(NET.replace("batch_size: 4", f"batch_size: {first + 4}"), "TEST").take(1))[0]
    return np.asarray(model.extract(["pool"])(batch["data"][first:])["pool"]).transpose(0, 3, 1, 2)


def test_files_hold_the_last_pass_in_caffe_s_order(solver: Path, recwarn: pytest.WarningsRecorder) -> None:
    trained = keras_caffe.load_solver(solver)
    trained.step(2)  # of two passes each
    assert not [warning for warning in recwarn if issubclass(warning.category, CaffeWarning)]
    with h5py.File("train.h5") as file:
        assert file["data"].shape == (4, 1, 3, 3) and file["label"].shape == (4, 1, 1, 1)
        np.testing.assert_array_equal(file["data"], pooled(12))
    assert not Path("test.h5").exists()
    scores = trained.test()
    assert set(scores[0]) == {"loss"}
    with h5py.File("test.h5") as file:
        weights, bias = trained.model.get_caffe_params()["ip"]
        np.testing.assert_allclose(file["data"][:, :, 0, 0], pooled(8).reshape(4, 9) @ weights.T + bias, rtol=1e-5)


def test_values_without_axes_are_one_row(solver: Path) -> None:
    Path("net.prototxt").write_text(NET + SCORED)
    trained = keras_caffe.load_solver(solver)
    for scores in (lambda: trained.step(1), trained.test):
        Path("out.h5").unlink(missing_ok=True)
        scores()
        with h5py.File("out.h5") as file:
            assert file["data"].shape == file["label"].shape == (1, 1, 1, 1)
            assert file["data"][()] > 0 and 0 <= file["label"][()] <= 1


def test_fit_writes_too_and_its_history_has_the_net_s_outputs_only(solver: Path) -> None:
    history = keras_caffe.load_solver(solver).fit(verbose=0)
    assert set(history.history) == {"loss", "val_loss"}
    assert Path("train.h5").exists() and Path("test.h5").exists()


def test_files_are_written_to_the_working_directory(solver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_hdf5("train.h5", np.ones(2), np.ones(2))
    before = Path("train.h5").read_bytes()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    keras_caffe.load_solver(solver).step(1)
    assert (solver.parent / "train.h5").read_bytes() == before
    with h5py.File("train.h5") as file:
        assert file["data"].shape == (4, 1, 3, 3)


def test_a_file_of_another_kind_is_kept(solver: Path) -> None:
    Path("train.h5").write_text("mine")
    with pytest.raises(DataError, match=r"does not replace a file of another kind"):
        keras_caffe.load_solver(solver).step(1)
    assert Path("train.h5").read_text() == "mine"


def test_replicas_write_nothing_and_say_so(solver: Path) -> None:
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope(), pytest.warns(CaffeWarning, match=r"does not write"):
        keras_caffe.load_solver(solver).step(1)
    assert not Path("train.h5").exists()
