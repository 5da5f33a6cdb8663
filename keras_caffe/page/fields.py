"""Receptive fields: which pixels of the input a position of a blob sees, the statistics of batches aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.crop import Crop
from keras_caffe.layers.deconvolution import Deconvolution
from keras_caffe.layers.lrn import LRN
from keras_caffe.layers.pooling import Pooling

# Each value sees all of the bottom.
WHOLE = ("InnerProduct", "MVN", "LSTM", "RNN", "DetectionOutput", "InstanceNorm", "GroupNorm", "L2Norm")
WINDOWS = (Convolution, Pooling, Crop)
# Each value sees its own place of the plane alone, if the plane keeps its size.
POINTS = {
    *("AbsVal", "Axpy", "BN", "BNLL", "BatchNorm", "Bias", "ChannelNorm", "ChannelScale", "Clip", "Concat", "Div"),
    *("Dropout", "ELU", "Eltwise", "EltwiseAffine", "Exp", "GRN", "HardSigmoid", "HardSwish", "Insanity", "LRN", "Log"),
    *("Maxout", "Mish", "Mul", "NegReLU", "NegSquare", "Normalize", "PReLU", "Power", "RReLU", "ReLU", "ReLU6"),
    *("Scale", "SeLu", "ShuffleChannel", "Sigmoid", "Slice", "Softmax", "Split", "Swish", "TanH", "Threshold", "Tile"),
}


class Field(NamedTuple):
    """Along one axis: position i of the blob sees the `size` pixels around `offset` + i `stride`.

    `offset` is the centre, in pixels from the centre of the first one; None in place of a Field: the whole input.
    """

    size: Fraction
    stride: Fraction
    offset: Fraction

    @property
    def start(self) -> Fraction:
        """The first pixel that position 0 sees, which may lie in the padding."""
        return self.offset - (self.size - 1) / 2

    def through(self, kernel: int, stride: int, pad: int, dilation: int = 1) -> Field:
        """The field behind sliding windows: a convolution or pooling."""
        reach = dilation * (kernel - 1)
        return Field(
            self.size + reach * self.stride,
            self.stride * stride,
            self.offset + (Fraction(reach, 2) - pad) * self.stride,
        )

    def spread(self, kernel: int, stride: int, pad: int, dilation: int = 1) -> Field:
        """The field behind a deconvolution: position i hears of the inputs j with 0 <= i + pad - j stride < kernel.

        How many these are changes from position to position; the field is the least that holds all of them for each.
        """
        reach = dilation * (kernel - 1)
        return Field(
            self.size + Fraction(reach, stride) * self.stride,
            self.stride / stride,
            self.offset + (Fraction(pad) - Fraction(reach, 2)) / stride * self.stride,
        )

    def with_(self, other: Field) -> Field | None:
        """The field of what sees both; None where their strides differ."""
        if self.stride != other.stride:
            return None
        start = min(self.start, other.start)
        end = max(self.start + self.size, other.start + other.size)
        return Field(end - start, self.stride, start + (end - start - 1) / 2)


Fields = Mapping[str, Sequence[Field] | str | None]
"""{value id: (height, width); "whole" for what sees all of the input; None for what is not known}"""


def fields(plan: Plan, source: str) -> dict[str, Any]:
    """The fields of all values that are computed from an input.

    Args:
        plan: the net.
        source: value id of the input, of four axes.
    """
    found: dict[str, Any] = {source: (Field(Fraction(1), Fraction(1), Fraction(0)),) * 2}
    for planned in plan.layers.values():
        seen = [found[value] for value in planned.node.inputs if value in found]
        if seen:
            top, bottom = _top(planned, seen), plan.shapes[planned.node.inputs[0]]
            for value in planned.node.outputs:
                moved = plan.shapes[value][2:] != bottom[2:] or len(plan.shapes[value]) != len(bottom)
                found[value] = None if moved and not isinstance(planned.layer, WINDOWS) and top != "whole" else top
    return found


def _top(planned: PlannedLayer, seen: Sequence[Any]) -> Any:
    layer: Any = planned.layer
    if "whole" in seen or _sees_all(planned):
        return "whole"
    if None in seen or not _is_known(planned):
        return None
    if isinstance(layer, Crop):
        return _cropped(layer, seen[0])
    if isinstance(layer, LRN) and layer.norm_region == "WITHIN_CHANNEL":
        return tuple(field.through(layer.local_size, 1, layer.local_size // 2) for field in seen[0])
    if isinstance(layer, WINDOWS):
        dilation = getattr(layer, "dilation", (1, 1))
        step = Field.spread if isinstance(layer, Deconvolution) else Field.through
        return tuple(map(step, seen[0], layer.kernel_size, layer.stride, layer.pad, dilation))
    joined = seen[0]
    for other in seen[1:]:
        joined = tuple(mine and mine.with_(theirs) for mine, theirs in zip(joined, other, strict=True))
    return None if None in joined else joined


def _sees_all(planned: PlannedLayer) -> bool:
    layer: Any = planned.layer
    across = planned.node.type == "Normalize" and layer.across_spatial
    return across or planned.node.type in WHOLE or getattr(layer, "global_pooling", False)


def _is_known(planned: PlannedLayer) -> bool:
    if isinstance(planned.layer, WINDOWS):
        return len(getattr(planned.layer, "kernel_size", "hw")) == 2
    if planned.node.type == "Softmax":
        return planned.node.message.softmax_param.axis in (1, -3)
    return planned.node.type in POINTS


def _cropped(layer: Crop, field: Sequence[Field]) -> Sequence[Field] | None:
    if len(layer.offset) != 2:
        return None
    return tuple(
        Field(one.size, one.stride, one.offset + by * one.stride) for one, by in zip(field, layer.offset, strict=True)
    )


def as_text(field: Any) -> str:
    """One field, or height and width where they differ, in words."""
    if field is None:
        return "not known"
    if field == "whole":
        return "the whole input"
    height, width = (f"stride {_number(one.stride)}, offset {_number(one.offset)}" for one in field)
    size = " × ".join(_number(one.size) for one in field)
    return f"{size} pixels, " + (height if height == width else f"height: {height}; width: {width}")


def _number(number: Fraction) -> str:
    return f"{float(number):g}"
