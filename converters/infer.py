"""Net -> Plan: each layer's Keras layer, not built yet, and each value's shape and stored order; takes no memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_caffe import registry
from keras_caffe.converters.backward import Backward, needs_backward, tell_python_layers
from keras_caffe.converters.graph import Net, Node, OutputFile
from keras_caffe.converters.input_shapes import shapes_missing, shapes_not_known, source_shapes
from keras_caffe.converters.keras_names import KerasNames
from keras_caffe.converters.share import Slot, multipliers, shared_params
from keras_caffe.errors import CaffeError, LayerError, NetError, ShapeError, instead
from keras_caffe.layers.base import Blob, Bottom, BoundBlob, CaffeLayer, check_count
from keras_caffe.layers.serializable import PACKAGE
from keras_caffe.layers.source import SourceLayer
from keras_caffe.layout import Order, edge_order, inverse, permutation, to_caffe, to_stored
from keras_caffe.ops.refusals import Place
from keras_caffe.proto.unknown_value import refuse_unknown_values
from keras_caffe.shapes import INT_MAX, Shape, Shown, Size, check_blob, count


@dataclass(frozen=True)
class PlannedSource:
    """A node that brings data: its tops are inputs of the model.

    Args:
        node: the net's node.
        defaults: what its tops hold when the caller feeds nothing; None: the caller must feed them.
        loss_weights: how much each top adds to the loss, 0 for nearly all.
    """

    node: Node
    defaults: Sequence[np.ndarray] | None
    loss_weights: Sequence[float]


@dataclass(frozen=True)
class PlannedLayer:
    """A node that computes, with its Keras layer.

    Args:
        node: the net's node.
        layer: the Keras layer; `infer` leaves it unbuilt.
        orders: how the layer wants its bottoms stored.
        blobs: its blob table.
        loss_weights: how much each top adds to the loss, 0 for most.
    """

    node: Node
    layer: CaffeLayer
    orders: Sequence[Order]
    blobs: Sequence[Blob]
    loss_weights: Sequence[float]


Tops = Mapping[str, tuple[Shape, Order]]
"""{value id: shape in Caffe's order, and how it is stored} of a layer's tops"""


@dataclass
class Plan:
    """What `build` needs to know.

    Args:
        net: the graph.
        data_format: how callers see the blobs.
        sources: {node index: a node that brings data}, in the net's order.
        layers: {node index: a node that computes}, in the net's order.
        shapes: value id -> shape in Caffe's order, as the net declares it.
        orders: value id -> how the value is stored.
        inputs: ids of the tops of all layers without bottoms, in order.
        owners: (node, blob) -> (node, blob) of the layer that owns a blob shared by name.
        frozen: (node, blob) of the blobs that are not trained: lr_mult 0 in a net without force_backward.
        open_axes: input's value id -> Caffe axes whose size may change from batch to batch, mostly the first one.
        dynamic: these axes may have any size; some layers need to know them, then all are fixed.
        output_files: what layers write into files, where whoever runs the net does write them.
    """

    net: Net
    data_format: str
    sources: dict[int, PlannedSource] = field(default_factory=dict)
    layers: dict[int, PlannedLayer] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    owners: dict[Slot, Slot] = field(default_factory=dict)
    frozen: set[Slot] = field(default_factory=set)
    open_axes: dict[str, Sequence[int]] = field(default_factory=dict)
    dynamic: bool = True
    output_files: Sequence[OutputFile] = ()

    @property
    def also_out(self) -> list[str]:
        """Ids of the values that a model has as outputs beside the net's, under these ids: those for files."""
        return [value for file in self.output_files for value in (file.data, file.label)]

    def input_shape(self, value: str) -> Shape:
        """The shape of an input in Caffe's order, left open where its size may change, if it can be."""
        shape = self.shapes[value]
        left_open = self.open_axes.get(value, ()) if self.dynamic else ()
        return tuple(None if axis in left_open else size for axis, size in enumerate(shape))

    def blobs(self, node: int) -> Sequence[Blob]:
        """The blob table of a node; a source has no blobs."""
        return self.layers[node].blobs if node in self.layers else ()

    def bound_blobs(self, node: int) -> Sequence[BoundBlob]:
        """The blobs of a node whose layer is built, with their variables; a source has none."""
        return self.layers[node].layer.caffe_blobs if node in self.layers else ()

    @property
    def classes(self) -> dict[int, type[CaffeLayer]]:
        """{node index: class of its layer}; a source has none."""
        return {index: type(planned.layer) for index, planned in self.layers.items()}

    @property
    def loss_weights(self) -> dict[str, float]:
        """{value id: how much it adds to the loss} of the values that add something."""
        planned: list[PlannedSource | PlannedLayer] = [*self.sources.values(), *self.layers.values()]
        pairs = (zip(p.node.outputs, p.loss_weights, strict=True) for p in planned)
        return {value: weight for tops in pairs for value, weight in tops if weight}

    def outputs(self) -> list[str]:
        """The net's outputs, and what else adds to the loss or, if there is neither, what nobody reads."""
        seen = set(self._upstream(self.net.outputs))
        outputs = [*self.net.outputs, *(value for value in self.loss_weights if value not in seen)]
        return outputs or list(self.net.blobs.values())

    def add(self, planned: PlannedLayer, tops: Tops) -> None:
        """Takes a layer, or takes it anew, with the shapes and orders of its tops."""
        self.layers[planned.node.index] = planned
        for value, (shape, order) in tops.items():
            self.shapes[value], self.orders[value] = shape, order

    def check_shapes(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """Asks the layers, as Caffe's Reshape does, whether they take inputs of these sizes; computes nothing.

        Args:
            shapes: {input's value id: its shape in Caffe's order}; layers that need other inputs are not asked.

        Returns:
            {value id: its shape in Caffe's order} of these inputs and of all tops of the layers that were asked.

        Raises:
            ShapeError, LayerError: of the first layer that refuses its bottoms.
        """
        known = dict(shapes)
        for planned in self.layers.values():
            if known.keys() >= set(planned.node.inputs):
                with _located(self, planned.node):
                    tops = planned.layer.top_shapes(*_stored_bottoms(planned, known))
                    for value, top in zip(planned.node.outputs, tops, strict=True):
                        known[value] = _in_caffes_order(top, self.orders[value])
        return known

    def differs_in_sizes_alone(self, other: Plan) -> bool:
        """Whether another plan of this net has the same parameters, and values of as many axes: NdConvolution drops
        axes of size 1.
        """
        pairs = zip(self.layers.values(), other.layers.values(), strict=True)
        same = all([b.shape for b in one.blobs] == [b.shape for b in two.blobs] for one, two in pairs)
        return same and all(len(shape) == len(self.shapes[value]) for value, shape in other.shapes.items())

    def needed_for(self, values: Iterable[str]) -> set[str]:
        """The values that the given ones are computed from, and these themselves."""
        return set(self._upstream(values))

    def inputs_of(self, values: Iterable[str]) -> list[str]:
        """The inputs that the given values are computed from."""
        seen = self.needed_for(values)
        return [value for value in self.inputs if value in seen]

    def backward(self) -> Backward:
        """Which layers, bottoms and parameters get a gradient in Caffe."""
        blobs = [len(self.blobs(node.index)) for node in self.net.nodes]
        return needs_backward(self.net, blobs, self.loss_weights, self.classes)

    def _upstream(self, values: Iterable[str]) -> Iterable[str]:
        seen, todo = set(), list(values)
        while todo:
            value = todo.pop()
            if value not in seen:
                seen.add(value)
                todo += self.net.nodes[self.net.values[value].producer].inputs
        return seen


def infer(
    net: Net,
    *,
    data_format: str = "channels_last",
    input_shapes: Mapping[str, Sequence[Size]] | None = None,
    custom_layers: Mapping[str, type] | None = None,
    dtype: Any = None,
) -> Plan:
    """Plans a net.

    Args:
        net: the graph.
        data_format: how callers see blobs of four and more axes: "channels_last" or "channels_first" (Caffe's).
        input_shapes: {blob: shape in Caffe's order} for inputs whose shape the net does not state, or to replace it.
        custom_layers: {type: class} that come before the registered ones.
        dtype: Keras dtype or policy for all layers.

    Raises:
        UnknownLayerError: all unknown types at once.
        LayerError, ShapeError: a layer's parameters or bottoms are refused; names the layer and its line.
    """
    classes = registry.find(((n.type, n.name, n.where) for n in net.nodes), custom_layers)
    plan = Plan(net, data_format)
    names = KerasNames(net, classes)
    shapes = dict(input_shapes or {})
    tops = [net.values[value].blob for node in net.nodes if not node.inputs for value in node.outputs]
    _check_used([blob for blob in shapes if blob not in tops], tops)
    for node in net.nodes:
        with _located(plan, node):
            cls = classes[node.type].for_layer(node.message)
            if cls.__module__.startswith(f"{PACKAGE}."):
                refuse_unknown_values(node.message)
            _check_arity(node, cls)
            if issubclass(cls, SourceLayer):
                stated = source_shapes(net, node, cls, shapes)
                complete = [shape for shape in stated.values() if shape is not None]
                if len(complete) < len(stated):
                    raise shapes_missing(net, node, classes, shapes)
                _add_source(plan, node, cls, complete)
                shapes = {blob: shape for blob, shape in shapes.items() if blob not in stated}
            else:
                plan.add(*plan_layer(plan, node, cls, {"name": names(node), "dtype": dtype}))
    _check_used(shapes, [net.values[value].blob for value in plan.inputs])
    plan.owners.update(_owners(plan))
    if not net.message.force_backward:
        plan.frozen.update(slot for slot, (lr_mult, _) in multipliers(net).items() if lr_mult == 0)
    plan.dynamic = _can_be_dynamic(plan)
    tell_python_layers({index: planned.layer for index, planned in plan.layers.items()}, plan.backward)
    return plan


def _add_source(plan: Plan, node: Node, cls: type[SourceLayer], shapes: Iterable[Sequence[Size]]) -> None:
    for value, shape, plan.open_axes[value] in zip(node.outputs, shapes, cls.open_axes(node.message), strict=True):
        plan.shapes[value] = check_blob(tuple(shape))
        plan.orders[value] = edge_order(len(shape), plan.data_format)
        plan.inputs.append(value)
    defaults = cls.default_values(node.message, [plan.shapes[v] for v in node.outputs])
    plan.sources[node.index] = PlannedSource(node, defaults, _loss_weights(node))


def plan_layer(
    plan: Plan, node: Node, cls: type[CaffeLayer], keras_args: Mapping[str, Any]
) -> tuple[PlannedLayer, Tops]:
    """Plans one layer for the shapes and orders that the plan gives its bottoms; the plan stays as it is.

    Args:
        plan: holds what stands above the layer.
        node: the layer's node.
        cls: its class.
        keras_args: Keras's own arguments (name, dtype).

    Raises:
        LayerError, ShapeError, NetError: the layer's parameters or bottoms are refused; names the layer and its line.
    """
    with _located(plan, node):
        bottoms = [Bottom(plan.shapes[v], plan.orders[v]) for v in node.inputs]
        orders = cls.bottom_orders(node.message, bottoms)
        bottoms = [Bottom(b.shape, order) for b, order in zip(bottoms, orders, strict=True)]
        layer = cls.from_caffe(node.message, bottoms, **keras_args)
        layer.place = Place(f"{node.name!r} ({node.type})", tuple(plan.net.values[v].blob for v in node.inputs))
        layer.shown_axes = tuple(permutation(order, edge_order(len(order), plan.data_format)) for order in orders)
        # Who reads an error about a file knows the shapes in Caffe's order, whatever the model's data_format.
        stored = [Shown(to_stored(b.shape, b.order), inverse(b.order)) for b in bottoms]
        tops = layer.top_shapes(*stored)
        blobs = layer.blob_table(*stored)
        _check_blobs(node, blobs)
        if len(tops) != len(node.outputs):
            raise NetError("wrong number of tops", expected=len(tops), received=len(node.outputs))
        top_orders = layer.top_orders(orders, [len(top) for top in tops])
        shaped = [(check_blob(to_caffe(top, order)), order) for top, order in zip(tops, top_orders, strict=True)]
        planned = PlannedLayer(node, layer, orders, blobs, _loss_weights(node, layer.is_loss))
        return planned, dict(zip(node.outputs, shaped, strict=True))


def _in_caffes_order(top: Shape, order: Order) -> Shape:
    if len(top) != len(order):
        raise ShapeError("a top has another number of axes than in the model", expected=len(order), received=len(top))
    return to_caffe(top, order)


@contextmanager
def _located(plan: Plan, node: Node) -> Iterator[None]:
    """Adds the layer and its line to an error."""
    try:
        yield
    except CaffeError as error:
        located = _explained(error, plan, node).at(where=node.where, layer=f"{node.name!r} ({node.type})")
        raise located from error.__cause__


def _loss_weights(node: Node, is_loss: bool = False) -> list[float]:
    """One weight for each top; where none is stated, 1 for the top of a loss layer and 0 elsewhere."""
    weights = list(node.message.loss_weight)
    if not weights and is_loss:
        weights = [1.0]  # Caffe states this one weight itself, so a loss layer with two tops must state both.
    if weights and len(weights) != len(node.outputs):
        raise NetError(
            "loss_weight must be unspecified or given once for each top",
            expected=f"{len(node.outputs)} weights",
            received=f"{len(weights)}",
        )
    return weights or [0.0] * len(node.outputs)


def _check_blobs(node: Node, blobs: Sequence[Blob]) -> None:
    if len(node.message.param) > len(blobs):
        raise NetError(
            "more param specs than learnable blobs", expected=f"at most {len(blobs)}", received=len(node.message.param)
        )
    for blob in blobs:
        if (count(check_blob(blob.shape)) or 0) > INT_MAX // 4:
            raise LayerError(
                f"blob {blob.name!r} of shape {blob.shape} takes over 2 GB",
                expected="parameters of at most 2 GB each",
                fix="Check num_output and the kernel size.",
            )
        blob.check()


def _check_arity(node: Node, cls: type[CaffeLayer]) -> None:
    for what, allowed, values in (("bottoms", cls.bottoms, node.inputs), ("tops", cls.tops, node.outputs)):
        check_count(what, len(values), allowed)


def _owners(plan: Plan) -> dict[Slot, Slot]:
    owners = {}
    for (index, blob), shared in shared_params(plan.net).items():
        owner, owned = shared.owner
        mine, theirs = plan.layers[index].blobs[blob].shape, plan.layers[owner].blobs[owned].shape
        if mine != theirs and (shared.share_mode == "STRICT" or count(mine) != count(theirs)):
            node = plan.net.nodes[index]
            raise NetError(
                f"shared parameter {shared.name!r} has another {'shape' if shared.share_mode == 'STRICT' else 'count'}"
                f" than in layer {plan.net.nodes[owner].name!r}, which owns it",
                where=node.where,
                layer=f"{node.name!r} ({node.type})",
                expected=theirs,
                received=mine,
            )
        owners[index, blob] = shared.owner
    return owners


def _can_be_dynamic(plan: Plan) -> bool:
    """Whether every layer can be sized without knowing the first axis of the inputs."""
    # Each layer is asked with the first axis open, as Keras will ask it: one that must know the batch (parameters over
    # axis 0, carried state) refuses or gives blobs of other shapes, and then the whole net is built for that batch.
    shapes = {value: plan.input_shape(value) for value in plan.inputs}
    for planned in plan.layers.values():
        stored = _stored_bottoms(planned, shapes)
        try:
            tops = planned.layer.top_shapes(*stored)
            if [blob.shape for blob in planned.layer.blob_table(*stored)] != [blob.shape for blob in planned.blobs]:
                return False
        except LayerError:
            return False
        for value, top in zip(planned.node.outputs, tops, strict=True):
            shapes[value] = to_caffe(top, plan.orders[value])
    return True


def _stored_bottoms(planned: PlannedLayer, shapes: Mapping[str, Shape]) -> list[Shape]:
    return [to_stored(shapes[v], order) for v, order in zip(planned.node.inputs, planned.orders, strict=True)]


def _check_used(left: Collection[str], inputs: Iterable[str]) -> None:
    if left:
        raise NetError(
            f"a shape is given for what is not an input: {', '.join(map(repr, left))}", **instead(left, inputs)
        )


def _explained(error: CaffeError, plan: Plan, node: Node) -> CaffeError:
    """The error; or the one that says so, where a layer refuses what comes of an Input without a shape."""
    values = [value for value in plan.inputs_of(node.inputs) if not plan.shapes[value]]
    blobs = [plan.net.values[value].blob for value in values if not _states_shape(plan.net.producer(value))]
    return shapes_not_known(dict.fromkeys(blobs, "NCHW")) if blobs and isinstance(error, LayerError) else error


def _states_shape(source: Node) -> bool:
    """Whether an Input says that its blob has no axes, rather than nothing."""
    return bool(source.message.input_param.shape)
