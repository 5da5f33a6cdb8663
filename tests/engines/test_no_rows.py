"""Batches without rows: engines refuse them or give other shapes, the model does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import ShapeError

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("openvino", reason="the extra openvino is not installed")
NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 9, 8] } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv" convolution_param { num_output: 4 kernel_size: 3
  weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
"""
TOPS = {"channels_first": (0, 4, 4, 3), "channels_last": (0, 4, 3, 4)}


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "litert", "tensorflow"])
@pytest.mark.parametrize("order", TOPS)
def test_an_engine_of_a_model_gives_no_rows(name: str, order: str) -> None:
    model = keras_caffe.load(NET, data_format=order)
    none = np.zeros((0, *model.inputs[0].shape[1:]), "float32")
    assert keras_caffe.engine(model, name, cache=False)(none).shape == TOPS[order]
    (top,) = keras_caffe.engine(model, name, outputs=["pool"], cache=False)(none).values()
    assert top.shape == TOPS[order]


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_engine_of_a_file_refuses_no_rows(name: str, tmp_path: Path) -> None:
    file = keras_caffe.to_onnx(keras_caffe.load(NET), tmp_path / "net.onnx")
    with pytest.raises(ShapeError, match=r"batches of one row or more; received 'x' \(0, 3, 9, 8\)"):
        keras_caffe.engine(file, name, cache=False)(np.zeros((0, 3, 9, 8), "float32"))


def test_inputs_that_give_a_size_alone_need_no_value() -> None:
    crop = 'layer { name: "ref" type: "Input" top: "ref" input_param { shape { dim: [2, 3, 3, 2] } } }'
    crop += 'layer { name: "crop" type: "Crop" bottom: "pool" bottom: "ref" top: "crop" }'
    model = keras_caffe.load(NET + crop, data_format="channels_first")
    fed = {"x": np.zeros((0, 3, 9, 8), "float32"), "ref": np.zeros((0, 3, 3, 2), "float32")}
    for name in ("openvino", "tensorflow"):
        assert keras_caffe.engine(model, name, cache=False)(fed).shape == (0, 4, 3, 2)
