"""Exports of nets that pick by value: rounding may give other picks, which are no fault, and no excuse for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe.converters import proof
from keras_caffe.errors import ExportError
from keras_caffe.onnx import registry
from keras_caffe.onnx.export import Settings
from tests.onnx_cases import needs_onnx

pytestmark = needs_onnx
needs_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="these doors are TensorFlow's")

SEGMENTS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 40, 40] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "class" type: "ArgMax" bottom: "conv" top: "class" argmax_param { axis: 1 } }
"""
TIES = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 20, 20] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 bias_term: false } }
layer { name: "scale" type: "Scale" bottom: "conv" top: "scale" }
layer { name: "class" type: "ArgMax" bottom: "scale" top: "class" argmax_param { axis: 1 } }
"""
BOXES = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 24, 24] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 stride: 3 weight_filler { type: "xavier" } } }
layer { name: "prior" type: "PriorBox" bottom: "conv" bottom: "data" top: "prior" prior_box_param { min_size: 6 } }
layer { name: "part" type: "Slice" bottom: "conv" top: "loc" top: "conf" slice_param { slice_point: 4 } }
layer { name: "locs" type: "Permute" bottom: "loc" top: "locs" permute_param { order: [0, 2, 3, 1] } }
layer { name: "flat" type: "Flatten" bottom: "locs" top: "flat" }
layer { name: "sig" type: "Sigmoid" bottom: "conf" top: "sig" }
layer { name: "confs" type: "Permute" bottom: "sig" top: "confs" permute_param { order: [0, 2, 3, 1] } }
layer { name: "scores" type: "Flatten" bottom: "confs" top: "scores" }
layer { name: "out" type: "DetectionOutput" bottom: "flat" bottom: "scores" bottom: "prior" top: "out"
  detection_output_param { num_classes: 2 keep_top_k: 20 nms_param { nms_threshold: 0.3 } } }
"""


def model(net: str) -> Any:
    loaded = keras_caffe.load(net, data_format="channels_first")
    rng = np.random.default_rng(0)
    params = loaded.get_caffe_params()
    loaded.set_caffe_params({name: [rng.standard_normal(x.shape) for x in blobs] for name, blobs in params.items()})
    return loaded


@pytest.mark.parametrize("net", [SEGMENTS, BOXES], ids=["classes", "boxes"])
def test_rounding_to_half_precision_may_pick_others(net: str, tmp_path: Path) -> None:
    file = keras_caffe.to_onnx(model(net), tmp_path / "net.onnx", precision="float16", tolerance=0.01)
    assert list(tmp_path.iterdir()) == [file]


def ties() -> Any:
    """A net whose two classes score the same but for rounding, and exactly the same once Scale is folded away."""
    loaded = keras_caffe.load(TIES, data_format="channels_first")
    kernel = np.random.default_rng(0).standard_normal((1, 3, 3, 3), "float32")
    params = {"conv": [np.concatenate([kernel, kernel * np.float32(3)])], "scale": [np.float32([3, 1])]}
    loaded.set_caffe_params(params)
    return loaded


def as_onnx(model: Any, folder: Path) -> None:
    keras_caffe.to_onnx(model, folder / "net.onnx", tolerance=1e-4)


def as_openvino(model: Any, folder: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not there (extra `openvino`)")
    from keras_caffe.engines.ir import write_openvino

    write_openvino(model, folder / "net.xml", Settings(), 1e-4)


def as_saved_model(model: Any, folder: Path) -> None:
    keras_caffe.export(model, folder / "saved", tolerance=1e-4)


def as_tflite(model: Any, folder: Path) -> None:
    from keras_caffe.serving.tflite import to_tflite

    to_tflite(model, folder / "net.tflite", tolerance=1e-4)


DOORS = [
    pytest.param(as_onnx, ["net.onnx"], id="onnx"),
    pytest.param(as_openvino, ["net.bin", "net.xml"], id="openvino"),
    pytest.param(as_saved_model, ["saved", "saved/1"], id="saved model", marks=needs_tensorflow),
    pytest.param(as_tflite, ["net.tflite"], id="tflite", marks=needs_tensorflow),
]


@pytest.mark.parametrize(("write", "files"), DOORS)
def test_folding_may_pick_others(write: Any, files: list[str], tmp_path: Path) -> None:
    write(ties(), tmp_path)
    there = [path for depth in ("*", "*/*") for path in sorted(tmp_path.glob(depth)) if path.parent.name != "1"]
    assert [str(path.relative_to(tmp_path)) for path in there] == files


@pytest.mark.parametrize(("write", "files"), DOORS)
def test_folding_is_no_excuse(write: Any, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model turns the classes round, so that no picks are explained."""
    right = proof.computed_behind
    monkeypatch.setattr(proof, "computed_behind", lambda *args: {n: 1 - x for n, x in right(*args).items()})
    with pytest.raises(ExportError, match="something else than the net: blob 'class'"):
        write(ties(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_wrong_picks_are_found(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class too many, though what it is picked from is right."""
    picking = keras_caffe.layers.ArgMax
    right = registry._writers[picking]
    monkeypatch.setitem(registry._writers, picking, lambda site, x: site.op("Add", right(site, x), 1.0))
    with pytest.raises(ExportError, match="something else than the net: blob 'class'"):
        keras_caffe.to_onnx(model(SEGMENTS), tmp_path / "net.onnx", precision=precision, tolerance=0.01)
    assert not list(tmp_path.iterdir())


def test_wrong_scores_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is picked from them is right for them."""
    convolution = keras_caffe.layers.Convolution
    right = registry._writers[convolution]
    monkeypatch.setitem(registry._writers, convolution, lambda site, x: [site.op("Mul", right(site, x)[0], -1.0)])
    with pytest.raises(ExportError, match="something else than the net: blob 'conv'"):
        keras_caffe.to_onnx(model(SEGMENTS), tmp_path / "net.onnx", tolerance=0.01)
