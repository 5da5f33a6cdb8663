"""MVN (src/caffe/layers/mvn_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import distinct_axes, flag, number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.legacy import RANK, legacy_axis, legacy_bottom_order, legacy_shape, legacy_top_orders
from keras_caffe.layout import Order
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("MVN")
class MVN(CaffeLayer):
    """y = (x - mean) / (sqrt(variance) + eps) over each channel of each image, or over all channels of each image.

    The variance is biased; eps is added to the standard deviation, but the gradient takes it for part of the variance.

    Args:
        axes: the tensor axes of the four-axis top over which mean and variance are taken (1, 2).
        normalize_variance: divide (True); otherwise the mean is subtracted only.
        eps: in units of x (1e-9).

    Shapes: up to 4 axes; the top has 4, missing ones of size 1.

    Raises:
        LayerError: axes out of range or named twice. ShapeError: a bottom of more than 4 axes.

    Caffe: src/caffe/layers/mvn_layer.cpp
    """

    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self, axes: int | Sequence[int] = (1, 2), normalize_variance: bool = True, eps: float = 1e-9, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axes: tuple[int, ...] = distinct_axes("axes", axes, RANK)
        self.normalize_variance: bool = flag("normalize_variance", normalize_variance)
        self.eps: float = number("eps", eps)

    def call(self, inputs: Any) -> Any:
        shape = ops.shape(inputs)
        x = inputs if len(shape) == 4 else ops.reshape(inputs, legacy_shape(shape))
        centred = x - ops.mean(x, axis=self.axes, keepdims=True)
        return centred / self._deviation(centred) if self.normalize_variance else centred

    def _deviation(self, centred: Any) -> Any:
        variance = ops.mean(ops.square(centred), axis=self.axes, keepdims=True)
        deviation = ops.sqrt(ops.stop_gradient(variance)) + self.eps
        # Has the value of `deviation` and the gradient of the square root of (variance + a constant), as in Caffe.
        return with_gradient_of(deviation, variance / (2 * deviation))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [legacy_shape(shapes[0])]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return (5 if self.normalize_variance else 2) * total_count(tops)  # sum, difference; square, sum, quotient

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [legacy_bottom_order(bottoms[0])]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return legacy_top_orders(orders, ranks)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.mvn_param
        axes = [legacy_axis(bottoms[0].order, axis) for axis in ((1, 2, 3) if param.across_channels else (2, 3))]
        return cls(axes=axes, normalize_variance=param.normalize_variance, eps=param.eps, **kwargs)
