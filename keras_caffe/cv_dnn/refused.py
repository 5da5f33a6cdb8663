"""Methods of `cv2.dnn.Net` that a net read from Caffe's files does not have, refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from keras_caffe.errors import NetError

_BUILT = "a net is what its prototxt says", "Change the prototxt and read it again."
_FLOATS = "nets compute in float32", "keras_caffe.engine(..., precision='int8') quantizes a loaded model."


def _refusing(name: str, why: str, fix: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NetError(f"cv_dnn has no {name}: {why}", fix=fix)

    return refuse


class Refusals:
    """The methods; each raises NetError, which says what to do instead."""

    addLayer = _refusing("addLayer", *_BUILT)
    addLayerToPrev = _refusing("addLayerToPrev", *_BUILT)
    connect = _refusing("connect", *_BUILT)
    registerOutput = _refusing("registerOutput", *_BUILT)
    quantize = _refusing("quantize", *_FLOATS)
    getInputDetails = _refusing("getInputDetails", *_FLOATS)
    getOutputDetails = _refusing("getOutputDetails", *_FLOATS)
    forwardAsync = _refusing("forwardAsync", "ONNX Runtime computes at once", "Call forward in a thread of its own.")
    dumpToPbtxt = _refusing("dumpToPbtxt", "it is a format of OpenCV's own", "keras_caffe.view shows the net.")
    readFromModelOptimizer = _refusing(
        "readFromModelOptimizer", "it reads Caffe's files", "keras_caffe.engine takes the path of an OpenVINO .xml."
    )
