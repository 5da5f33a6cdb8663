"""Accum (lmb-freiburg/flownet2: accum_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import flag, per_axis, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.ops.interp import interp
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, ceil_div, known, same_shape


@serializable
@register_layer("Accum")
class Accum(CaffeLayer):
    """All bottoms resized to one size, bilinear and corner to corner, one behind the other along the channels.

    Let (h, w) be the greatest height and the greatest width among the bottoms. The size is the next multiples of
    `size_divisible_by`, or `size`, if that is larger than (h, w) in both directions, and (h, w) otherwise.

    Args:
        size: (height, width) in pixels, or one number for both (0).
        size_divisible_by: in pixels; 0 (default): `size` counts.
        have_reference: the last bottom only gives the size (False).

    Shapes: (N, H_i, W_i, C_i) -> (N, H, W, the sum of C_i).

    Raises:
        LayerError: arguments that are impossible. ShapeError: not 4 axes, batches that differ, a reference alone, or a
            bottom that would be resized to a single row or column: the fork divides by its size less 1.

    Caffe: src/caffe/layers/accum_layer.cpp (lmb-freiburg/flownet2)
    """

    bottoms: Arity = (1, None)
    stores = "channels_last"
    flops_per_top_value: int | None = 7  # 4 products, 3 sums

    def __init__(
        self,
        size: int | Sequence[int] = 0,
        size_divisible_by: int = 0,
        have_reference: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size: tuple[int, ...] = per_axis("size (height, width)", size, 2)
        self.size_divisible_by: int = whole("size_divisible_by", size_divisible_by, 0)
        self.have_reference: bool = flag("have_reference", have_reference)

    def call(self, inputs: Any) -> Any:
        bottoms = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        (top,) = self.top_shapes(*(tuple(x.shape) for x in bottoms))
        height, width = ops.shape(bottoms[-1])[1:3] if self.have_reference else top[1:3]
        kept = bottoms[: len(bottoms) - self.have_reference]
        return ops.concatenate([interp(x, height, width) for x in kept], axis=-1)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("Accum", *shapes)
        for shape in shapes[1:]:
            same_shape(shapes[0][:1], shape[:1], "all bottoms of Accum must have one batch size")
        if self.have_reference and len(shapes) == 1:
            raise ShapeError("Accum has nothing beside its reference", expected="2 or more bottoms", received=1)
        kept = shapes[: len(shapes) - self.have_reference]
        high, wide = shapes[-1][1:3] if self.have_reference else self._size(shapes)
        for shape in kept:
            if any(size == 1 and have not in (1, None) for size, have in zip((high, wide), shape[1:3], strict=True)):
                raise ShapeError("Accum cannot make a single row or column", received=(high, wide))
        return [(shapes[0][0], high, wide, sum(known([shape[3] for shape in kept])))]

    def _size(self, shapes: Sequence[Shape]) -> tuple[Size, Size]:
        most = [max(known([shape[axis] for shape in shapes])) for axis in (1, 2)]
        by = self.size_divisible_by
        wish = [ceil_div(size, by) * by for size in most] if by else list(self.size)
        high, wide = wish if all(a > b for a, b in zip(wish, most, strict=True)) else most
        return high, wide

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.accum_param
        size = (param.top_height, param.top_width)
        return cls(size, param.size_divisible_by, param.have_reference, **kwargs)
