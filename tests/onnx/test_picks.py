"""Exports of nets that pick by value: rounding may give other picks, which are no fault, and no excuse for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import ExportError
from keras_caffe.onnx import registry
from tests.onnx_cases import needs_onnx

pytestmark = needs_onnx

SEGMENTS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 40, 40] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "class" type: "ArgMax" bottom: "conv" top: "class" argmax_param { axis: 1 } }
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
