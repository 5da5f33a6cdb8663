"""Each layer as a plain Keras layer: one table, the same checks for every row (values are checked by the goldens)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers

SHAPE = (None, 4, 6, 8)
CASES: dict[str, tuple[keras.layers.Layer, list[tuple[int | None, ...]]]] = {
    "AbsVal": (layers.AbsVal(), [SHAPE]),
    "ArgMax": (layers.ArgMax(top_k=2), [SHAPE]),
    "ArgMax-axis": (layers.ArgMax(top_k=2, axis=-1, out_max_val=True), [SHAPE]),
    "Axpy": (layers.Axpy(), [(None, 8), SHAPE, SHAPE]),
    "BNLL": (layers.BNLL(), [SHAPE]),
    "BatchReindex": (layers.BatchReindex(), [SHAPE, (None,)]),
    "Clip": (layers.Clip(-0.5, 0.5), [SHAPE]),
    "Concat": (layers.Concat(axis=-1), [SHAPE, SHAPE]),
    "Crop": (layers.Crop(axes=(1, 2), offset=(1, 0)), [SHAPE, (None, 2, 3, 8)]),
    "Dropout": (layers.Dropout(0.3), [SHAPE]),
    "ELU": (layers.ELU(0.5), [SHAPE]),
    "Eltwise": (layers.Eltwise("SUM", [2, -1]), [SHAPE, SHAPE]),
    "Embed": (layers.Embed(num_output=3, input_dim=5), [(None, 7)]),
    "Exp": (layers.Exp(base=2, shift=0.5), [SHAPE]),
    "Filter": (layers.Filter(axes=(0, 0)), [SHAPE, (None, 3), (None, 1)]),
    "Flatten": (layers.Flatten(axis=1, end_axis=2), [SHAPE]),
    "Interp": (layers.Interp(zoom_factor=2, pad_end=-1), [SHAPE]),
    "L2Norm": (layers.L2Norm(axes=(1, 2, 3)), [SHAPE]),
    "Log": (layers.Log(shift=2), [SHAPE]),
    "MVN": (layers.MVN(eps=0.1), [SHAPE]),
    "MVN-2": (layers.MVN(axes=(1, 2, 3), eps=0.1), [(None, 5)]),
    "Maxout": (layers.Maxout(2), [SHAPE]),
    "PReLU": (layers.PReLU(), [SHAPE]),
    "PReLU-shared": (layers.PReLU(channel_shared=True), [SHAPE]),
    "Permute": (layers.Permute([0, 2, 3, 1]), [SHAPE]),
    "Power": (layers.Power(2, 0.5, 1), [SHAPE]),
    "ReLU6": (layers.ReLU6(0.1), [SHAPE]),
    "Reduction": (layers.Reduction("MEAN", axes=(1, 2)), [SHAPE]),
    "Reorg": (layers.Reorg(2), [SHAPE]),
    "Reorg-reverse": (layers.Reorg(2, reverse=True), [SHAPE]),
    "Reshape": (layers.Reshape([0, -1, 2]), [SHAPE]),
    "ShuffleChannel": (layers.ShuffleChannel(4), [SHAPE]),
    "Sigmoid": (layers.Sigmoid(), [SHAPE]),
    "Slice": (layers.Slice(3, -1, [1, 5]), [SHAPE]),
    "Softmax": (layers.Softmax(), [SHAPE]),
    "Softmax-one": (layers.Softmax(1), [(None, 1, 3)]),
    "Split": (layers.Split(2), [SHAPE]),
    "Swish": (layers.Swish(1.5), [SHAPE]),
    "TanH": (layers.TanH(), [SHAPE]),
    "Threshold": (layers.Threshold(0.1), [SHAPE]),
    "Tile": (layers.Tile(3, 2), [SHAPE]),
    "Upsample": (layers.Upsample((2, 3)), [SHAPE]),
    "Upsample-mask": (layers.Upsample((2, 2)), [SHAPE, SHAPE]),
}

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


rows = pytest.mark.parametrize("name", CASES)


@rows
def test_its_shape_is_the_one_it_foretells(name: str) -> None:
    layer, shapes = CASES[name]
    tops = call(layer, values(shapes))
    known = layer.top_shapes(*[(BATCH, *shape[1:]) for shape in shapes])
    open_batch = layer.top_shapes(*shapes)
    assert len(tops) == len(known) == len(open_batch)
    for top, sizes, sizes_open in zip(tops, known, open_batch, strict=True):
        assert len(top.shape) == len(sizes) == len(sizes_open)
        assert all(size in (None, n) for size, n in zip(sizes, top.shape, strict=True))
        assert all(size in (None, n) for size, n in zip(sizes_open, top.shape, strict=True))


@rows
def test_it_runs_in_a_graph_with_open_sizes(name: str) -> None:
    layer, shapes = CASES[name]
    arrays = values(shapes)
    signature = [tf.TensorSpec([None if n is None else n for n in shape], "float32") for shape in shapes]
    graph = tf.function(lambda *x: call(layer, list(x)), input_signature=signature)
    for top, want in zip(graph(*arrays), call(layer, arrays), strict=True):
        np.testing.assert_allclose(top, want, rtol=1e-6, atol=1e-6)


@rows
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's saving with NumPy 2.
def test_it_is_saved_and_loaded(name: str, tmp_path: Any) -> None:
    layer, shapes = CASES[name]
    copy = clone(layer)
    inputs = [keras.Input(batch_shape=shape) for shape in shapes]
    model = keras.Model(inputs, call(copy, inputs))
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for top, want in zip(loaded(values(shapes)), model(values(shapes)), strict=True):
        np.testing.assert_array_equal(top, want)


@rows
def test_it_runs_in_mixed_precision(name: str) -> None:
    layer, shapes = CASES[name]
    copy = clone(layer, dtype="mixed_float16")
    inputs = [keras.Input(batch_shape=shape) for shape in shapes]
    promised = [top.dtype for top in call(copy, inputs)]
    tops = call(copy, values(shapes))
    assert [keras.backend.standardize_dtype(top.dtype) for top in tops] == promised
    assert promised == (["float32"] if name.startswith("ArgMax") else ["float16"] * len(tops))
    for top, want in zip(tops, call(layer, values(shapes)), strict=True):
        np.testing.assert_allclose(np.asarray(top, "float32"), want, rtol=2e-2, atol=2e-2)
