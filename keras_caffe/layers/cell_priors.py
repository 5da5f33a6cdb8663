"""What PriorBox and PriorBoxClustered have in common: boxes of pixels around each cell, in units of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import distinct_axes, each_axis, flag, number, numbers, optional, per_axis
from keras_caffe.layers.base import Arity, CaffeLayer
from keras_caffe.layers.loss import full_precision
from keras_caffe.layout import Order, caffe_order
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.priors import Prior, prior_boxes
from keras_caffe.shapes import Shape, count


class CellPriors(CaffeLayer):
    """Boxes around every cell of a feature map, in units of the image, and their variances.

    Args:
        clip, variance, img_size, step, offset, spatial: see layers.PriorBox.
    """

    bottoms: Arity = (2, 2)
    flops_per_top_value: int | None = 0  # its boxes are constants
    has_gradient = False

    def __init__(
        self,
        clip: bool,
        variance: float | Sequence[float],
        img_size: int | Sequence[int] | None,
        step: float | Sequence[float] | None,
        offset: float,
        spatial: Sequence[int],
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.clip: bool = flag("clip", clip)
        self.offset: float = number("offset", offset)
        self.variance: tuple[float, ...] = numbers("variance", variance, above=0)
        if len(self.variance) not in (0, 1, 4):
            raise LayerError("variance must be none, one or four numbers", received=self.variance)
        self.img_size: tuple[int, ...] | None = optional(per_axis, "img_size", img_size, 2, 1)
        self.step: tuple[float, ...] | None = (
            None if step is None else tuple(number("step", s, above=0) for s in each_axis("step", step, 2))
        )
        self.spatial: tuple[int, ...] = distinct_axes("spatial", per_axis("spatial", spatial, 2, -4), 4)

    @property
    def priors(self) -> list[Prior]:
        """The boxes of a cell."""
        raise NotImplementedError

    @property
    def cuts(self) -> bool:
        """Whether boxes end at the image in any case."""
        return False

    @compiled
    def call(self, inputs: Any) -> Any:
        features, image = ([ops.shape(x)[axis] for axis in self.spatial] for x in inputs)
        boxes = prior_boxes(features, self.img_size or image, self.priors, self.step, self.offset, self.cuts)
        boxes = ops.clip(boxes, 0, 1) if self.clip else boxes
        variance = ops.convert_to_tensor(self.variances(), boxes.dtype) + ops.zeros_like(boxes)
        return ops.reshape(ops.stack([boxes, variance]), (1, 2, -1))

    def variances(self) -> tuple[float, ...]:
        given = self.variance or (0.1,)
        return given if len(given) == 4 else (given[0],) * 4

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        for shape in shapes:
            if len(shape) != 4:
                raise ShapeError(f"{type(self).__name__} needs bottoms of 4 axes", received=shape)
        cells = [shapes[0][axis] for axis in self.spatial]
        return [(1, 2, count([*cells, 4 * len(self.priors)]))]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(3)]
