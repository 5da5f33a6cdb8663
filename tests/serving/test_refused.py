"""What cannot be exported: clear errors, and no half version left."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.errors import CaffeError, ExportError, NetError
from keras_caffe.serving import stock

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 4, 4] } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE global_pooling: true } }
"""
PYTHON = 'layer { name: "p%d" type: "Python" bottom: "pool" top: "p%d" python_param { module: "m" layer: "Twice" } }\n'
LEARNED = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 9999 } }'


class Twice:
    """As pycaffe wants it."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data


class InNumpy(keras_caffe.layers.AbsVal):
    def call(self, inputs):
        return tf.ensure_shape(tf.numpy_function(np.abs, [inputs], tf.float32), inputs.shape)


class Compiled(keras_caffe.layers.AbsVal):
    def call(self, inputs):
        return tf.function(tf.abs, jit_compile=True)(inputs)


def refused(model: Any, folder: Path, error: type[Exception] = ExportError, **options: Any) -> str:
    """The message; the folder must not be there, or be as it was."""
    before = sorted(folder.rglob("*")) if folder.exists() else None
    with pytest.raises(error) as found:
        keras_caffe.export(model, folder, **options)
    assert (sorted(folder.rglob("*")) if folder.exists() else None) == before
    return str(found.value)


@pytest.fixture(scope="module")
def model() -> keras_caffe.CaffeModel:
    return keras_caffe.load(NET)


def test_over_a_file(model: Any, tmp_path: Path) -> None:
    (tmp_path / "net").write_text("mine")
    for folder in (tmp_path / "net", tmp_path / "net" / "below"):
        assert "there is a file where the folder of versions should be" in refused(model, folder)
    assert (tmp_path / "net").read_text() == "mine"


def test_where_nobody_may_write(model: Any) -> None:
    assert "the export cannot be written" in refused(model, Path("/proc/net_of_caffe"))


@pytest.mark.parametrize("blocks", [0, 40_000])
def test_onto_a_full_disk(blocks: int, tmp_path: Path) -> None:
    """Files may not grow beyond some bytes: TensorFlow's writing of the graph or of the weights fails half-way."""
    large = keras_caffe.load(NET + LEARNED)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (blocks, old[1]))
    try:
        message = refused(large, tmp_path / "net")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "the export cannot be written" in message and "net" in message


def test_a_version_that_is_there(model: Any, tmp_path: Path) -> None:
    keras_caffe.export(model, tmp_path, 3)
    assert "this version exists already" in refused(model, tmp_path, version=3)


@pytest.mark.parametrize("version", [0, -1, 1.5, "1", True])
def test_a_version_that_is_no_number(model: Any, version: Any, tmp_path: Path) -> None:
    assert "no such version" in refused(model, tmp_path / "net", version=version)


def test_what_fails_leaves_the_folder_as_it_was(model: Any, tmp_path: Path, monkeypatch: Any) -> None:
    keras_caffe.export(model, tmp_path)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("half-way")

    monkeypatch.setattr("keras_caffe.serving.card.write", fail)
    refused(model, tmp_path, RuntimeError)


