"""PriorBox (weiliu89/caffe ssd, src/caffe/layers/prior_box_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import full_precision
from keras_caffe.layout import Order, caffe_order
from keras_caffe.ops.boxes import prior_boxes, prior_sizes
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


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
        flip: add 1/r for each ratio r.
        clip: cut the boxes at the image.
        variance: none (0.1), one, or four numbers.
        img_size: (height, width) in pixels; None = the second bottom's.
        step: (height, width) of a cell in pixels; None = image size over feature map size.
        offset: place of the centre in its cell, in cells.
        spatial: tensor axes of height and width of both bottoms.

    Shapes: feature map, image (4 axes each) -> (1, 2, 4 H W boxes).

    Raises:
        LayerError: missing or negative sizes, steps, variances; forms that exclude each other given together.

    Caffe: src/caffe/layers/prior_box_layer.cpp (weiliu89/caffe, branch ssd)
    """

    bottoms = (2, 2)
    flops_per_top_value = 0  # its boxes are constants
    has_gradient = False

    def __init__(
        self,
        min_size: Sequence[float],
        max_size: Sequence[float] = (),
        aspect_ratio: Sequence[float] = (),
        flip: bool = True,
        clip: bool = False,
        variance: Sequence[float] = (),
        img_size: Sequence[int] | None = None,
        step: Sequence[float] | None = None,
        offset: float = 0.5,
        spatial: Sequence[int] = (1, 2),
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.min_size, self.max_size, self.aspect_ratio = tuple(min_size), tuple(max_size), tuple(aspect_ratio)
        self.flip, self.clip, self.variance = flip, clip, tuple(variance)
        self.img_size, self.step, self.offset, self.spatial = img_size, step, offset, tuple(spatial)

    @property
    def sizes(self) -> list[tuple[float, float]]:
        """(width, height) in pixels of the boxes of a cell."""
        return prior_sizes(self.min_size, self.max_size, self.aspect_ratio, self.flip)

    def call(self, inputs: Any) -> Any:
        features, image = ([ops.shape(x)[axis] for axis in self.spatial] for x in inputs)
        boxes = prior_boxes(features, self.img_size or image, self.sizes, self.step, self.offset)
        boxes = ops.clip(boxes, 0, 1) if self.clip else boxes
        variance = ops.convert_to_tensor(self._variances(), boxes.dtype) + ops.zeros_like(boxes)
        return ops.reshape(ops.stack([boxes, variance]), (1, 2, -1))

    def _variances(self) -> tuple[float, ...]:
        given = self.variance or (0.1,)
        return given if len(given) == 4 else (given[0],) * 4

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        for shape in shapes:
            if len(shape) != 4:
                raise ShapeError("PriorBox needs bottoms of 4 axes", expected="(N, C, H, W)", received=shape)
        height, width = (shapes[0][axis] for axis in self.spatial)
        cells = None if None in (height, width) else height * width
        return [(1, 2, None if cells is None else 4 * cells * len(self.sizes))]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        first = bottoms[0].order
        return [first if b.rank == len(first) else caffe_order(b.rank) for b in bottoms]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(3)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.prior_box_param
        _check_sizes(param.min_size, param.max_size)
        if any(ratio <= 0 for ratio in param.aspect_ratio):
            raise LayerError("aspect ratios must be positive", received=list(param.aspect_ratio))
        if len(param.variance) not in (0, 1, 4) or any(v <= 0 for v in param.variance):
            raise LayerError("variance must be none, one or four positive numbers", received=list(param.variance))
        return cls(
            min_size=list(param.min_size),
            max_size=list(param.max_size),
            aspect_ratio=list(param.aspect_ratio),
            flip=param.flip,
            clip=param.clip,
            variance=list(param.variance),
            img_size=_both(param, "img_size", "img_h", "img_w"),
            step=_both(param, "step", "step_h", "step_w"),
            offset=param.offset,
            spatial=[bottoms[0].axis(2), bottoms[0].axis(3)],
            **kwargs,
        )


def _check_sizes(least: Sequence[float], greatest: Sequence[float]) -> None:
    if not least or any(size <= 0 for size in least):
        raise LayerError("min_size must be given and positive", received=list(least))
    if greatest and (len(greatest) != len(least) or any(b <= a for a, b in zip(least, greatest, strict=True))):
        raise LayerError(
            "max_size does not fit min_size",
            expected="none, or one for each min_size and greater",
            received=f"min_size {list(least)}, max_size {list(greatest)}",
        )


def _both(param: Any, name: str, height: str, width: str) -> list[float] | None:
    """(height, width) given as one number or as two."""
    given = {n for n in (name, height, width) if param.HasField(n)}
    if not given:
        return None
    if name in given and len(given) > 1:
        raise LayerError(f"{name} is given together with {height} or {width}", fix="Use one of the two forms.")
    values = [getattr(param, n) for n in ((name, name) if name in given else (height, width))]
    if any(value <= 0 for value in values):
        raise LayerError(f"{name} must be positive", received=values)
    return values
