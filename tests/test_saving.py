"""Every layer type goes through a `.keras` file into a fresh process, its blobs through get and set, bit for bit."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe import proto
from keras_caffe.converters.share import shared_params
from keras_caffe.data import Transform
from tests import zoo
from tests.layers.cases import declared
from tests.shared_goldens import ROOT

FRESH = """
import pickle, sys
from pathlib import Path
import keras, keras_caffe
import numpy as np

kept = pickle.loads(Path("inputs.pickle").read_bytes())
found = {}
for kind, inputs in kept.items():
    model = keras.models.load_model(f"{kind}.keras")
    params = model.get_caffe_params()  # before the pass, which some layers count
    outputs = keras.tree.flatten(model(inputs, training=False))
    found[kind] = [np.asarray(x) for x in outputs], params, list(model.caffe_layers)
Path("found.pickle").write_bytes(pickle.dumps(found))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: Any) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return zoo.models(folder)


@pytest.fixture(scope="module")
def reloaded(models: dict[str, Any], tmp_path_factory: Any) -> dict[str, Any]:
    """{kind: (outputs, blobs, layer names)} of each model, loaded in a fresh process far from the files of the nets."""
    folder = tmp_path_factory.mktemp("saved")
    for kind, model in models.items():
        randomize(model)
        model.save(folder / f"{kind}.keras")
    (folder / "inputs.pickle").write_bytes(pickle.dumps({kind: zoo.inputs(model) for kind, model in models.items()}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", FRESH], cwd=folder, env=environment, check=True)
    return pickle.loads((folder / "found.pickle").read_bytes())


def randomize(model: Any) -> dict[str, list[np.ndarray]]:
    random = np.random.default_rng(2)
    params = model.get_caffe_params()
    values = {name: [random.random(a.shape, "float32") + 0.5 for a in arrays] for name, arrays in params.items()}
    model.set_caffe_params(values)
    return values


def test_every_layer_is_the_same_in_a_fresh_process(models: dict[str, Any], reloaded: dict[str, Any]) -> None:
    for kind, model in models.items():
        outputs, params, names = reloaded[kind]
        assert names == list(model.caffe_layers), kind
        for name, arrays in model.get_caffe_params().items():
            assert len(params[name]) == len(arrays)
            for got, want in zip(params[name], arrays, strict=True):
                np.testing.assert_array_equal(got, want, err_msg=f"{kind} {name}")
        wanted = keras.tree.flatten(model(zoo.inputs(model), training=False))
        for got, want in zip(outputs, wanted, strict=True):
            np.testing.assert_array_equal(got, want, err_msg=kind)


def test_blobs_come_back_bit_for_bit(models: dict[str, Any]) -> None:
    with_blobs = 0
    for model in models.values():
        values = randomize(model)
        if shared_params(model.net):
            continue  # One blob under two names holds what was set last.
        with_blobs += bool(values)
        for name, arrays in model.get_caffe_params().items():
            for got, want in zip(arrays, values[name], strict=True):
                np.testing.assert_array_equal(got, want)
    assert with_blobs > 15


INFOGAIN = """
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "loss" type: "InfogainLoss" bottom: "x" bottom: "t" top: "loss" infogain_loss_param { source: "H.bin" } }
"""


def test_a_saved_infogain_loss_needs_its_file_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    matrix = np.float32([[1, 0.5, 0], [0, 2, 0], [0.25, 0, 3]])
    Path("H.bin").write_bytes(proto.BlobProto(data=matrix.ravel()).SerializeToString())
    model = keras_caffe.load(INFOGAIN)
    fed = {"x": np.float32([[0, 1, 2], [3, 1, 0]]), "t": np.float32([0, 2])}
    model.save("model.keras")
    Path("H.bin").unlink()
    loaded = keras.models.load_model("model.keras")
    np.testing.assert_array_equal(loaded(fed), model(fed))
    loaded.save("again.keras")
    np.testing.assert_array_equal(keras.models.load_model("again.keras")(fed), model(fed))


def test_a_saved_data_layer_needs_its_source_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with h5py.File("a.h5", "w") as file:
        file["x"], file["y"] = np.zeros((4, 3)), np.zeros((4, 1))
    Path("list.txt").write_text("a.h5")
    text = declared()["HDF5Data"][0].net.replace("batch_size: 2", 'batch_size: 2 source: "list.txt"')
    model = keras_caffe.load(text)
    model.save("model.keras")
    Path("list.txt").unlink()
    assert keras.models.load_model("model.keras").caffe_shapes == model.caffe_shapes


SOLVER = """
base_lr: 0.01 lr_policy: "fixed" max_iter: 1
net_param {
  layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 2 dim: 3 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
}
"""
ONLY_IMPORTED = """
import keras, keras_caffe
print("at first", "keras_caffe.data.dataset" in __import__("sys").modules, sorted(keras.saving.get_custom_objects()))
for kind in ("TrainNet", "Transform"):
    model = keras.saving.load_model(f"{kind}.keras")
    print(kind, kind in {type(each).__name__ for each in (model, *model.layers)}, model.count_params())
"""


@pytest.fixture(scope="module")
def only_imported(tmp_path_factory: Any) -> str:
    """What a process prints that loads a model of each class that is imported late."""
    folder = tmp_path_factory.mktemp("late")
    (folder / "solver.prototxt").write_text(SOLVER)
    keras_caffe.load_solver(folder / "solver.prototxt").model.save(folder / "TrainNet.keras")
    keras.Sequential([keras.Input((8, 8, 3)), Transform(crop_size=4)]).save(folder / "Transform.keras")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", ONLY_IMPORTED]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_classes_that_are_imported_late_are_found_in_a_file(only_imported: str) -> None:
    assert "at first False" in only_imported
    assert "TrainNet True 12\n" in only_imported and "Transform True 0\n" in only_imported


def test_a_fresh_process_knows_every_class(only_imported: str) -> None:
    own = {name for name, cls in keras.saving.get_custom_objects().items() if cls.__module__.startswith("keras_caffe")}
    assert {name for name in own if repr(name) not in only_imported} == set()
