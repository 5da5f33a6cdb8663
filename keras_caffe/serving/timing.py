"""How long each layer takes, forward and backward."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_caffe.converters.infer import PlannedLayer
from keras_caffe.converters.model import CaffeModel, keras_name
from keras_caffe.converters.sample_shapes import sample_shapes
from keras_caffe.layers.base import takes_training
from keras_caffe.layout import edge_order, to_stored

WARM = 2


@dataclass(frozen=True)
class LayerTime:
    """Medians in ms; `backward` is None for a layer without gradients."""

    layer: str
    type: str
    forward: float
    backward: float | None


def layer_times(model: CaffeModel, runs: int = 20, seed: int = 0) -> Iterator[LayerTime]:
    """Times every layer by itself, as a compiled function, on what the layers above make of random inputs.

    Args:
        model: a loaded CaffeModel.
        runs: how often each layer runs.
        seed: of the inputs: standard normal where they have three axes or more, else 0.
    """
    layers = list(model.plan.layers.values())
    for planned, bottoms in zip(layers, _bottoms(model, layers, random_inputs(model, seed)), strict=True):
        forward, both = _functions(planned.layer, bottoms, model.net.phase == "TRAIN")
        seconds = _median(forward, runs)
        backward = None if both is None else max(0.0, _median(both, runs) - seconds)
        node, backward = planned.node, None if backward is None else 1e3 * backward
        yield LayerTime(node.name, node.type, 1e3 * seconds, backward)


def whole_times(model: CaffeModel, runs: int = 20, seed: int = 0) -> tuple[float, float | None]:
    """ms of one forward pass and one backward pass of the whole net, compiled: medians."""
    forward, backward = zip(*passes(model, runs, seed), strict=True)
    return statistics.median(forward), None if None in backward else statistics.median(backward)


def passes(model: CaffeModel, runs: int = 20, seed: int = 0) -> Iterator[tuple[float, float | None]]:
    """ms of the forward pass and of the backward pass of the whole net, compiled, for each run."""
    forward, both = _functions(model, list(random_inputs(model, seed).values()), model.net.phase == "TRAIN")
    for call in (forward, both or forward):
        for _ in range(WARM):
            call()
    for _ in range(runs):
        seconds = _seconds(forward)
        yield 1e3 * seconds, None if both is None else 1e3 * max(0.0, _seconds(both) - seconds)


def random_inputs(model: CaffeModel, seed: int = 0) -> dict[str, Any]:
    """A value for each input of the model, in the sizes that the net declares."""
    rng, fed = np.random.default_rng(seed), {}
    for name, tensor in zip(model.input_names, model.inputs, strict=True):
        shape = _declared(model).get(name, tuple(tensor.shape))
        values = rng.standard_normal(shape, "float32") if len(shape) > 2 else np.zeros(shape, "float32")
        fed[name] = tf.constant(model.tensors.defaults.get(name, values))
    return fed


def _declared(model: CaffeModel) -> dict[str, tuple[int, ...]]:
    """{Keras input: shape as it is fed, with the net's batch size}."""
    return {
        keras_name(blob): to_stored(shape, edge_order(len(shape), model.data_format))
        for blob, shape in sample_shapes(model.plan).items()
    }


def _bottoms(model: CaffeModel, layers: Sequence[PlannedLayer], inputs: dict[str, Any]) -> list[list[Any]]:
    """What each layer gets, in the order of axes in which it wants it."""
    tensors = model.tensors
    wanted = [tensors.bottoms(planned) or [tensors.anchor()] for planned in layers]
    return keras.Model(model.input, wanted)(inputs if isinstance(model.input, dict) else next(iter(inputs.values())))


def _functions(layer: Any, bottoms: list[Any], training: bool) -> tuple[Callable[[], Any], Callable[[], Any] | None]:
    inputs = bottoms[0] if len(bottoms) == 1 else bottoms
    mode = {"training": training} if takes_training(layer) else {}

    @tf.function(autograph=False)
    def forward(inputs: Any) -> Any:
        return layer(inputs, **mode)

    @tf.function(autograph=False)
    def both(inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            tops = [top for top in tf.nest.flatten(layer(inputs, **mode)) if top.dtype.is_floating]
        sources = [*tf.nest.flatten(inputs), *(v.value for v in layer.trainable_variables)]
        return [g for g in tape.gradient(tops, sources) if g is not None]

    try:
        trains = bool(both(inputs))
    except (LookupError, tf.errors.OpError, NotImplementedError):  # an operation without a gradient
        trains = False
    return lambda: forward(inputs), (lambda: both(inputs)) if trains else None


def _median(call: Callable[[], Any], runs: int) -> float:
    for _ in range(WARM):
        call()
    return statistics.median(_seconds(call) for _ in range(runs))


def _seconds(call: Callable[[], Any]) -> float:
    start = perf_counter()
    tf.nest.map_structure(lambda x: x.numpy(), call())  # waits for it
    return perf_counter() - start
