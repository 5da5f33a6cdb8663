"""What Caffe's loss layers have in common (loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import one_of, optional, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, enum_name
from keras_caffe.layers.loss_bottoms import check_label_count, class_orders
from keras_caffe.layout import Order
from keras_caffe.ops.losses import NORMALIZATIONS
from keras_caffe.shapes import Shape, same_shape


class LossLayer(CaffeLayer):
    """Base of the losses: bottoms of one batch size, one scalar top without axes, not weighted.

    It computes in the precision of its variables, so that labels and sums survive a mixed precision policy.

    Raises:
        ShapeError: the first axes of the first two bottoms differ.
    """

    bottoms: Arity = (2, 2)
    stores = "caffe"
    is_loss = True
    not_forced: Sequence[int] = (1,)  # the labels

    def __init__(self, *, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        same_shape(shapes[0][:1], shapes[1][:1], "data and label must have the same first dimension")
        if not shapes[0]:
            raise ShapeError("a loss needs a batch axis", expected="at least one axis", received=shapes[0])
        self.check_shapes(*shapes)
        return [()]

    def check_shapes(self, *shapes: Shape) -> None:
        """Raises ShapeError where Caffe refuses the bottoms (given as stored)."""

    @classmethod
    def refuse_label_gradient(cls, layer: Any) -> None:
        """Raises LayerError if the file asks for a gradient of the labels."""
        if True in layer.propagate_down[1:]:
            raise LayerError(
                f"{cls.__name__} has no gradient for its labels",
                expected="propagate_down: false for all bottoms but the first",
                received=list(layer.propagate_down),
            )


def full_precision(dtype: Any) -> str:
    """The dtype in which a policy keeps variables, at least float32: labels and sums stay exact in it."""
    kept = keras.dtype_policies.get(dtype).variable_dtype
    return "float32" if kept in ("float16", "bfloat16") else kept


class ClassLossLayer(LossLayer):
    """Base of the losses over classes: the first bottom may be stored with its classes last.

    Args:
        axis: tensor axis of the classes (-1).
        batch_axes: number of the other axes, from the front, whose product is the batch size of BATCH_SIZE (1).
        ignore_label: places with this label do not count; None (default) = all count.
        normalization: "FULL", "VALID" (default), "BATCH_SIZE" or "NONE".
    """

    def __init__(
        self,
        axis: int = -1,
        batch_axes: int = 1,
        ignore_label: int | None = None,
        normalization: str = "VALID",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis: int = whole("axis", axis)
        self.batch_axes: int = whole("batch_axes", batch_axes, 0)
        self.ignore_label: int | None = optional(whole, "ignore_label", ignore_label)
        self.normalization: str = one_of("normalization", normalization, NORMALIZATIONS)

    def loss_arguments(self) -> dict[str, Any]:
        return {n: getattr(self, n) for n in ("ignore_label", "normalization", "batch_axes")}

    def classes_last(self, x: Any) -> Any:
        return ops.moveaxis(x, self.axis, -1)

    def check_shapes(self, *shapes: Shape) -> None:
        check_label_count(shapes[0], self.axis, shapes[1])

    @classmethod
    def caffe_axis(cls, layer: Any) -> int:
        """The axis of the classes, as the file gives it."""
        return layer.softmax_param.axis

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return class_orders(bottoms, cls.caffe_axis(layer))

    @classmethod
    def class_arguments(cls, layer: Any, bottoms: Sequence[Bottom]) -> dict[str, Any]:
        """The keyword arguments that the LossParameter and the axis give."""
        axis = bottoms[0].axis(cls.caffe_axis(layer))
        return {"axis": axis, "batch_axes": bottoms[0].order[axis], **loss_arguments(layer)}


def loss_arguments(layer: Any, default: str | None = None) -> dict[str, Any]:
    """ignore_label and normalization of a layer's LossParameter. Raises LayerError for one that BVLC's losses lack.

    Args:
        layer: the LayerParameter.
        default: the mode of a layer that has another default than the message.
    """
    mode = normalization(layer, default)
    if mode == "PRE_FIXED":
        raise LayerError(
            f"{layer.type} has no normalization PRE_FIXED, which R-FCN's SmoothL1LossOHEM alone has",
            expected=f"one of {', '.join(NORMALIZATIONS)}",
            fix="Set another normalization, and put the constant into the layer's loss_weight.",
        )
    param = layer.loss_param
    return {"ignore_label": param.ignore_label if param.HasField("ignore_label") else None, "normalization": mode}


def normalization(layer: Any, default: str | None = None) -> str:
    """The mode of a layer's LossParameter; `normalize` counts where `normalization` is not set."""
    param = layer.loss_param
    if not param.HasField("normalization") and param.HasField("normalize"):
        return "VALID" if param.normalize else "BATCH_SIZE"
    return default if default and not param.HasField("normalization") else enum_name(param, "normalization")
