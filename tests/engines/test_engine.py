"""`keras_caffe.engine`: the model's numbers in each engine, the choice of the fastest, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.engines import memory
from keras_caffe.engines.how import How
from keras_caffe.engines.loaded import LoadedNet
from keras_caffe.errors import ExportError, NetError, ReadError, ShapeError, UnknownNameError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.runtimes.onnxruntime import OnnxRuntime, providers
from keras_caffe.runtimes.openvino import OpenVino

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("openvino", reason="the extra openvino is not installed")
NAMES = ("openvino", "onnxruntime", "litert", "tensorflow")
DIGITS = np.random.default_rng(0).random((5, 28, 28, 1), "float32")
OWN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [2, 3, 9, 9] } } }
layer { name: "side" type: "Input" top: "side" input_param { shape { dim: [2, 4] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 6 kernel_size: 3
  weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "own" type: "Own" bottom: "conv" top: "own" }
layer { name: "ip" type: "InnerProduct" bottom: "own" top: "ip" inner_product_param { num_output: 4
  weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "side" top: "sum" }
"""
OPEN = """
layer { name: "data" type: "Input" top: "a/b" }
layer { name: "conv" type: "Convolution" bottom: "a/b" top: "conv" convolution_param { num_output: 6 kernel_size: 3
  weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
"""
BOXES = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 16, 16] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 6 kernel_size: 3
  stride: 4 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "loc" type: "Convolution" bottom: "conv" top: "loc" convolution_param { num_output: 4 kernel_size: 1
  weight_filler { type: "xavier" } } }
layer { name: "conf" type: "Convolution" bottom: "conv" top: "conf" convolution_param { num_output: 3 kernel_size: 1
  weight_filler { type: "xavier" } } }
layer { name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm" permute_param { order: [0, 2, 3, 1] } }
layer { name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm" permute_param { order: [0, 2, 3, 1] } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat" }
layer { name: "rows" type: "Reshape" bottom: "conf_perm" top: "rows" reshape_param { shape { dim: [0, -1, 3] } } }
layer { name: "softmax" type: "Softmax" bottom: "rows" top: "softmax" softmax_param { axis: 2 } }
layer { name: "flat" type: "Flatten" bottom: "softmax" top: "flat" }
layer { name: "prior" type: "PriorBox" bottom: "conv" bottom: "data" top: "prior" prior_box_param { min_size: 6
  variance: [0.1, 0.1, 0.2, 0.2] } }
layer { name: "detections" type: "DetectionOutput" bottom: "loc_flat" bottom: "flat" bottom: "prior" top: "detections"
  detection_output_param { num_classes: 3 keep_top_k: 9 nms_param { nms_threshold: 0.4 top_k: 12 } } }
"""
TWO = """
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: [2, 3, 4, 4] } } }
layer { name: "b" type: "Input" top: "b" input_param { shape { dim: [2, 3, 4, 4] } } }
layer { name: "minus" type: "Eltwise" bottom: "a" bottom: "b" top: "minus" eltwise_param { coeff: 1 coeff: -1 } }
layer { name: "times" type: "Eltwise" bottom: "a" bottom: "b" top: "times" eltwise_param { operation: PROD } }
"""

FIXED = """
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: [4, 3, 6, 6] } } }
layer { name: "c" type: "Convolution" bottom: "a" top: "c" convolution_param { num_output: 4 kernel_size: 3
  weight_filler { type: "xavier" } } }
layer { name: "r" type: "Scale" bottom: "c" top: "r" scale_param { axis: 0 num_axes: 1 } }
"""
ODD = """
layer { name: "self" type: "Input" top: "self" input_param { shape { dim: [1, 3, 6, 6] } } }
layer { name: "b" type: "Input" top: "b/x" input_param { shape { dim: [1, 3, 6, 6] } } }
layer { name: "like" type: "Input" top: "like" input_param { shape { dim: [1, 1, 2, 2] } } }
layer { name: "unread" type: "Input" top: "unread" input_param { shape { dim: [1, 3] } } }
layer { name: "c" type: "Convolution" bottom: "self" top: "c" convolution_param { num_output: 4 kernel_size: 3
  weight_filler { type: "xavier" } } }
layer { name: "d" type: "Convolution" bottom: "b/x" top: "d" convolution_param { num_output: 4 kernel_size: 3
  weight_filler { type: "xavier" } } }
