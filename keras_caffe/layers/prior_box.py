"""PriorBox (weiliu89/caffe ssd, src/caffe/layers/prior_box_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import distinct_axes, each_axis, flag, number, numbers, optional, per_axis
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import full_precision
from keras_caffe.layout import Order, caffe_order
from keras_caffe.ops.boxes import prior_boxes, prior_sizes
from keras_caffe.ops.compiled import compiled
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count


@serializable
@register_layer("PriorBox")
class PriorBox(CaffeLayer):
    """Default boxes around every cell of a feature map, in units of the image, and their variances.

    Row 0 holds (xmin, ymin, xmax, ymax), row 1 four variances, for all cells (h, w), then for each min_size: a square
    of min_size, a square of sqrt(min_size max_size) if there are max_sizes, then min_size sqrt(r) x min_size / sqrt(r)
    for each aspect ratio r (and 1/r) other than 1. Cell (h, w) has its centre at ((w + offset) step_w, (h + offset)
    step_h).

    Args:
        min_size, max_size: pixels; fractions are cut off; as many max_size as min_size, or none.
        aspect_ratio: width over height; 1 is always there, repetitions are dropped.
        flip: add 1/r for each ratio r (True).
        clip: cut the boxes at the image (False).
        variance: none (0.1), one, or four numbers.
        img_size: (height, width) in pixels, or one number for both; None = the second bottom's.
        step: (height, width) of a cell in pixels, or one number for both; None = image size over feature map size.
        offset: place of the centre in its cell, in cells (0.5).
        spatial: tensor axes of height and width of both bottoms (1, 2).

    Shapes: feature map, image (4 axes each) -> (1, 2, 4 H W boxes).

    Raises:
        LayerError: missing, negative or infinite sizes, steps, variances; forms that exclude each other given together.

    Caffe: src/caffe/layers/prior_box_layer.cpp (weiliu89/caffe, branch ssd)
    """

    bottoms: Arity = (2, 2)
    flops_per_top_value: int | None = 0  # its boxes are constants
    has_gradient = False

    def __init__(
        self,
        min_size: float | Sequence[float],
        max_size: float | Sequence[float] = (),
        aspect_ratio: float | Sequence[float] = (),
        flip: bool = True,
        clip: bool = False,
        variance: float | Sequence[float] = (),
        img_size: int | Sequence[int] | None = None,
        step: float | Sequence[float] | None = None,
        offset: float = 0.5,
        spatial: Sequence[int] = (1, 2),
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.min_size: tuple[float, ...] = numbers("min_size", min_size, above=0, most=2**31 - 1)
        self.max_size: tuple[float, ...] = numbers("max_size", max_size, most=2**31 - 1)
        _check_sizes(self.min_size, self.max_size)
        self.aspect_ratio: tuple[float, ...] = numbers("aspect_ratio", aspect_ratio, above=0, most=2**31 - 1)
        self.flip: bool = flag("flip", flip)
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
    def sizes(self) -> list[tuple[float, float]]:
        """(width, height) in pixels of the boxes of a cell."""
        return prior_sizes(self.min_size, self.max_size, self.aspect_ratio, self.flip)

    @compiled
    def call(self, inputs: Any) -> Any:
        features, image = ([ops.shape(x)[axis] for axis in self.spatial] for x in inputs)
        boxes = prior_boxes(features, self.img_size or image, self.sizes, self.step, self.offset)
        boxes = ops.clip(boxes, 0, 1) if self.clip else boxes
        variance = ops.convert_to_tensor(self.variances(), boxes.dtype) + ops.zeros_like(boxes)
        return ops.reshape(ops.stack([boxes, variance]), (1, 2, -1))

    def variances(self) -> tuple[float, ...]:
        given = self.variance or (0.1,)
        return given if len(given) == 4 else (given[0],) * 4

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        for shape in shapes:
            if len(shape) != 4:
                raise ShapeError("PriorBox needs bottoms of 4 axes", received=shape)
        cells = [shapes[0][axis] for axis in self.spatial]
        return [(1, 2, count([*cells, 4 * len(self.sizes)]))]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(3)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.prior_box_param
        return cls(
            min_size=param.min_size,
            max_size=param.max_size,
            aspect_ratio=param.aspect_ratio,
            flip=param.flip,
            clip=param.clip,
            variance=param.variance,
            img_size=_both(param, "img_size", "img_h", "img_w"),
            step=_both(param, "step", "step_h", "step_w"),
            offset=param.offset,
            spatial=[bottoms[0].axis(2), bottoms[0].axis(3)],
            **kwargs,
        )


def _check_sizes(least: Sequence[float], greatest: Sequence[float]) -> None:
    if not least:
        raise LayerError("min_size is missing", expected="one or more sizes in pixels")
    if greatest and (len(greatest) != len(least) or not all(b > a for a, b in zip(least, greatest, strict=True))):
        raise LayerError(
            "max_size does not fit min_size",
            expected="none, or one for each min_size and greater",
            received=f"min_size {least}, max_size {greatest}",
        )


def _both(param: Any, name: str, height: str, width: str) -> list[Any] | None:
    """(height, width) given as one number or as two; None if not given."""
    given = {n for n in (name, height, width) if param.HasField(n)}
    if not given:
        return None
    if name in given and len(given) > 1:
        raise LayerError(f"{name} is given together with {height} or {width}", fix="Use one of the two forms.")
    return [getattr(param, n) for n in ((name, name) if name in given else (height, width))]
