"""A net in 8 bits, by ONNX Runtime's static quantisation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.engines.processor import multiplies_bytes
from keras_caffe.errors import ExportError
from keras_caffe.runtimes import own_words
from keras_caffe.runtimes.onnxruntime import OnnxRuntime
from keras_caffe.serving.calibration import samples

KINDS = ["Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool"]
"""Operations that are computed in 8 bits; what is left, as softmax and detections, stays in floats."""


def quantized(content: bytes, batches: Iterable[Any], names: Mapping[str, str] | None = None) -> bytes:
    """The ONNX file with quantised weights and activations, which ONNX Runtime and OpenVINO compute in 8 bits.

    Weights have a scale for each channel; activations one, from the greatest and least values on the calibration data.
    On processors without VNNI weights have 7 bits, as sums of two products would overflow.

    Args:
        content: the file in floats.
        batches: typical inputs, each an array for a net of one input or a dict {input: array}.
        names: {what callers may call an input: its name in the file}; default: that.

    Raises:
        ExportError: ONNX Runtime is missing, or it cannot quantise the net or run it on these inputs.
    """
    OnnxRuntime.library()
    from onnxruntime import quantization

    inputs = OnnxRuntime(content).inputs
    names = {name: name for name in inputs} if names is None else names
    fed = iter([fed for batch in batches for fed in samples(batch, names, inputs)])
    reader = _reader(quantization.CalibrationDataReader, fed)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        plain, ready, written = (Path(folder, name) for name in ("net.onnx", "ready.onnx", "int8.onnx"))
        plain.write_bytes(content)
        try:
            quantization.quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(ready),
                str(written),
                reader,
                op_types_to_quantize=KINDS,
                per_channel=True,
                reduce_range=not multiplies_bytes(),
                weight_type=quantization.QuantType.QInt8,
                activation_type=quantization.QuantType.QUInt8,
            )
        except Exception as error:  # its classes are many, and no part of its interface
            raise ExportError("ONNX Runtime cannot quantise the net", received=own_words(error)) from error
        return written.read_bytes()


def _reader(base: Any, fed: Iterator[Mapping[str, np.ndarray]]) -> Any:
    class Reader(base):
        """Hands the quantiser one batch after the other."""

        def get_next(self) -> Mapping[str, np.ndarray] | None:
            return next(fed, None)

    return Reader()
