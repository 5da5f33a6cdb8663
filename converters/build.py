"""Plan -> Tensors: calls the planned Keras layers, with transposes only where a value is stored otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from keras_caffe.converters.infer import Plan, PlannedLayer, PlannedSource
from keras_caffe.converters.keras_names import keras_name
from keras_caffe.converters.tensors import Tensors
from keras_caffe.errors import NetError
from keras_caffe.layers.base import BoundBlob, FirstValues
from keras_caffe.layers.loss_weight import LossWeight
from keras_caffe.layout import to_stored

Initial = Mapping[int, FirstValues]
"""{node index: what its layer's blobs begin with}"""


def build(
    plan: Plan, initial: Initial | None = None, *, donors: Mapping[str, Sequence[BoundBlob]] | None = None
) -> Tensors:
    """Builds the Keras model.

    Args:
        plan: from `infer`.
        initial: first values; the others come from the fillers.
        donors: {layer name: its blobs in another model}: layers of these names use the same variables.

    Returns:
        The tensors of all values, of which a CaffeModel is made.

    Raises:
        NetError: a layer's blobs differ in number or shape from those that it is to use.
    """
    tensors = Tensors(plan)
    given = _given(plan, donors or {})
    for source in plan.sources.values():  # First: layers without bottoms are called on an input, wherever it stands.
        tensors.add_inputs(source.node.outputs, source.defaults)
        _add_losses(source, keras_name(source.node.name), tensors)
    for index, planned in plan.layers.items():
        preset(plan, index, initial or {}, given)
        _call(planned, tensors)
        _add_losses(planned, planned.layer.name, tensors)
    return tensors


def _given(plan: Plan, donors: Mapping[str, Sequence[BoundBlob]]) -> dict[int, FirstValues]:
    """What layers use of another model's. Caffe: Net::ShareTrainedLayersWith in net.cpp."""
    given: dict[int, FirstValues] = {}
    for index, planned in plan.layers.items():
        donor = donors.get(planned.node.name)
        if donor is None:
            continue
        mine, theirs = [blob.shape for blob in planned.blobs], [bound.blob.shape for bound in donor]
        if mine != theirs:
            raise NetError(
                "the layer has other parameters than the one of this name in the net that it shares them with",
                where=planned.node.where,
                layer=f"{planned.node.name!r} ({planned.node.type})",
                expected=theirs,
                received=mine,
            )
        given[index] = dict(enumerate(donor))
    return given


def preset(plan: Plan, index: int, initial: Initial, given: Initial | None = None) -> None:
    """Tells a layer, before it is built, what its blobs begin with; the layers above it are built.

    What another model gives goes before what the layer shares with one above it, as in Caffe.
    """
    frozen = {blob for node, blob in plan.frozen if node == index}
    first = {**initial.get(index, {}), **_shared(plan, index), **(given or {}).get(index, {})}
    plan.layers[index].layer.preset(first, frozen)


def build_layers(plan: Plan, initial: Initial | None = None) -> None:
    """Builds the layers with their variables, without a model; arguments as for `build`."""
    for index in plan.layers:
        build_layer(plan, index, initial or {})


def build_layer(plan: Plan, index: int, initial: Initial) -> None:
    """Builds one layer with its variables; those above it are built."""
    preset(plan, index, initial)
    planned = plan.layers[index]
    bottoms = zip(planned.node.inputs, planned.orders, strict=True)
    shapes = [to_stored(plan.shapes[value], order) for value, order in bottoms]
    planned.layer.build(shapes[0] if len(shapes) == 1 else shapes or (1,))


def _shared(plan: Plan, index: int) -> dict[int, BoundBlob]:
    """Blob index -> the blob of the layer that owns it; owners stand above and are built."""
    return {
        blob: plan.layers[owner].layer.caffe_blobs[owner_blob]
        for (node, blob), (owner, owner_blob) in plan.owners.items()
        if node == index
    }


def _call(planned: PlannedLayer, tensors: Tensors) -> None:
    bottoms = tensors.bottoms(planned)
    for index, propagate in enumerate(planned.node.message.propagate_down):
        bottoms[index] = bottoms[index] if propagate else keras.ops.stop_gradient(bottoms[index])
    if not bottoms:
        bottoms = [tensors.anchor()]
    tops = planned.layer(bottoms[0] if len(bottoms) == 1 else bottoms)
    tops = tops if isinstance(tops, (list, tuple)) else [tops]
    for value, tensor in zip(planned.node.outputs, tops, strict=True):
        tensors[value] = tensor


def _add_losses(planned: PlannedLayer | PlannedSource, layer: str, tensors: Tensors) -> None:
    for top, (value, weight) in enumerate(zip(planned.node.outputs, planned.loss_weights, strict=True)):
        if weight:
            tensors[value] = LossWeight(weight, name=f"{layer}_loss_weight_{top}")(tensors[value])
