"""Layers planned again when their bottoms get other shapes. Caffe: each layer's Reshape, at each forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from keras_caffe.converters.build import build_layer
from keras_caffe.converters.infer import Plan, PlannedLayer, Tops, plan_layer
from keras_caffe.errors import ShapeError
from keras_caffe.layers.base import BoundBlob
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.layout import Order, caffe_order
from keras_caffe.pycaffe.recent import Recent
from keras_caffe.shapes import Shape

Bottoms = tuple[tuple[Shape, Order], ...]


class Fitted(NamedTuple):
    """A layer that is planned and built for certain bottoms, and its tops."""

    planned: PlannedLayer
    tops: Tops


class Reshaper:
    """Keeps a plan's layers fit for the shapes that their bottoms have.

    A layer for other shapes is another Keras layer with the same variables. Those for the shapes of late are kept.

    Args:
        plan: its layers are built; they and its shapes are replaced.
        context: that the net was planned in.
    """

    def __init__(self, plan: Plan, context: LoadContext) -> None:
        self.plan: Plan = plan
        self._context = context
        self._fitted: dict[int, Recent[Bottoms, Fitted]] = {}
        for index, planned in plan.layers.items():
            tops = {value: (plan.shapes[value], plan.orders[value]) for value in planned.node.outputs}
            self._fitted[index] = Recent({self._bottoms(index): Fitted(planned, tops)})

    def set_shape(self, value: str, shape: Shape) -> None:
        """Notes the shape that a value has got otherwise: from a script, or from a layer that decides when it runs."""
        self.plan.shapes[value] = shape
        if len(self.plan.orders[value]) != len(shape):
            self.plan.orders[value] = caffe_order(len(shape))

    def fit(self, index: int) -> PlannedLayer | None:
        """Makes a layer fit its bottoms' shapes, and notes its tops'.

        Returns:
            The layer that another one has taken the place of; None if it fits as it is.

        Raises:
            ShapeError, LayerError: the layer refuses its bottoms, or would need other parameters.
        """
        before = self.plan.layers[index]
        own = dict(enumerate(before.layer.caffe_blobs))
        fitted = self._fitted[index].get(self._bottoms(index), lambda: self._planned_again(before, own))
        self.plan.add(*fitted)
        return None if fitted.planned is before else before

    def use(self, index: int, blobs: Mapping[int, BoundBlob]) -> PlannedLayer:
        """Lets a layer use these blobs from now on, in place of its own.

        Returns:
            The layer that another one has taken the place of.
        """
        before = self.plan.layers[index]
        fitted = self._planned_again(before, blobs)
        self._fitted[index] = Recent({self._bottoms(index): fitted})
        self.plan.add(*fitted)
        return before

    def _bottoms(self, index: int) -> Bottoms:
        return tuple((self.plan.shapes[v], self.plan.orders[v]) for v in self.plan.net.nodes[index].inputs)

    def _planned_again(self, before: PlannedLayer, blobs: Mapping[int, BoundBlob]) -> Fitted:
        node, layer = before.node, before.layer
        keras_args = {"name": layer.name, "dtype": layer.dtype_policy}
        with loading(self._context):
            planned, tops = plan_layer(self.plan, node, type(layer), keras_args)
        _check_blobs(planned, layer.caffe_blobs)
        self.plan.layers[node.index] = planned
        try:
            build_layer(self.plan, node.index, {node.index: blobs})
        finally:
            self.plan.layers[node.index] = before
        return Fitted(planned, tops)


def _check_blobs(planned: PlannedLayer, bound: Sequence[BoundBlob]) -> None:
    wanted, have = [tuple(blob.shape) for blob in planned.blobs], [tuple(b.blob.shape) for b in bound]
    if wanted != have:
        raise ShapeError(
            "the new input shapes would change the shape of parameters",
            where=planned.node.where,
            layer=f"{planned.node.name!r} ({planned.node.type})",
            expected=have,
            received=wanted,
        )
