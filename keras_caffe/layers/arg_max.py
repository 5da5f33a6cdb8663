"""ArgMax (src/caffe/layers/argmax_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import flag, optional, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layout import Order, caffe_order
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, count, total_count


@serializable
@register_layer("ArgMax")
class ArgMax(CaffeLayer):
    """The indices of the `top_k` greatest values, as floats, greatest first; of equal values the last comes first.
    The order of NaN among other values is undefined, as in Caffe.

    Args:
        top_k: how many, at least 1 (default).
        out_max_val: the values too (False): beside the indices without `axis`, in their place with it.
        axis: tensor axis that is searched; None (default) = all axes but the first, flattened in Caffe's order.

    Shapes: with `axis` its size becomes top_k; without (N, 1, top_k), with `out_max_val` (N, 2, top_k), indices before
    values, and axes of size 1 up to the bottom's number of axes.

    Raises:
        LayerError, ShapeError: the axis is out of range, or there are fewer than `top_k` values.

    Caffe: src/caffe/layers/argmax_layer.cpp
    """

    has_gradient = False

    def __init__(self, top_k: int = 1, out_max_val: bool = False, axis: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.top_k: int = whole("top_k", top_k, 1)
        self.out_max_val: bool = flag("out_max_val", out_max_val)
        self.axis: int | None = optional(whole, "axis", axis)
        if self.compute_dtype in ("float16", "bfloat16"):
            self.dtype_policy = "float32"  # Half precision has no room for the indices.

    def call(self, inputs: Any) -> Any:
        if self.axis is not None:
            values, indices = self._search(ops.moveaxis(inputs, self.axis, -1))
            return ops.moveaxis(values if self.out_max_val else indices, -1, self.axis)
        values, indices = self._search(
            ops.reshape(inputs, (ops.shape(inputs)[0], count(tuple(inputs.shape[1:])) or -1))
        )
        best = ops.stack([indices, values], axis=1) if self.out_max_val else indices
        (shape,) = self.top_shapes(tuple(inputs.shape))
        return ops.reshape(best, (ops.shape(inputs)[0], *shape[1:]))

    def _search(self, x: Any) -> tuple[Any, Any]:
        # Searched backwards: `top_k` puts the first of equal values first, Caffe the last.
        values, indices = ops.top_k(ops.flip(x, axis=-1), self.top_k)
        return values, ops.cast(ops.shape(x)[-1] - 1 - indices, x.dtype)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        if self.axis is not None:
            axis = canonical_axis(self.axis, len(shape))
            self._check(shape[axis])
            return [(*shape[:axis], self.top_k, *shape[axis + 1 :])]
        if not shape:
            raise ShapeError("ArgMax without axis needs a batch axis", expected="at least one axis", received=shape)
        self._check(count(shape[1:]))
        return [(shape[0], 2 if self.out_max_val else 1, self.top_k, *[1] * (len(shape) - 3))]

    def _check(self, size: int | None) -> None:
        if size is not None and self.top_k > size:
            raise ShapeError(
                "top_k is larger than the number of values", expected=f"at most {size}", received=self.top_k
            )

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return total_count(bottoms)

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        bottom = bottoms[0]
        return [bottom.order if layer.argmax_param.HasField("axis") else caffe_order(bottom.rank)]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(ranks[0]) if self.axis is None else orders[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.argmax_param
        axis = bottoms[0].axis(param.axis) if param.HasField("axis") else None
        return cls(top_k=param.top_k, out_max_val=param.out_max_val, axis=axis, **kwargs)
