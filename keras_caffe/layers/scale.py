"""Scale (src/caffe/layers/scale_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe import fillers
from keras_caffe.layers import arguments
from keras_caffe.layers.arguments import distinct_axes, flag
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, serializable
from keras_caffe.layers.bias import Bias, check_covered, covered, covered_axes, spread
from keras_caffe.layout import Order
from keras_caffe.ops.normalize import scale_and_shift
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known, total_count


@serializable
@register_layer("Scale")
class Scale(CaffeLayer):
    """y = x s + b, s and b being spread over the axes they do not cover.

    Args:
        axes: tensor axes that s covers, in the order of s's own axes (-1).
        bias_term: add a learned b of s's shape (False).
        filler, bias_filler: fillers of a learned s (one bottom) and of b (constant 1, constant 0).

    Shapes: x (any), and with two bottoms s, whose sizes are those of `axes` of x; the top has x's shape.

    Raises:
        LayerError, ShapeError: axes out of range, a second bottom that does not match.

    Examples:
        >>> np.asarray(keras_caffe.layers.Scale()([np.float32([[1, 2]]), np.float32([10, 100])]))
        array([[ 10., 200.]], dtype=float32)

    Caffe: src/caffe/layers/scale_layer.cpp
    """

    bottoms: Arity = (1, 2)
    kept_in_place = True

    def __init__(
        self,
        axes: int | Sequence[int] = -1,
        bias_term: bool = False,
        filler: fillers.Filler = fillers.ONE,
        bias_filler: fillers.Filler = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axes: tuple[int, ...] = distinct_axes("axes", axes)
        self.bias_term: bool = flag("bias_term", bias_term)
        self.filler: fillers.Filler = arguments.filler("filler", filler)
        self.bias_filler: fillers.Filler = arguments.filler(
            "bias_filler", bias_filler if self.bias_term else "constant"
        )

    def call(self, inputs: Any) -> Any:
        x, scale = inputs if isinstance(inputs, (list, tuple)) else (inputs, self.scale)
        if self.bias_term and self.axes in ((-1,), (len(x.shape) - 1,)):
            return scale_and_shift(x, scale, self.bias)
        y = x * spread(scale, self.axes, len(x.shape))
        return y + spread(self.bias, self.axes, len(x.shape)) if self.bias_term else y

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes) == 2:
            check_covered(shapes[0], shapes[1], self.axes)
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        fillers = {"scale": self.filler} if len(shapes) == 1 else {}
        fillers |= {"bias": self.bias_filler} if self.bias_term else {}
        return [Blob(name, known(covered(shapes[0], self.axes)), filler) for name, filler in fillers.items()]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return (2 if self.bias_term else 1) * total_count(tops)

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return Bias.bottom_orders(layer, bottoms)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, learned = layer.scale_param, len(bottoms) == 1
        return cls(
            axes=covered_axes(param, bottoms),
            bias_term=param.bias_term,
            filler=fillers.from_caffe(param.filler) if learned and param.HasField("filler") else fillers.ONE,
            bias_filler=fillers.from_caffe(param.bias_filler),
            **kwargs,
        )
