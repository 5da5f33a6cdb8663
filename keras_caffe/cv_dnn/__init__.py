"""OpenCV's `cv2.dnn` for Caffe nets, with OpenCV's names and shapes, on ONNX Runtime.

A script that read its net with `cv2.dnn.readNetFromCaffe` reads it with `keras_caffe.cv_dnn.readNetFromCaffe`; nothing
else in it changes. Needs no TensorFlow and no OpenCV. OpenCV: caffe_importer.cpp and net_impl.cpp in modules/dnn/src.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.cv_dnn.net import Layer, Net
from keras_caffe.errors import NetError
from keras_caffe.onnx.export import Settings
from keras_caffe.onnx.subject import of_files
from keras_caffe.runtimes.onnxruntime import OnnxRuntime

__all__ = ["Layer", "Net", "readNet", "readNetFromCaffe"]


def readNetFromCaffe(
    prototxt: Any = None, caffeModel: Any = None, *, bufferProto: Any = None, bufferModel: Any = None
) -> Net:
    """Reads a net to run it.

    Args:
        prototxt: path, or the file's content as bytes, bytearray or an array of uint8.
        caffeModel: the same of the trained values; None: the values that the net's fillers give.
        bufferProto, bufferModel: OpenCV's other names of the two.

    Raises:
        ExportError: the package onnx or ONNX Runtime is missing.
        NetError: there is no prototxt. All that `keras_caffe.load` raises.

    Examples:
        >>> from keras_caffe import samples
        >>> net = keras_caffe.cv_dnn.readNetFromCaffe(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> net.setInput(samples.digits()[0][:1], scalefactor=samples.SCALE)
        >>> print(net.forward().argmax())
        9
    """
    prototxt = bufferProto if prototxt is None else prototxt
    caffeModel = bufferModel if caffeModel is None else caffeModel
    if _is_nothing(prototxt):
        raise NetError("there is no net to read", expected="a .prototxt", received=repr(caffeModel)[:80])
    Settings()  # Refuses now, and not in the first forward pass, where onnx is missing.
    OnnxRuntime.library()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps a mapped file.
        definition = _file(prototxt, Path(folder, "buffer.prototxt"))
        weights = None if _is_nothing(caffeModel) else _file(caffeModel, Path(folder, "buffer.caffemodel"))
        return Net(of_files(definition, weights, {}))


def readNet(
    model: Any = None, config: Any = None, framework: Any = "", *, bufferModel: Any = None, bufferConfig: Any = None
) -> Net:
    """Reads a net of Caffe's: `readNet(model, config)`, or `readNet("caffe", bufferModel, bufferConfig)`.

    Args:
        model, config: paths of the .caffemodel and the .prototxt, in any order; the prototxt may stand alone.
        framework: "caffe", or nothing.
        bufferModel, bufferConfig: the files' content, as for `readNetFromCaffe`.

    Raises:
        NetError: there is no .prototxt, or the framework is another. All that `readNetFromCaffe` raises.

    Examples:
        >>> from keras_caffe import samples
        >>> net = keras_caffe.cv_dnn.readNet(samples.path("lenet.caffemodel"), samples.path("lenet.prototxt"))
        >>> print(net.getParam("conv1").shape)
        (20, 1, 5, 5)
    """
    if bufferModel is not None:
        framework, model, config = framework or model, bufferModel, bufferConfig or config
    elif isinstance(model, str) and model.lower() == "caffe":
        framework, model, config = model, config, framework
    if framework and str(framework).lower() != "caffe":
        raise NetError("the net is not one of Caffe's", expected="framework 'caffe'", received=repr(framework))
    if isinstance(model, str | Path) and Path(model).suffix == ".prototxt":
        model, config = config, model
    return readNetFromCaffe(config, model)


def _is_nothing(given: Any) -> bool:
    return given is None or (not isinstance(given, Path) and len(given) == 0)


def _file(given: Any, spare: Path) -> Path:
    """A file with what is given: a path, or its content, which is written to the spare one."""
    if isinstance(given, str | Path):
        return Path(given)
    if not isinstance(given, bytes | bytearray) and np.asarray(given).dtype != np.uint8:
        raise TypeError(f"expected a path, bytes or an array of uint8, received {given!r}")
    spare.write_bytes(bytes(given))
    return spare
