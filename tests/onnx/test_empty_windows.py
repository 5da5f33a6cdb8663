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
