"""The optimizers alone: Caffe's formulas, plain Keras models, configs, and the portable twins of the kernels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_caffe import optimizers
from keras_caffe.ops import update

RATE = 0.1
METHODS: dict[str, Any] = {
    "SGD": lambda **kwargs: optimizers.SGD(RATE, momentum=0.9, **kwargs),
    "Nesterov": lambda **kwargs: optimizers.Nesterov(RATE, momentum=0.9, **kwargs),
    "AdaGrad": lambda **kwargs: optimizers.AdaGrad(RATE, delta=1e-4, **kwargs),
    "RMSProp": lambda **kwargs: optimizers.RMSProp(RATE, rms_decay=0.9, delta=1e-4, **kwargs),
    "AdaDelta": lambda **kwargs: optimizers.AdaDelta(RATE, momentum=0.9, delta=1e-4, **kwargs),
    "Adam": lambda **kwargs: optimizers.Adam(RATE, momentum=0.8, momentum2=0.99, delta=1e-4, **kwargs),
}


def formula(name: str, w: np.ndarray, state: list[np.ndarray], g: np.ndarray, t: int) -> tuple[np.ndarray, list]:
    """One update in float64, as the solvers' sources state it."""
    if name == "SGD":
        v = 0.9 * state[0] + RATE * g
        return w - v, [v, state[1]]
    if name == "Nesterov":
        v = 0.9 * state[0] + RATE * g
        return w - (1.9 * v - 0.9 * state[0]), [v, state[1]]
    if name == "AdaGrad":
        h = state[0] + g * g
        return w - RATE * g / (np.sqrt(h) + 1e-4), [h, state[1]]
    if name == "RMSProp":
        h = 0.9 * state[0] + 0.1 * g * g
        return w - RATE * g / (np.sqrt(h) + 1e-4), [h, state[1]]
    if name == "AdaDelta":
        h = 0.9 * state[0] + 0.1 * g * g
        u = g * np.sqrt((state[1] + 1e-4) / (h + 1e-4))
        return w - RATE * u, [h, 0.9 * state[1] + 0.1 * u * u]
    m, v = 0.8 * state[0] + 0.2 * g, 0.99 * state[1] + 0.01 * g * g
    return w - RATE * np.sqrt(1 - 0.99**t) / (1 - 0.8**t) * m / (np.sqrt(v) + 1e-4), [m, v]


def gradients(count: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 4)).astype("float32")


@pytest.fixture(params=["kernel", "portable"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "portable":
        monkeypatch.setattr(update, "_has_kernel", lambda variable: False)
    return request.param


@pytest.mark.parametrize("name", METHODS)
def test_formula(name: str, path: str) -> None:
    variable = keras.Variable(np.ones((3, 4)), dtype="float32")
    optimizer, handle = METHODS[name](), variable.value
    w, state = np.ones((3, 4)), [np.zeros((3, 4)), np.zeros((3, 4))]
    for t, g in enumerate(gradients(), 1):
        optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
        w, state = formula(name, w, state, np.float64(g), t)
    np.testing.assert_allclose(variable.numpy(), w, rtol=2e-6, atol=2e-6)
    for slot, want in zip(optimizer.slots, state, strict=False):
        np.testing.assert_allclose(optimizer.sign * getattr(optimizer, slot)[0].numpy(), want, rtol=2e-5, atol=2e-6)
    assert variable.value is handle  # changed in place


@pytest.mark.parametrize("kind", ["L2", "L1"])
def test_decay_and_multipliers(kind: str) -> None:
    start = np.linspace(-1, 1, 5).astype("float32")
    a, b = (keras.Variable(start, dtype="float32", name=name) for name in "ab")
    made = optimizers.SGD(
        RATE,
        weight_decay=0.5,
        regularization_type=kind,
        multipliers={a.path: (2, 1), b.path: (1, 0)},
        clip_gradients=-1,
    )
    made.apply([keras.ops.zeros(5), keras.ops.ones(5)], [a, b])
    penalty = np.sign(start) if kind == "L1" else start
    np.testing.assert_allclose(a.numpy(), start - 2 * RATE * 0.5 * penalty, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(b.numpy(), start - RATE, rtol=1e-6, atol=1e-7)


def test_clipping_looks_at_all_gradients_before_they_are_divided() -> None:
    a, b = (keras.Variable(np.zeros(2), dtype="float32") for _ in range(2))
    made = optimizers.SGD(1.0, clip_gradients=1.0, iter_size=2)
    made.apply([keras.ops.convert_to_tensor([3.0, 0.0]), keras.ops.convert_to_tensor([0.0, 4.0])], [a, b])
    np.testing.assert_allclose(a.numpy(), [-3 / 5 / 2, 0], rtol=1e-6)
    np.testing.assert_allclose(b.numpy(), [0, -4 / 5 / 2], rtol=1e-6)


@pytest.mark.parametrize("clip", [0.5, 100.0])
def test_keras_own_accumulation_clips_the_sum(clip: float) -> None:
    ours, keras_own = (keras.Variable(np.zeros(2), dtype="float32") for _ in range(2))
    g = gradients(2)[:, 0, :2]
    whole = optimizers.SGD(1.0, clip_gradients=clip, iter_size=2)
    whole.apply([keras.ops.convert_to_tensor(g[0] + g[1])], [ours])
    parts = optimizers.SGD(1.0, clip_gradients=clip, gradient_accumulation_steps=2)
    for one in g:
        parts.apply([keras.ops.convert_to_tensor(one)], [keras_own])
    np.testing.assert_allclose(keras_own.numpy(), ours.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_plain_keras_model(name: str, tmp_path: Any) -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Embedding(9, 3), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    model.compile(METHODS[name](weight_decay=0.001, clip_gradients=5.0), loss="mse")
    x, y = np.random.default_rng(0).integers(0, 9, (64, 4)), np.random.default_rng(1).random((64, 2))
    losses = model.fit(x, y, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is type(model.optimizer)
    for mine, want in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), want.numpy())
    want = model.fit(x, y, epochs=1, verbose=0, shuffle=False).history["loss"]
    assert again.fit(x, y, epochs=1, verbose=0, shuffle=False).history["loss"] == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_config(name: str) -> None:
    made = METHODS[name](
        multipliers={"a/b": (0.5, 2.0)}, regularization_type="L1", weight_decay=0.1, clip_gradients=3.0
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert again.get_config() == made.get_config()
    assert again.multipliers == {"a/b": (0.5, 2.0)}


@pytest.mark.parametrize("name", METHODS)
def test_an_index_that_repeats_has_one_gradient(name: str) -> None:
    """Clipping takes the norm of what lookups of one row add up to, not of the single lookups."""
    layer = keras.layers.Embedding(5, 1, embeddings_initializer="zeros")
    model = keras.Sequential([keras.Input((1,), dtype="int32"), layer, keras.layers.Flatten()])
    model.compile(METHODS[name](clip_gradients=0.1), loss="mse")
    model.fit(np.array([[0], [1], [1], [4]]), np.ones((4, 1), "float32"), batch_size=4, verbose=0)
    summed = np.array([[-0.5], [-1], [0], [0], [-0.5]])
    clipped = summed * 0.1 / np.linalg.norm(summed)
    want, _ = formula(name, np.zeros((5, 1)), [np.zeros((5, 1))] * 2, clipped, 1)
    np.testing.assert_allclose(layer.embeddings.numpy(), want, rtol=1e-4)
