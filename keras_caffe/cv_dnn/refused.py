"""Methods of `cv2.dnn.Net` that a net read from Caffe's files does not have, refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from keras_caffe.errors import NetError

Refusal = Callable[..., NoReturn]

_BUILT = "a net is what its prototxt says", "Change the prototxt and read it again."
_FLOATS = "nets compute in float32", "keras_caffe.engine(..., precision='int8') quantizes a loaded model."


def _refusing(name: str, why: str, fix: str) -> Refusal:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NetError(f"cv_dnn has no {name}: {why}", fix=fix)

    return refuse


class Refusals:
    """The methods; each raises NetError, which says what to do instead."""

    addLayer: Refusal = _refusing("addLayer", *_BUILT)
    addLayerToPrev: Refusal = _refusing("addLayerToPrev", *_BUILT)
    connect: Refusal = _refusing("connect", *_BUILT)
    registerOutput: Refusal = _refusing("registerOutput", *_BUILT)
    quantize: Refusal = _refusing("quantize", *_FLOATS)
    getInputDetails: Refusal = _refusing("getInputDetails", *_FLOATS)
    getOutputDetails: Refusal = _refusing("getOutputDetails", *_FLOATS)
    forwardAsync: Refusal = _refusing(
        "forwardAsync", "ONNX Runtime computes at once", "Call forward in a thread of its own."
    )
    dumpToPbtxt: Refusal = _refusing("dumpToPbtxt", "it is a format of OpenCV's own", "keras_caffe.view shows the net.")
    readFromModelOptimizer: Refusal = _refusing(
        "readFromModelOptimizer", "it reads Caffe's files", "keras_caffe.engine takes the path of an OpenVINO .xml."
    )
