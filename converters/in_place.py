"""In-place layers: what Caffe refuses, and where it computes something else than the layer's formula."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

from keras_caffe import proto
from keras_caffe.converters.select import PHASES
from keras_caffe.errors import CaffeWarning, NetError

REFUSED = {"AbsVal", "Flatten", "Reshape", "Split"}


def is_in_place(layer: proto.LayerParameter, top: int) -> bool:
    """Caffe's rule: the same blob name at the same position of bottoms and tops."""
    return top < len(layer.bottom) and layer.bottom[top] == layer.top[top]


def stated_loss_weight(layer: proto.LayerParameter, top: int) -> float:
    """The loss weight that the file gives to a top, 0 where it gives none."""
    return layer.loss_weight[top] if top < len(layer.loss_weight) else 0.0


def check_in_place(layer: proto.LayerParameter, readers: list[str], producer: proto.LayerParameter, top: int) -> None:
    """Raises NetError unless `layer`, the last of `readers`, is alone in using this top of `producer`."""
    blob = producer.top[top]
    if layer.type in REFUSED:
        raise NetError(
            f"a layer of type {layer.type} cannot work in place on {blob!r}",
            fix="Give its top a name of its own.",
        )
    if len(readers) > 1:
        raise NetError(
            f"overwrites blob {blob!r} in place, which is also read by {_names(readers[:-1], layer.name)}",
            expected="no other reader of the blob above an in-place layer",
            fix="Give its top a name of its own, or move the other readers below it to let them see its result.",
        )
    if stated_loss_weight(producer, top):
        raise NetError(
            f"overwrites blob {blob!r} in place, which has a loss_weight in layer {producer.name!r}",
            fix="Give its top a name of its own.",
        )


def _names(readers: list[str], self_name: str) -> str:
    names = ["itself a second time" if name == self_name else f"layer {name!r}" for name in readers[:3]]
    return ", ".join(names) + (f" and {len(readers) - 3} more" if len(readers) > 3 else "")


def warn_in_place(layer: proto.LayerParameter, producer: proto.LayerParameter) -> None:
    """Warns where Caffe's result in place is not the layer's formula: this package computes the formula."""
    training = layer.phase == PHASES["TRAIN"]
    if _holds(WRONG_FORWARD, layer):
        _warn(layer, "Caffe computes its output wrongly in place")
    elif training and _holds(WRONG_BACKWARD, layer):
        _warn(layer, "Caffe computes its gradient wrongly in place")
    elif training and _holds(GRADIENT_READS_TOP, producer):
        _warn(
            layer,
            f"overwrites the output that layer {producer.name!r} ({producer.type}) needs for its gradient in Caffe",
        )


def warn_overwritten(layer: proto.LayerParameter, blob: str, writer: proto.LayerParameter) -> None:
    """Warns of a bottom that Caffe has overwritten, since it shares its memory with what another layer changed."""
    _warn(layer, f"Caffe reads {blob!r} where layer {writer.name!r} ({writer.type}) has overwritten it in place")


Applies = Callable[[proto.LayerParameter], bool]


def _holds(table: Mapping[str, Applies], layer: proto.LayerParameter) -> bool:
    return layer.type in table and table[layer.type](layer)


def _warn(layer: proto.LayerParameter, what: str) -> None:
    text = f"{what}; here the result is the mathematically right one"
    warnings.warn(CaffeWarning(text, kind="in-place", layer=f"{layer.name!r} ({layer.type})"), stacklevel=4)


def _always(layer: proto.LayerParameter) -> bool:
    return True


def _is_power(layer: proto.LayerParameter) -> bool:
    return float(layer.power_param.power) != 1


WRONG_FORWARD: dict[str, Applies] = {
    "LRN": _always,
    "Eltwise": lambda layer: layer.eltwise_param.operation != proto.EltwiseParameter.PROD,
}
WRONG_BACKWARD: dict[str, Applies] = {
    "BNLL": _always,
    "Clip": _always,
    "ELU": lambda layer: layer.elu_param.alpha < 0,
    "Log": _always,
    "Power": _always,
    "ReLU": lambda layer: layer.relu_param.negative_slope < 0,
}
GRADIENT_READS_TOP = {
    "ELU": _always,
    "Exp": _always,
    "MVN": _always,
    "Power": _is_power,
    "Sigmoid": _always,
    "Softmax": _always,
    "TanH": _always,
}
