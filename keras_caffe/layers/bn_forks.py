"""Which of the definitions of BN and BatchNorm a layer follows, and the parameters of BN in that definition."""

from __future__ import annotations

from typing import Any

from keras_caffe import fillers
from keras_caffe.layers.base import enum_name
from keras_caffe.layers.context import load_context

MIN_EPS = 1e-5  # of NVCaffe's BatchNorm: cuDNN's CUDNN_BN_MIN_EPSILON
SEGNET_EPS = 1e-9  # No field of SegNet's message; its code has this number.


def definition(layer: Any) -> str:
    """Whose definition a layer follows."""
    fork, has = load_context().fork, layer.bn_param.HasField
    if fork in ("segnet", "pspnet", "pspnet-old"):
        return fork
    if fork in ("tsn", "happynear"):
        return "pspnet"
    if has("bn_mode") or len(layer.top) > 1:
        return "segnet"
    if any(map(has, ("var_eps", "moving_average", "decay", "axis"))):
        return "pspnet-old"
    if not (has("scale_filler") or has("shift_filler")):
        return "pspnet"
    return "pspnet-old" if len(layer.param) > 2 else "segnet"


def parameters(layer: Any, fork: str) -> dict[str, Any]:
    """The keyword arguments of `BN` but the axes of the bottom."""
    param = layer.bn_param
    scale, shift = fillers.from_caffe(param.scale_filler), fillers.from_caffe(param.shift_filler)
    if fork == "segnet":
        statistics = "batch" if enum_name(param, "bn_mode") == "LEARN" else "none"
        params = {"statistics": statistics, "eps": SEGNET_EPS, "history": False, "more_tops": len(layer.top) - 1}
    elif fork == "pspnet-old":
        statistics = "phase" if param.moving_average else "batch"
        params = {"statistics": statistics, "momentum": 1 - param.decay, "eps": param.var_eps}
    else:
        params = {"statistics": "moving" if param.frozen else "phase", "frozen": param.frozen}
        params |= {"momentum": param.momentum, "eps": param.eps}
        # Who names the fork may have a file in the words of its earlier code.
        scale = fillers.from_caffe(param.slope_filler) if param.HasField("slope_filler") else scale
        shift = fillers.from_caffe(param.bias_filler) if param.HasField("bias_filler") else shift
    return {**params, "scale_filler": scale, "shift_filler": shift}


def is_affine(param: Any) -> bool:
    """Whether a BatchNormParameter asks for NVCaffe's scale and bias: any of its three fields does."""
    return bool(param.scale_bias or param.HasField("scale_filler") or param.HasField("bias_filler"))


def keeps_averages(param: Any) -> bool:
    """Whether the layer of a BatchNormParameter is NVCaffe's."""
    return is_affine(param) or load_context().fork == "nvcaffe"
