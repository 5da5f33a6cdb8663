"""Training in mixed precision: variables and updates stay in float32."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe.solver import load_solver
from tests.solver import digits


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_as_single_does(tmp_path: Path, policy: str) -> None:
    path = digits.write(tmp_path)
    single, mixed = load_solver(path), load_solver(path, dtype=policy)
    mixed.model.set_caffe_params(single.model.get_caffe_params())
    assert {variable.dtype for variable in mixed.model.trainable_variables} == {"float32"}
    want, got = single.step(20), mixed.step(20)
    np.testing.assert_allclose(got, want, rtol=0.1)
    assert np.mean(got[-5:]) < np.mean(got[:5])


def test_mixed_precision_snapshots(tmp_path: Path) -> None:
    path = digits.write(tmp_path)
    first, second = (load_solver(path, dtype="mixed_bfloat16") for _ in range(2))
    first.step(4)
    _, state = first.snapshot()
    second.restore(state)
    assert second.step(3) == first.step(3)


def test_a_compiled_model_is_saved_with_its_optimizer(tmp_path: Path) -> None:
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }'
    text += 'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 2 } }'
    for dtype, kind in (("float32", keras.optimizers.Adam), ("mixed_float16", keras.optimizers.LossScaleOptimizer)):
        model = keras_caffe.load(text, dtype=dtype)
        model.compile(optimizer="adam", loss="mse")
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
        model.save(tmp_path / "net.keras")
        loaded = keras.saving.load_model(tmp_path / "net.keras")
        assert type(loaded.optimizer) is kind
        assert int(loaded.optimizer.iterations) == 1
