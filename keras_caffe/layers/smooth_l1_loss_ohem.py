"""SmoothL1LossOHEM (microsoft/caffe for R-FCN, src/caffe/layers/smooth_L1_loss_ohem_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number, one_of, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import LossLayer, normalization
from keras_caffe.layers.loss_bottoms import check_alike
from keras_caffe.ops.distances import smooth_l1, weighted_difference
from keras_caffe.ops.losses import NORMALIZATIONS, normalizer
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("SmoothL1LossOHEM")
class SmoothL1LossOHEM(LossLayer):
    """sum smooth_l1(w (a - b)) / Z, and the loss of each place; smooth_l1(d) = d^2 / 2 if |d| < 1, else |d| - 1/2.

    Z is the number of places without channels (FULL, VALID), the batch size, a constant or 1, and 1 at least. The
    weight w does not multiply the gradient once more. The second top sums over the channels and has no gradient.

    Args:
        normalization: "FULL" or "VALID" (default), "BATCH_SIZE", "PRE_FIXED" or "NONE".
        pre_fixed_normalizer: Z of PRE_FIXED (1).
        more_tops: 1 gives the losses of the places as a second top (0).

    Shapes: a (N[, C[, H[, W]]]), b and w alike, further axes of size 1 or not -> () [, (N, 1, H, W)].

    Raises:
        ShapeError: the bottoms differ in shape.

    Caffe: src/caffe/layers/smooth_L1_loss_ohem_layer.cpp (microsoft/caffe)
    """

    bottoms: Arity = (2, 3)
    tops: Arity = (1, 2)
    not_forced: Sequence[int] = ()
    kept_bottoms: Sequence[int] = (0, 1)

    def __init__(
        self, normalization: str = "VALID", pre_fixed_normalizer: float = 1.0, more_tops: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.normalization: str = one_of("normalization", normalization, (*NORMALIZATIONS, "PRE_FIXED"))
        self.pre_fixed_normalizer: float = number("pre_fixed_normalizer", pre_fixed_normalizer)
        self.more_tops: int = whole("more_tops", more_tops, 0, 1)

    def call(self, inputs: Any) -> Any:
        a, b, weights = (*inputs, None)[:3]
        losses = smooth_l1(weighted_difference(a, b, weights, weigh_gradient=False))
        losses = ops.reshape(losses, (*ops.shape(losses), *(1,) * (4 - len(losses.shape))))
        places = ops.sum(losses, axis=1, keepdims=True)
        loss = ops.sum(places) / self._normalizer(places)
        return [loss, ops.stop_gradient(places)] if self.more_tops else loss

    def _normalizer(self, places: Any) -> Any:
        if self.normalization == "PRE_FIXED":
            return max(self.pre_fixed_normalizer, 1.0)
        return normalizer(self.normalization, ops.ones_like(places))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        loss = super().top_shapes(*shapes)
        batch, *rest = shapes[0]
        return [*loss, (batch, 1, *(*rest[1:], 1, 1)[:2])][: 1 + self.more_tops]

    def check_shapes(self, *shapes: Shape) -> None:
        check_alike(shapes)

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        # Difference, magnitude, comparison, square, half, sum; a product for the weight.
        return (4 + len(bottoms)) * total_count(bottoms[:1])

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        fixed = layer.loss_param.pre_fixed_normalizer
        return cls(normalization(layer), fixed, more_tops=len(layer.top) - 1, **kwargs)