layer { name: "minus" type: "Eltwise" bottom: "c" bottom: "d" top: "minus" eltwise_param { coeff: 1 coeff: -2 } }
layer { name: "e" type: "Crop" bottom: "minus" bottom: "like" top: "e" crop_param { axis: 2 offset: 1 } }
"""


class Own(CaffeLayer):
    """A layer that no engine but TensorFlow knows."""

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Any, **keras_args: Any) -> Own:
        return cls(**keras_args)

    def top_shapes(self, *bottoms: Any) -> Any:
        return list(bottoms)

    def call(self, x: Any) -> Any:
        return x * x + 0.5


@pytest.fixture(scope="module")
def lenet() -> Any:
    return keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))


def boxes() -> keras_caffe.CaffeModel:
    """A detector whose boxes are no near ties: engines may order these otherwise, and then stay out."""
    keras.utils.set_random_seed(0)
    return keras_caffe.load(BOXES)


def close(found: Any, wanted: Any) -> None:
    if isinstance(wanted, Mapping):
        assert list(found) == list(wanted)
        for name in wanted:
            close(found[name], wanted[name])
    else:
        assert found.dtype == np.asarray(wanted).dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_is_called_like_the_model(lenet: Any, name: str) -> None:
    engine = keras_caffe.engine(lenet, name)
    assert (engine.name, engine.precision, engine.report.engine) == (name, "float32", name)
    for given in (DIGITS, DIGITS[:1], {"data": DIGITS[:3]}, [DIGITS], DIGITS.astype("float64")):
        close(
            engine(given),
            lenet.predict_on_batch(given if isinstance(given, np.ndarray) else DIGITS[: len(engine(given))]),
        )
    assert engine.report.worst.blob == "prob" and engine.report.worst.relative < 1e-5
    assert engine.report.milliseconds[name] > 0 and name in str(engine.report)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_several_inputs_and_outputs(name: str, data_format: str) -> None:
    model = keras_caffe.load(TWO, data_format=data_format)
    shape = (3, 4, 4, 3) if data_format == "channels_last" else (3, 3, 4, 4)
    a, b = np.random.default_rng(0).random((2, *shape), "float32")
    engine = keras_caffe.engine(model, name)
    close(engine({"b": b, "a": a}), model.predict_on_batch({"a": a, "b": b}))
    close(engine([a, b]), model.predict_on_batch([a, b]))
    one = keras_caffe.engine(model, name, outputs="times")
    close(one({"a": a, "b": b}), model.extract("times").predict_on_batch({"a": a, "b": b}))
    with pytest.raises(NetError, match="'b'"):
        engine({"a": a})


@pytest.fixture(scope="module")
def odd() -> Any:
    """Inputs of odd names, one that gives a size alone, and one that nobody reads."""
    return keras_caffe.load(ODD, data_format="channels_first")


def odd_inputs(rows: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"self": (3, 6, 6), "b/x": (3, 6, 6), "like": (1, 2, 2), "unread": (3,)}
    return {name: random.standard_normal((rows, *shape)).astype("float32") for name, shape in shapes.items()}


@pytest.mark.parametrize("name", NAMES)
def test_inputs_go_by_the_models_names_and_fit_each_other(odd: Any, name: str) -> None:
    x = odd_inputs(2)
    engine = keras_caffe.engine(odd, name)
    wanted = odd.predict_on_batch(x)
    assert set(wanted) == {"e", "unread"}
    for given in (x, list(x.values())):
        found = engine(given)
        close({blob: found[blob] for blob in wanted}, wanted)
    with pytest.raises(NetError, match="a value for each input.*received 1"):
        engine([x["self"]])
    with pytest.raises(ShapeError, match="do not fit each other"):
        engine({**x, "b/x": x["b/x"][:1]})
    both = keras_caffe.engine(odd, name, outputs=["b/x", "e"])(x)
    close(both, {"b/x": x["b/x"], "e": wanted["e"]})


def test_files_for_inputs_that_are_outputs_or_unread(odd: Any, tmp_path: Path) -> None:
    file = keras_caffe.to_onnx(odd, tmp_path / "net.onnx", tolerance=1e-4)
    assert list(OnnxRuntime(file).outputs) == ["e"]
    file = keras_caffe.to_onnx(odd, tmp_path / "net.onnx", outputs=["b/x", "e"], tolerance=1e-4)
    assert len(OnnxRuntime(file).outputs) == 2


def test_a_blob_that_gives_an_input_its_name_in_keras_twice_is_refused() -> None:
    with pytest.raises(NetError, match="'a/b', 'a_b' have one name"):
        keras_caffe.load(TWO.replace('"a"', '"a/b"').replace('"b"', '"a_b"'))


@pytest.mark.parametrize("name", NAMES)
def test_arrays_are_taken_as_they_are_and_results_are_the_callers(lenet: Any, name: str) -> None:
    engine = keras_caffe.engine(lenet, name)
    fixed = DIGITS.copy()
    fixed.setflags(write=False)
    every_other = np.repeat(DIGITS, 2, axis=2)[:, :, ::2]
    wanted = lenet.predict_on_batch(DIGITS)
    close(engine(fixed), wanted)
    first = engine(every_other)
    kept = first.copy()
    engine(DIGITS[::-1])
    close(first, wanted)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", NAMES)
def test_open_sizes_stay_open(name: str) -> None:
    model = keras_caffe.load(OPEN, input_shapes={"a/b": (1, 3, None, None)})
    engine = keras_caffe.engine(model, name)
    for size in ((1, 8, 9, 3), (2, 12, 7, 3), (3, 5, 5, 3)):
        x = np.random.default_rng(0).random(size, "float32")
        close(engine({"a/b": x}), model.predict_on_batch(x))
    with pytest.raises(ShapeError, match="a.b"):
        engine(np.zeros((1, 8, 9, 4), "float32"))


def test_auto_takes_the_fastest_and_remembers_it(
    lenet: Any, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keras_caffe.engine(lenet)
    assert set(first.report.milliseconds) == set(NAMES) and not first.report.remembered
    assert first.name == min(first.report.milliseconds, key=first.report.milliseconds.get)
    (file,) = cache_folder.iterdir()
    told = json.loads(file.read_text())
    slowest = max(told["milliseconds"], key=told["milliseconds"].get)
    told["milliseconds"][slowest] = 1e-6
    file.write_text(json.dumps(told))
    again = keras_caffe.engine(lenet)
    assert again.name == slowest and again.report.remembered
    close(again(DIGITS), lenet.predict_on_batch(DIGITS))
    assert not keras_caffe.engine(lenet, cache=False).report.remembered
    monkeypatch.setattr(memory, "processor", lambda: "another")
    assert not keras_caffe.engine(lenet).report.remembered
    assert len(list(cache_folder.iterdir())) == 2
    file.write_text("no JSON")
    monkeypatch.undo()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"milliseconds": {"openvino": "fast"}}', '{"milliseconds": 1}'])
def test_a_damaged_file_of_choices_is_as_none(cache_folder: Path, content: str) -> None:
    now = memory.situation("net", How())
    memory.remember(now, {"openvino": 2.0, "litert": 1.0})
    assert list(memory.remembered(now)) == ["litert", "openvino"]
    (file,) = cache_folder.iterdir()
    file.write_text(content)
    assert memory.remembered(now) is None


def test_without_a_home_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(memory, "folder", homeless)
    now = memory.situation("net", How())
    memory.remember(now, {"openvino": 2.0})
    assert memory.remembered(now) is None


def test_another_net_or_value_is_another_choice(lenet: Any) -> None:
    changed = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
    changed.set_caffe_params({"conv1": [2 * array for array in changed.get_caffe_params()["conv1"]]})
    assert len({LoadedNet(net, outputs).digest() for net in (lenet, changed) for outputs in (None, ["ip1"])}) == 4


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_layer_that_an_engine_lacks_stays_in_keras_with_what_is_behind_it(name: str) -> None:
    model = keras_caffe.load(OWN, custom_layers={"Own": Own})
    x = {"data": np.random.default_rng(0).random((3, 9, 9, 3), "float32"), "side": np.ones((3, 4), "float32")}
    engine = keras_caffe.engine(model, name)
    close(engine(x), model.predict_on_batch(x))
    assert engine.report.kept == ("own", "ip", "sum")
    both = keras_caffe.engine(model, name, outputs=["conv", "sum"])
    close(both(x), model.extract(["conv", "sum"]).predict_on_batch(x))
    before = keras_caffe.engine(model, name, outputs=["conv"])
    close(before({"data": x["data"]}), model.extract(["conv"]).predict_on_batch(x["data"]))
    assert before.report.kept == ()


@pytest.mark.parametrize("name", NAMES)
def test_detections_are_the_models_and_stay_in_keras_where_an_engine_lacks_them(name: str) -> None:
    model = boxes()
    x = np.random.default_rng(0).random((3, 16, 16, 3), "float32")
    engine = keras_caffe.engine(model, name)
    close(engine(x), model.predict_on_batch(x))
    assert engine.report.kept == (("detections",) if name == "litert" else ())
    scores = keras_caffe.engine(model, name, outputs="conf")
    close(scores(x), model.extract("conf").predict_on_batch(x))
    assert scores.report.kept == ()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_detections_that_an_engine_computes_otherwise_stay_in_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = boxes()
    runtime = {"openvino": OpenVino, "onnxruntime": OnnxRuntime}[name]
    whole = runtime.call

    def other(self: Any, fed: Any) -> Any:
        return {n: x + 0.01 if n == "detections" else x for n, x in whole(self, fed).items()}

    monkeypatch.setattr(runtime, "call", other)
    x = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    engine = keras_caffe.engine(model, name)
    close(engine(x), model.predict_on_batch(x))
    assert engine.report.kept == ("detections",) and "in Keras, behind the engine: detections" in str(engine.report)


def test_a_net_that_begins_with_such_a_layer_goes_to_another_engine() -> None:
    net = OWN.replace('bottom: "data" top: "conv"', 'bottom: "first" top: "conv"')
    net = net.replace(
        'layer { name: "conv"', 'layer { name: "first" type: "Own" bottom: "data" top: "first" }\nlayer { name: "conv"'
    )
    model = keras_caffe.load(net, custom_layers={"Own": Own})
    with pytest.raises(ExportError, match="first"):
        keras_caffe.engine(model, "openvino")
    x = {"data": np.random.default_rng(0).random((3, 9, 9, 3), "float32"), "side": np.ones((3, 4), "float32")}
    engine = keras_caffe.engine(model)
    assert engine.name in ("tensorflow", "litert") and "first" in engine.report.refused["openvino"]
    close(engine(x), model.predict_on_batch(x))


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("openvino", "openvino", "openvino"), ("onnxruntime", "onnxruntime", "onnx")]
)
def test_an_engine_that_is_missing_is_named_with_the_cure(
    lenet: Any, name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ExportError, match=rf"pip install 'keras-caffe\[{extra}\]'"):
        keras_caffe.engine(lenet, name)
    engine = keras_caffe.engine(lenet, cache=False)
    assert engine.name != name and f"keras-caffe[{extra}]" in engine.report.refused[name]


def test_onnx_runtime_computes_on_a_gpu_where_its_package_can() -> None:
    with_cuda = SimpleNamespace(get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    without = SimpleNamespace(get_available_providers=lambda: ["AzureExecutionProvider", "CPUExecutionProvider"])
    # In float32 as Caffe's, not in the shorter numbers that a GPU takes by itself.
    assert providers(with_cuda) == [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    assert providers(without) == ["CPUExecutionProvider"]


def test_an_engine_that_is_too_old_is_named(lenet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openvino.__version__", "2023.1.0-12185")
    with pytest.raises(ExportError, match=r"too old.*2024\.4 or newer.*2023\.1\.0.*keras-caffe\[openvino\]"):
        keras_caffe.engine(lenet, "openvino")


def test_an_engine_with_other_numbers_is_refused_and_auto_goes_on(lenet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = OpenVino.call
    monkeypatch.setattr(OpenVino, "call", lambda self, fed: {n: x + 0.01 for n, x in whole(self, fed).items()})
    with pytest.raises(ExportError, match="'prob'.*at most 0.0001"):
        keras_caffe.engine(lenet, "openvino")
    engine = keras_caffe.engine(lenet, cache=False)
    assert engine.name != "openvino" and "'prob'" in engine.report.refused["openvino"]


def test_an_engine_that_cannot_compile_the_net_is_refused_in_its_words(
    lenet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, fed: Any) -> Any:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(OnnxRuntime, "call", fail)
    with pytest.raises(ExportError, match="no such kernel"):
        keras_caffe.engine(lenet, "onnxruntime")
    engine = keras_caffe.engine(lenet, cache=False)
    assert "no such kernel" in engine.report.refused["onnxruntime"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": "openvino "}, r"no engine 'openvino '.*openvino"),
        ({"precision": "float16"}, "float32 or bfloat16 or int8"),
        ({"precision": "int8"}, "calibration"),
        ({"precision": "int8", "calibration": []}, "needs calibration"),
        ({"precision": "int8", "calibration": 3}, "not calibration data"),
        ({"name": "litert", "precision": "int8", "calibration": {"x": DIGITS}}, "lack an input"),
        ({"name": "onnxruntime", "precision": "int8", "calibration": DIGITS[:0]}, "too few rows"),
        ({"name": "onnxruntime", "precision": "int8", "calibration": DIGITS[:, :9]}, "another shape"),
        ({"name": "onnxruntime", "precision": "int8", "calibration": {"data": "x"}}, "not arrays of numbers"),
        ({"threads": 0}, "1 or more"),
        ({"name": "onnxruntime", "precision": "bfloat16"}, "bfloat16"),
        ({"name": "tensorflow", "precision": "int8", "calibration": DIGITS}, "int8"),
    ],
)
def test_wrong_arguments(lenet: Any, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ExportError, match=says):
        keras_caffe.engine(lenet, **arguments)


def test_unknown_blobs_and_files(lenet: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="probe"):
        keras_caffe.engine(lenet, outputs=["probe"])
    for path in (tmp_path / "no.onnx", tmp_path / "no.keras", tmp_path):
        with pytest.raises(ReadError, match="there is no such file|there is no SavedModel in this folder"):
            keras_caffe.engine(path)


def test_exported_files(lenet: Any, tmp_path: Path) -> None:
    lenet.save(tmp_path / "net.keras")
    keras_caffe.export(lenet, tmp_path / "versions")
    keras_caffe.to_onnx(lenet, tmp_path / "net.onnx", data_format="channels_last", outputs=["ip1", "prob"])
    keras_caffe.serving.to_tflite(lenet, tmp_path / "net.tflite")
    wanted = lenet.predict_on_batch(DIGITS)
    close(keras_caffe.engine(tmp_path / "net.keras", "openvino")(DIGITS), wanted)
    for path, names in (("versions", ("tensorflow", "openvino")), ("versions/1", ("tensorflow", "openvino"))):
        for name in names:
            close(keras_caffe.engine(str(tmp_path / path), name)(DIGITS), wanted)
    for name in ("onnxruntime", "openvino"):
        close(keras_caffe.engine(tmp_path / "net.onnx", name, outputs=["prob"])(DIGITS), {"prob": wanted})
    close(keras_caffe.engine(tmp_path / "net.tflite")(DIGITS[:1]), wanted[:1])
    with pytest.raises(ExportError, match="'nothing'.*prob"):
        keras_caffe.engine(tmp_path / "net.onnx", outputs=["nothing"])
    with pytest.raises(ExportError, match="no engine 'litert'"):
        keras_caffe.engine(tmp_path / "net.onnx", "litert")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "litert"])
def test_int8_with_calibration_data(lenet: Any, name: str) -> None:
    digits = _digits()
    engine = keras_caffe.engine(lenet, name, precision="int8", calibration=digits[:100])
    wanted = lenet.predict_on_batch(digits)
    found = engine(digits)
    assert engine.precision == "int8" and 0 < engine.report.worst.relative < 0.5
    assert 0 < np.abs(found - wanted).max() < 0.5
    assert (found.argmax(1) == wanted.argmax(1)).mean() >= 0.99


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "litert"])
def test_int8_of_several_inputs_of_different_ranges(odd: Any, name: str) -> None:
    x = odd_inputs(32)
    x["b/x"] *= 0.01
    wanted = odd.extract("e").predict_on_batch(x)["e"]
    found = keras_caffe.engine(odd, name, precision="int8", calibration=x, outputs="e")(x)["e"]
    assert 0 < np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "litert"])
def test_int8_of_a_net_with_a_fixed_batch(name: str) -> None:
    model = keras_caffe.load(FIXED, data_format="channels_first")
    assert model.input_shape[0] == 4
    x = np.random.default_rng(0).standard_normal((10, 3, 6, 6)).astype("float32")
    wanted = model.predict_on_batch(x[:4])
    found = keras_caffe.engine(model, name, precision="int8", calibration=x)(x[:4])
    assert 0 < np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
    with pytest.raises(ExportError, match="too few rows"):
        keras_caffe.engine(model, name, precision="int8", calibration=x[:3])


def test_bfloat16_in_tensorflow(lenet: Any) -> None:
    engine = keras_caffe.engine(lenet, "tensorflow", precision="bfloat16")
    found, wanted = engine(DIGITS), lenet.predict_on_batch(DIGITS)
    assert found.dtype == np.float32 and 1e-5 < np.abs(found - wanted).max() < 5e-2


def _digits() -> np.ndarray:
    """The digits of the small LMDB that comes with the package, as the net takes them."""
    dataset = keras_caffe.dataset(samples.path("lenet_train_test.prototxt"), "TEST")
    return np.concatenate([batch["data"].numpy() for batch in dataset.take(2)])
