"""LRN (src/caffe/layers/lrn_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import number, one_of, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.ops.lrn import lrn
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("LRN")
class LRN(CaffeLayer):
    """Local response normalisation.

    ACROSS_CHANNELS: y = x (k + alpha/n sum x^2)^-beta over n neighbouring channels (alpha is divided by n).
    WITHIN_CHANNEL: y = x (1 + alpha A)^-beta, A the average of x^2 over n x n pixels, zeros outside; k is not used.
    Without the native kernel a NaN or infinity makes all channels of its pixel NaN; in Caffe those whose sum has it.

    Args:
        local_size: n, odd (5).
        alpha, beta, k: see the formula (1, 0.75, 1).
        norm_region: "ACROSS_CHANNELS" (default) or "WITHIN_CHANNEL".

    Shapes: (N, H, W, C) -> the same.

    Raises:
        LayerError, ShapeError: an even size, a bottom without exactly 4 axes.

    Examples:
        >>> np.asarray(keras_caffe.layers.LRN(3)(np.ones((1, 1, 1, 3), "float32"))).round(3)
        array([[[[0.682, 0.595, 0.682]]]], dtype=float32)

    Caffe: src/caffe/layers/lrn_layer.cpp
    """

    stores = "channels_last"

    def __init__(
        self,
        local_size: int = 5,
        alpha: float = 1.0,
        beta: float = 0.75,
        k: float = 1.0,
        norm_region: str = "ACROSS_CHANNELS",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.local_size: int = whole("local_size", local_size, 1)
        if self.local_size % 2 == 0:
            raise LayerError("local_size must be odd", received=local_size)
        self.alpha: float = number("alpha", alpha)
        self.beta: float = number("beta", beta)
        self.k: float = number("k", k)
        self.norm_region: str = one_of("norm_region", norm_region, ("ACROSS_CHANNELS", "WITHIN_CHANNEL"))

    def call(self, inputs: Any) -> Any:
        return lrn(inputs, self.local_size, self.alpha, self.beta, self.k, self.norm_region)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise ShapeError("LRN needs a bottom with 4 axes", received=shapes[0])
        return [shapes[0]]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        """Square, sum of the neighbours, factor, offset, power, product."""
        neighbours = self.local_size ** (1 if self.norm_region == "ACROSS_CHANNELS" else 2)
        return (neighbours + 4) * total_count(tops)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.lrn_param
        return cls(
            local_size=param.local_size,
            alpha=param.alpha,
            beta=param.beta,
            k=param.k,
            norm_region=enum_name(param, "norm_region"),
            **kwargs,
        )
