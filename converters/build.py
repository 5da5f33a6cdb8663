"""Plan -> Tensors: calls the planned Keras layers, with transposes only where a value is stored otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_caffe.converters.infer import Plan, Step
from keras_caffe.converters.tensors import Tensors
from keras_caffe.errors import NetError
from keras_caffe.layers.base import BoundBlob
from keras_caffe.layers.loss_weight import LossWeight
from keras_caffe.layout import to_stored

Initial = Mapping[int, Mapping[int, Any]]


def build(
    plan: Plan, initial: Initial | None = None, *, donors: Mapping[str, Sequence[BoundBlob]] | None = None
) -> Tensors:
    """Builds the Keras model.

    Args:
        plan: from `infer`.
        initial: {node index: {blob index: what `copy(permutation)`s to an array}}: first values; the others come from
            the fillers.
        donors: {layer name: its blobs in another model}: layers of these names use the same variables.

    Returns:
        The tensors of all values, of which a CaffeModel is made.

    Raises:
        NetError: a layer's blobs differ in number or shape from those that it is to use.
    """
    tensors = Tensors(plan)
    initial = {**(initial or {}), **_given(plan, donors or {})}
    for step in plan.steps:  # Before the layers: those without bottoms are called on an input, wherever it stands.
        if step.layer is None:
            tensors.add_inputs(step.node.outputs, step.defaults)
    for index, step in enumerate(plan.steps):
        if step.layer is not None:
            preset(plan, index, initial)
            _call(step, tensors)
            _add_losses(step, tensors)
    return tensors


def _given(plan: Plan, donors: Mapping[str, Sequence[BoundBlob]]) -> dict[int, dict[int, Any]]:
    """What layers use of another model's. Caffe: Net::ShareTrainedLayersWith in net.cpp."""
    found = {}
    for index, step in enumerate(plan.steps):
        given = donors.get(step.node.name)
        if step.layer is None or given is None:
            continue
        mine, theirs = [blob.shape for blob in step.blobs], [held.blob.shape for held in given]
        if mine != theirs:
            raise NetError(
                "the layer has other parameters than the one of this name in the net that it shares them with",
                where=step.node.where,
                layer=f"{step.node.name!r} ({step.node.type})",
                expected=theirs,
                received=mine,
            )
        found[index] = dict(enumerate(given))
    return found


def preset(plan: Plan, index: int, initial: Initial) -> None:
    """Tells a layer, before it is built, what its blobs begin with; the layers above it are built."""
    frozen = {blob for node, blob in plan.frozen if node == index}
    plan.steps[index].layer.preset({**initial.get(index, {}), **_shared(plan, index)}, frozen)


def build_layers(plan: Plan, initial: Initial | None = None) -> None:
    """Builds the layers with their variables, without a model; arguments as for `build`."""
    for index, step in enumerate(plan.steps):
        if step.layer is not None:
            preset(plan, index, initial or {})
            shapes = [to_stored(plan.shapes[v], order) for v, order in zip(step.node.inputs, step.orders, strict=True)]
            step.layer.build(shapes[0] if len(shapes) == 1 else shapes or (1,))


def _shared(plan: Plan, index: int) -> dict[int, Any]:
    """Blob index -> what the layer that owns the blob holds; owners stand above and are built."""
    return {
        blob: plan.steps[owner].layer.caffe_blobs[owner_blob]
        for (node, blob), (owner, owner_blob) in plan.owners.items()
        if node == index
    }


def _call(step: Step, tensors: Tensors) -> None:
    bottoms = [tensors.stored_as(v, order) for v, order in zip(step.node.inputs, step.orders, strict=True)]
    for index, propagate in enumerate(step.node.message.propagate_down):
        bottoms[index] = bottoms[index] if propagate else keras.ops.stop_gradient(bottoms[index])
    if not bottoms:
        bottoms = [tensors.anchor()]
    tops = step.layer(bottoms[0] if len(bottoms) == 1 else bottoms)
    tops = tops if isinstance(tops, (list, tuple)) else [tops]
    for value, tensor in zip(step.node.outputs, tops, strict=True):
        tensors[value] = tensor


def _add_losses(step: Step, tensors: Tensors) -> None:
    for value, weight in zip(step.node.outputs, step.loss_weights, strict=True):
        if weight:
            name = f"{step.layer.name}_loss_weight_{step.node.outputs.index(value)}"
            tensors[value] = LossWeight(weight, name=name)(tensors[value])
