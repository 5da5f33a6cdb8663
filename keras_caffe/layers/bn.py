"""BN: batch normalization with scale and shift, as SegNet, temporal segment networks and PSPNet define it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import filler, flag, number, one_of, whole
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, serializable
from keras_caffe.layers.bn_forks import definition, parameters
from keras_caffe.layout import Order, caffe_order
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, known


@serializable
@register_layer("BN")
class BN(CaffeLayer):
    """y = slope (x - mean) / sqrt(variance + eps) + bias per channel.

    Forks define the type differently. The fields that are set decide which definition holds, or `fork`:
    SegNet (bn_mode, or only scale_filler and shift_filler; fork "segnet"): blobs slope, bias; LEARN takes the batch's
    statistics in both phases, INFERENCE none (y = slope x + bias); further tops are mean and variance.
    Temporal segment networks and PSPNet (slope_filler, bias_filler, momentum, eps, frozen; fork "pspnet"): also blobs
    mean, variance; the batch's statistics in training, the moving ones else and when frozen (then nothing is learned).
    PSPNet's earlier code (var_eps, moving_average, decay, axis): the same blobs; the moving ones are used only in
    inference with moving_average. In training moving <- momentum moving + (1 - momentum) batch; variances are biased.

    Args:
        statistics: "batch", "moving", "phase" (default: batch in training, else moving) or "none".
        momentum: what stays of the moving statistics (0.9).
        eps: added to the variance (1e-5).
        history: there are blobs for the moving statistics (True).
        frozen: nothing is learned (False).
        axis: tensor axis of the channels (-1).
        blob_axes, blob_axis: number of axes of the blobs, and the one that holds the channels (4, 1).
        more_tops: how many of mean and variance are tops, too: 0 (default) to 2.
        scale_filler, shift_filler: fillers of slope and bias (1, 0).

    Shapes: any; the top has the bottom's shape, further ones are (1, C, 1, 1).

    Raises:
        LayerError, ShapeError: no channel axis, an axis or a number of tops that the fork refuses.

    Caffe: src/caffe/layers/bn_layer.cpp (SegNet; temporal segment networks; PSPNet)
    """

    tops: Arity = (1, 3)
    flops_per_top_value: int | None = 2
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self,
        statistics: str = "phase",
        momentum: float = 0.9,
        eps: float = 1e-5,
        history: bool = True,
        frozen: bool = False,
        axis: int = -1,
        blob_axes: int = 4,
        blob_axis: int = 1,
        more_tops: int = 0,
        scale_filler: fillers.Filler = fillers.ONE,
        shift_filler: fillers.Filler = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.statistics: str = one_of("statistics", statistics, ("batch", "moving", "phase", "none"))
        self.momentum: float = number("momentum", momentum)
        self.eps: float = number("eps", eps)
        self.history: bool = flag("history", history)
        self.frozen: bool = flag("frozen", frozen)
        self.axis: int = whole("axis", axis)
        if self.statistics in ("moving", "phase") and not self.history:
            raise LayerError(f"statistics {self.statistics!r} need the moving ones", expected="history=True")
        self.blob_axes: int = whole("blob_axes", blob_axes, 1)
        self.blob_axis: int = whole("blob_axis", blob_axis, 0, self.blob_axes - 1)
        self.more_tops: int = whole("more_tops", more_tops, 0, 2)
        if self.more_tops and self.statistics == "none":
            raise LayerError("without statistics BN has no further tops", expected="more_tops 0", received=more_tops)
        self.scale_filler: fillers.Filler = filler("scale_filler", scale_filler)
        self.shift_filler: fillers.Filler = filler("shift_filler", shift_filler)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = ops.cast(inputs, self.variable_dtype)
        rank = len(x.shape)
        wide = tuple(-1 if a == self.axis % rank else 1 for a in range(rank))
        slope, bias = (ops.reshape(ops.cast(blob, x.dtype), wide) for blob in (self.slope, self.bias))
        if self.statistics == "none":
            return ops.cast(x * slope + bias, self.compute_dtype)
        mean, variance = self._statistics(x, training, wide)
        y = ops.cast((x - mean) * ops.rsqrt(variance + self.eps) * slope + bias, self.compute_dtype)
        more = [ops.cast(ops.reshape(ops.stop_gradient(s), (1, -1, 1, 1)), y.dtype) for s in (mean, variance)]
        return [y, *more[: self.more_tops]] if self.more_tops else y

    def _statistics(self, x: Any, training: bool | None, wide: Shape) -> tuple[Any, Any]:
        if self.statistics == "moving" or (self.statistics == "phase" and not training):
            return ops.reshape(self.mean, wide), ops.reshape(self.variance, wide)
        axes = tuple(a for a, size in enumerate(wide) if size == 1)
        mean = ops.mean(x, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=axes, keepdims=True)
        if self.history and training:
            for moving, batch in ((self.mean, mean), (self.variance, variance)):
                new = ops.reshape(ops.stop_gradient(batch), moving.shape)
                moving.assign(self.momentum * moving + (1 - self.momentum) * new)
        return mean, variance

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        channels = shape[canonical_axis(self.axis, len(shape))]
        return [shape, *[(1, channels, 1, 1)] * self.more_tops]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [orders[0], *(caffe_order(rank) for rank in ranks[1:])]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        shape = known([shapes[0][self.axis] if a == self.blob_axis else 1 for a in range(self.blob_axes)])
        rows = (("slope", self.scale_filler), ("bias", self.shift_filler))
        learned = [Blob(name, shape, filler, trainable=not self.frozen) for name, filler in rows]
        one = {"type": "constant", "value": float(self.frozen)}
        moving = [Blob("mean", shape, trainable=False), Blob("variance", shape, one, trainable=False)]
        return learned + moving if self.history else learned

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        fork = definition(layer)
        axis = layer.bn_param.axis if fork == "pspnet-old" else 1
        if axis not in (1, 2) or bottoms[0].rank <= axis:
            raise ShapeError("BN finds no channel axis", expected="axis 1 or 2 of the bottom", received=axis)
        if len(layer.top) > 1 and fork != "segnet":
            raise LayerError("only SegNet's BN has further tops", expected="1 top", received=len(layer.top))
        return cls(**parameters(layer, fork), axis=bottoms[0].axis(axis), blob_axis=axis, **kwargs)
