"""SmoothL1Loss of the SSD fork (weiliu89/caffe) and of Fast R-CNN (rbgirshick/caffe-fast-rcnn)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError, Option
from keras_caffe.forks.dialects import SSDS
from keras_caffe.layers.arguments import number, one_of
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.context import load_context
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import alike_orders, check_alike
from keras_caffe.layout import Order
from keras_caffe.ops.distances import smooth_l1_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("SmoothL1Loss")
class SmoothL1Loss(LossLayer):
    """sum smooth_l1(w (a - b)) / N; smooth_l1(d) = (sigma d)^2 / 2 if |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2).

    "ssd": sigma is 1; a third bottom w weighs the difference, but not the gradient once more.
    "rcnn": bottoms 3 and 4 weigh the difference and, outside, the loss; the gradient has both. It has no loss weight
    unless one is stated.

    Args:
        definition: "ssd" (default) or "rcnn".
        sigma: inverse width of the quadratic part (1; another for "rcnn" only).

    Shapes: a (N, ...), b and the weights alike, further axes of size 1 or not -> ().

    Raises:
        ShapeError: the bottoms differ in shape. LayerError: a number of bottoms or a sigma that the
            definition does not have.

    Caffe: src/caffe/layers/smooth_L1_loss_layer.cpp (weiliu89/caffe, branch ssd; Fast R-CNN)
    """

    bottoms: Arity = (2, 4)
    not_forced: Sequence[int] = ()
    kept_bottoms: Sequence[int] = (0, 1)

    def __init__(self, definition: str = "ssd", sigma: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.definition: str = one_of("definition", definition, ("ssd", "rcnn"))
        self.sigma: float = number("sigma", sigma)
        if self.definition == "ssd" and self.sigma != 1:
            raise LayerError("SSD's SmoothL1Loss has no sigma", received=sigma, fix='Take definition="rcnn".')
        self.is_loss: bool = self.definition == "ssd"

    def call(self, inputs: Any) -> Any:
        return smooth_l1_loss(*inputs, sigma=self.sigma, weigh_gradient=self.definition == "rcnn")

    def check_shapes(self, *shapes: Shape) -> None:
        check_alike(shapes)

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        # Difference, magnitude, comparison, square, half, sum; a product for each weight.
        return (4 + len(bottoms)) * total_count(bottoms[:1])

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return alike_orders(bottoms)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        given = layer.HasField("smooth_l1_loss_param")
        fork = load_context().fork
        rcnn = fork in ("rcnn", "rfcn") or (fork not in SSDS and (given or len(bottoms) == 4))
        if len(bottoms) not in ((2, 4) if rcnn else (2, 3)):
            raise LayerError(
                f"wrong number of bottoms for the {'Fast R-CNN' if rcnn else 'SSD'} SmoothL1Loss",
                expected="2 or 4" if rcnn else "2 or 3",
                received=len(bottoms),
                fix=Option("fork", "rcnn" if not rcnn else "ssd", "if the net was written for that fork"),
            )
        return cls("rcnn" if rcnn else "ssd", layer.smooth_l1_loss_param.sigma if rcnn else 1.0, **kwargs)
