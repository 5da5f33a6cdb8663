"""TensorFlow Lite files, made by TensorFlow's own converter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.fold import folded
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.sample_shapes import sample_shapes
from keras_caffe.errors import ExportError, Option
from keras_caffe.ops.stock import stock_ops_only
from keras_caffe.serving.dynamic import servable_model
from keras_caffe.serving.servable import net_outputs, plain_inputs, signature
from keras_caffe.serving.versions import write_whole

KINDS = ("float32", "float16", "int8")


def to_tflite(
    model: CaffeModel,
    file: str | Path,
    *,
    kind: str = "float32",
    calibration: Iterable[Any] | None = None,
    outputs: Sequence[str] | str | None = None,
    fold: bool = True,
) -> Path:
    """Writes the model as a TensorFlow Lite file with the signature "serving_default".

    Inputs and outputs are float32 with the net's declared sizes and a batch of 1, in the model's data format; with
    "int8" weights and activations inside are 8-bit.

    Args:
        model: a loaded CaffeModel; it is not changed.
        file: the file to write.
        kind: "float32", "float16" (weights) or "int8".
        calibration: for "int8" some hundred inputs: arrays for one input, or dicts {input: array}; each is a batch, as
            the model takes it, of which each row is one sample.
        outputs: blobs to give; default: the net's outputs.
        fold: fold the net for inference first.

    Raises:
        ExportError: no such kind, no calibration data, or the converter knows no counterpart of an operation.
    """
    if kind not in KINDS:
        raise ExportError("no such kind of TensorFlow Lite file", expected=" or ".join(KINDS), received=kind)
    if kind == "int8" and calibration is None:
        raise ExportError(
            "int8 needs calibration data", fix=Option("calibration", ..., "with some hundred typical inputs")
        )
    names = [outputs] if isinstance(outputs, str) else outputs
    with stock_ops_only():
        trained = folded(model, names or ()) if fold else None
        built = servable_model(model, trained, model.data_format, False, single=True)
        part = built.extract(names) if names else net_outputs(built)
        function = signature(part, plain_inputs(built, sample_shapes(model.plan)))
    converter = _converter(function, kind, calibration)
    try:
        content = converter.convert()
    except Exception as error:  # the converter's own class, and what its parts raise
        message = str(error).strip().splitlines()
        raise ExportError(
            "the converter of TensorFlow Lite refuses the net", received=message and message[-1]
        ) from error
    return write_whole(file, content)


def _converter(function: Any, kind: str, calibration: Iterable[Any] | None) -> Any:
    module = tf.Module()
    module.weights = list(function.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    if kind == "float32":
        return converter
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    else:
        names = list(function.structured_input_signature[1])
        converter.representative_dataset = lambda: _samples(names, calibration)
    return converter


def _samples(names: Sequence[str], calibration: Iterable[Any] | None) -> Iterator[list[np.ndarray]]:
    """One sample after the other, as the converter wants them: a list in the order of the inputs."""
    for batch in () if calibration is None else calibration:
        arrays = [np.asarray(batch[name] if isinstance(batch, Mapping) else batch, "float32") for name in names]
        for index in range(len(arrays[0])):
            yield [array[index : index + 1] for array in arrays]
