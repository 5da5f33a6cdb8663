"""Each layer as a plain Keras layer: the same checks for every `Case` (values are checked by the goldens)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.cases import Case, declared

BATCH = 3


def values(shapes: list[tuple[int | None, ...]]) -> list[np.ndarray]:
    """Numbers from 0 to 2, so that they also serve as indices, masks and selectors."""
    random = np.random.default_rng(0)
    return [random.uniform(0, 2.99, [BATCH if n is None else n for n in shape]).astype("float32") for shape in shapes]


def call(layer: Any, arrays: list[Any]) -> list[Any]:
    tops = layer(arrays[0] if len(arrays) == 1 else arrays)
    return list(tops) if isinstance(tops, (list, tuple)) else [tops]


def clone(layer: keras.layers.Layer, **config: Any) -> keras.layers.Layer:
    return layer.__class__.from_config({**layer.get_config(), **config})


rows = pytest.mark.parametrize(
    "case", [case for cases in declared().values() for case in cases if case.layer], ids=lambda case: case.type
)


@rows
def test_its_shape_is_the_one_it_foretells(case: Case) -> None:
    layer, shapes = case.layer, case.bottoms
    tops = call(layer, values(shapes))
    known = layer.top_shapes(*[array.shape for array in values(shapes)])
    open_batch = layer.top_shapes(*shapes)
    assert len(tops) == len(known) == len(open_batch)
    for top, sizes, sizes_open in zip(tops, known, open_batch, strict=True):
        assert len(top.shape) == len(sizes) == len(sizes_open)
        assert all(size in (None, n) for size, n in zip(sizes, top.shape, strict=True))
        assert all(size in (None, n) for size, n in zip(sizes_open, top.shape, strict=True))


@rows
def test_it_runs_in_a_graph_with_open_sizes(case: Case) -> None:
    layer, shapes = case.layer, case.bottoms
    arrays = values(shapes)
    signature = [tf.TensorSpec([None if n is None else n for n in shape], "float32") for shape in shapes]
    graph = tf.function(lambda *x: call(layer, list(x)), input_signature=signature)
    for top, want in zip(graph(*arrays), call(layer, arrays), strict=True):
        np.testing.assert_allclose(top, want, rtol=1e-6, atol=1e-6)


@rows
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's saving with NumPy 2.
def test_it_is_saved_and_loaded(case: Case, tmp_path: Any) -> None:
    layer, shapes = case.layer, case.bottoms
    copy = clone(layer)
    inputs = [keras.Input(batch_shape=shape) for shape in shapes]
    model = keras.Model(inputs, call(copy, inputs))
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    outputs, wanted = (keras.tree.flatten(net(values(shapes))) for net in (loaded, model))
    for top, want in zip(outputs, wanted, strict=True):
        np.testing.assert_array_equal(top, want)


@rows
def test_it_runs_in_mixed_precision(case: Case) -> None:
    layer, shapes = case.layer, case.bottoms
    copy = clone(layer, dtype="mixed_float16")
    inputs = [keras.Input(batch_shape=shape) for shape in shapes]
    promised = [top.dtype for top in call(copy, inputs)]
    tops = call(copy, values(shapes))
    assert [keras.backend.standardize_dtype(top.dtype) for top in tops] == promised
    assert promised == [copy.compute_dtype] * len(tops)  # float16, or float32 where the layer refuses to compute in it
    for top, want in zip(tops, call(layer, values(shapes)), strict=True):
        np.testing.assert_allclose(np.asarray(top, "float32"), want, rtol=2e-2, atol=2e-2)
