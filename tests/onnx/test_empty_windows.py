"""Pooling windows without any input, of which engines know nothing, in files of fixed and of open sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from tests.nets import net_with
from tests.onnx_cases import needs_onnx, run

pytestmark = needs_onnx


@pytest.mark.parametrize("opened", [False, True], ids=["fixed", "open"])
@pytest.mark.parametrize(
    ("sizes", "fields"),
    [
        ((2, 13), "kernel_h: 1 kernel_w: 3 stride_h: 3 stride_w: 2"),
        ((5, 4), "kernel_size: 2 pad: 1 stride: 5"),
    ],
)
@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_matches_the_model(sizes: tuple[int, int], fields: str, pool: str, opened: bool, tmp_path: Path) -> None:
    shape = (2, 3, *sizes)
    tops = "y mask" if pool == "MAX" else "y"
    text = net_with("Pooling", shape, tops=tops, param=f"pooling_param {{ pool: {pool} {fields} }}")
    model = keras_caffe.load(text, data_format="channels_first")
    x = np.random.default_rng(3).normal(size=shape).astype("float32")
    found = model(x)
    wanted = found if isinstance(found, dict) else {"y": found}
    file = keras_caffe.to_onnx(model, tmp_path / "net.onnx", dynamic=opened)
    for top, (name, want) in zip(run(file, {"x0": x}, list(wanted)), wanted.items(), strict=True):
        np.testing.assert_allclose(top, np.asarray(want), rtol=1e-6, err_msg=name)


def test_the_check_tries_no_sizes_of_which_nothing_is_left(tmp_path: Path) -> None:
    """As of MTCNN's first net: 9 pixels are too few for the last kernel."""
    net = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 1, 12, 12] } } }
layer { name: "a" type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "p" type: "Pooling" bottom: "a" top: "p" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "b" type: "Convolution" bottom: "p" top: "b" convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "c" type: "Convolution" bottom: "b" top: "c" convolution_param { num_output: 2 kernel_size: 3 } }
"""
    assert keras_caffe.to_onnx(net, None, tmp_path / "net.onnx", dynamic=True, tolerance=1e-4).exists()