def test_two_exports_at_once_take_two_numbers(model: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Another process takes the next number while ours is written."""
    from keras_caffe.serving import versions

    taken = tmp_path / "1" / "saved_model.pb"
    real = versions.next_version

    def next_version(folder: Path) -> int:
        number = real(folder)
        if not taken.exists():
            taken.parent.mkdir()
            taken.touch()
        return number

    monkeypatch.setattr(versions, "next_version", next_version)
    assert keras_caffe.export(model, tmp_path) == tmp_path / "2"


def test_python_layers_are_all_named(tmp_path: Path) -> None:
    model = keras_caffe.load(NET + PYTHON % (1, 1) + PYTHON % (2, 2), python_layers={"m.Twice": Twice})
    message = refused(model, tmp_path / "net")
    assert "'p1' (Python)" in message and "'p2' (Python)" in message
    assert keras_caffe.export(model, tmp_path, outputs="pool")  # what does not need them can be exported


@pytest.mark.parametrize(("cls", "problem"), [(InNumpy, "runs Python code"), (Compiled, "compiled with XLA")])
def test_layers_without_a_stock_path(cls: type, problem: str, tmp_path: Path) -> None:
    text = NET + 'layer { name: "mine" type: "Mine" bottom: "pool" top: "y" }'
    model = keras_caffe.load(text, custom_layers={"Mine": cls})
    message = refused(model, tmp_path / "net")
    assert problem in message and "mine" in message or cls is Compiled


def test_operations_of_other_libraries_are_named() -> None:
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="a", op="Zork")
    function = graph.library.function.add()
    function.signature.name = "f"
    function.node_def.add(name="b", op="EagerPyFunc")
    traced = type("Traced", (), {"graph": type("Graph", (), {"as_graph_def": lambda self: graph})()})()
    with pytest.raises(ExportError) as error:
        stock.check_functions([traced])
    assert "2 operations" in str(error.value)
    assert "a (Zork, not one of TensorFlow's own)" in str(error.value)
    assert "b (EagerPyFunc, runs Python code)" in str(error.value)


@pytest.mark.parametrize("count", [2, 4])
def test_labels_of_the_wrong_count(model: Any, count: int, tmp_path: Path) -> None:
    message = refused(model, tmp_path / "net", labels=["name"] * count)
    assert "wrong number of labels" in message and "expected 3" in message and f"received {count}" in message
    (tmp_path / "names.txt").write_text("name\n" * count)
    assert "names.txt" in refused(model, tmp_path / "net", labels=tmp_path / "names.txt")


def test_labels_that_cannot_be_read(model: Any, tmp_path: Path) -> None:
    assert "nowhere.txt" in refused(model, tmp_path / "net", labels="nowhere.txt")
    assert "line break" in refused(model, tmp_path / "net", labels=["a", "b\n", "c"])


def test_labels_need_one_output(model: Any, tmp_path: Path) -> None:
    assert "one output" in refused(model, tmp_path / "net", labels=["a"] * 3, outputs=["pool", "data"])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"outputs": "nope"}, NetError),
        ({"signatures": ["nope"]}, NetError),
        ({"signatures": {"x": ["pool", "nope"]}}, NetError),
        ({"inputs": "jpeg"}, ExportError),
        ({"warm_up": {"nope": {}}}, ExportError),
        ({"labels": ["a", "b", "c"], "top": 0}, ExportError),
    ],
)
def test_options_that_mean_nothing(
    model: Any, options: dict[str, Any], error: type[CaffeError], tmp_path: Path
) -> None:
    refused(model, tmp_path / "net", error, **options)


def test_other_models(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((2,)), keras.layers.LayerNormalization()])
    with pytest.raises(NetError, match="'layer_normalization.*' \\(LayerNormalization\\): Caffe has no such layer"):
        keras_caffe.export(other, tmp_path / "net")


def test_the_words_of_tensorflow_lite_are_a_readers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The converter shows its inner language; what is left of it are operations and layers."""
    judged = """
layer { name: "x" type: "Input" top: "x" top: "label"
  input_param { shape { dim: [1, 6, 2, 2] } shape { dim: [1, 1, 2, 5] } } }
layer { name: "loss" type: "RegionLoss" bottom: "x" bottom: "label" top: "loss"
  region_loss_param { side: 2 num_class: 1 num: 1 coords: 4 biases: 1 biases: 1 softmax: 1 } }
"""
    with pytest.raises(ExportError, match="refuses the net; received no counterpart of [A-Z]") as raised:
        keras_caffe.serving.to_tflite(keras_caffe.load(judged), tmp_path / "net.tflite", outputs="loss")
    assert "tensor<" not in str(raised.value)
    assert "loc(" not in str(raised.value) + capfd.readouterr().err
