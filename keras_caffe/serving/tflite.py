"""TensorFlow Lite files, made by TensorFlow's own converter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import tensorflow as tf

from keras_caffe.converters.comparison import Row
from keras_caffe.converters.fold import folded
from keras_caffe.converters.keras_names import keras_name
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.preprocessing import FittedPreprocessing, Preprocessing, fitted_pictures
from keras_caffe.converters.proof import Engine, check_report, prove_picks, write_report
from keras_caffe.converters.sample_shapes import asked_shapes, sample_shapes
from keras_caffe.converters.write import replacing
from keras_caffe.errors import ExportError, Option
from keras_caffe.layers import DetectionOutput, Pooling3D, Proposal, ROIPooling
from keras_caffe.ops.stock import in_eight_bits, stock_ops_only
from keras_caffe.requirements import stderr_silenced
from keras_caffe.runtimes import own_words
from keras_caffe.runtimes.apart import Apart
from keras_caffe.runtimes.litert import LiteRt
from keras_caffe.serving.calibration import MISSING, batches_of, samples
from keras_caffe.serving.dynamic import servable_model
from keras_caffe.serving.servable import PICTURE_FORMAT, argument_names, net_inputs, net_outputs, signature

KINDS = ("float32", "float16", "int8")
UNCALIBRATED = (DetectionOutput, Proposal, ROIPooling, Pooling3D)
"""Layers at which TensorFlow's calibration ends the process"""


def to_tflite(
    model: CaffeModel,
    file: str | Path,
    *,
    kind: str = "float32",
    calibration: Iterable[Any] | None = None,
    outputs: Sequence[str] | str | None = None,
    fold: bool = True,
    preprocessing: Any = None,
    tolerance: float | None = None,
    report: str | Path | None = None,
) -> Path:
    """Writes the model as a TensorFlow Lite file with the signature "serving_default".

    Inputs and outputs are float32 with the net's declared sizes, in the model's data format, and a batch of 1 if all
    inputs can have one; with "int8" weights and activations inside are 8-bit.

    Args:
        model: a loaded CaffeModel; it is not changed.
        file: the file to write.
        kind: "float32", "float16" (weights) or "int8".
        calibration: for "int8" some hundred inputs: an array, a dict {input: array}, or an iterable of them; each is a
            batch, as the file takes it, of which each row is one sample.
        outputs: blobs to give; default: the net's outputs.
        fold: fold the net for inference first.
        preprocessing: mean, scale and bgr as of `export`: the file takes pictures of the size of the net's input,
            (N, H, W, C), red-green-blue or grey, 0 to 255.
        tolerance: compare what TensorFlow Lite makes of the file and what the model computes, and refuse a greater
            difference than this part of a blob's largest value; None (default): do not. The inputs are random, those of
            "int8" the first sample of the calibration data.
        report: a file for what that found, blob by blob, as JSON.

    Raises:
        ExportError: no such kind, no calibration data, int8 of boxes, regions or volumes, the converter knows no
            counterpart of an operation, or the file would compute something else than the model; pictures do not fit
            the net, or shall be resized or cropped. An old file of this name is whole then.
        ReadError: the file cannot be written.
    """
    check_report(report)
    rows = write_tflite(model, Path(file), kind, calibration, outputs, fold, tolerance, preprocessing)
    write_report(report, rows)
    return Path(file)


def write_tflite(
    model: CaffeModel,
    file: Path,
    kind: str,
    calibration: Iterable[Any] | None,
    outputs: Sequence[str] | str | None,
    fold: bool,
    tolerance: float | None,
    preprocessing: Any = None,
) -> tuple[Row, ...]:
    """Writes a file and, given a tolerance, runs it; one row for each output. See `to_tflite`."""
    if kind not in KINDS:
        raise ExportError("no such kind of TensorFlow Lite file", expected=" or ".join(KINDS), received=kind)
    batches, pictures = () if calibration is None else batches_of(calibration), _pictures(model, preprocessing)
    content, first = tflite_bytes(model, kind, batches, outputs, fold, pictures=pictures)
    if kind == "int8" and first is None:
        raise ExportError("int8 needs calibration data", fix=MISSING)
    with replacing(file) as temporary:
        temporary.write_bytes(content)
        if tolerance is None:
            return ()

        @contextmanager
        def opened(more: Sequence[str] | None) -> Iterator[Engine]:
            if more is not None:
                content, _ = tflite_bytes(model, kind, (), more, fold, pictures=pictures)
                temporary.with_name("more").write_bytes(content)
            with Apart(LiteRt, temporary if more is None else temporary.with_name("more")) as runtime:
                names = argument_names(model, runtime.inputs)
                yield Engine(runtime, model.data_format, names, pictures=pictures, picture_format=PICTURE_FORMAT)

        return prove_picks(model, opened, tolerance, first)


def tflite_bytes(
    model: CaffeModel,
    kind: str,
    calibration: Iterable[Any],
    outputs: Sequence[str] | str | None,
    fold: bool = True,
    single: bool = True,
    pictures: Mapping[str, FittedPreprocessing] | None = None,
) -> tuple[bytes, dict[str, np.ndarray] | None]:
    """The content of a file, and the first sample as the file takes it, if there is one.

    Args:
        calibration: batches; none: weights alone have 8 bits.
        single: the batch is 1; otherwise as the model has it. The others: see `to_tflite`.
        pictures: {input blob that comes as pictures: what makes the net's input of them}.

    Raises:
        ExportError: as of `to_tflite`.
    """
    blobs = [outputs] if isinstance(outputs, str) else outputs
    with stock_ops_only(), in_eight_bits(kind == "int8"):
        trained = folded(model, blobs or ()) if fold else None
        built = servable_model(model, trained, model.data_format, False, single=single)
        part = built.extract(blobs) if blobs else net_outputs(built)
        function = signature(part, net_inputs(built, sample_shapes(model.plan), pictures or {}))
    inputs = {name: tuple(spec.shape) for name, spec in function.structured_input_signature[1].items()}
    own = argument_names(model, inputs)
    names = {name: own[blob] for blob in own for name in (blob, keras_name(blob), own[blob])}
    fed = (one for batch in calibration for one in samples(batch, names, inputs, single=True))
    first = next(fed, None)
    if first is not None:
        _check_calibrated(model, blobs)
    return _converted(_converter(function, kind, chain(filter(None, [first]), fed))), first


def _check_calibrated(model: CaffeModel, blobs: Sequence[str] | None) -> None:
    """Raises ExportError, naming the layers, where TensorFlow's calibration ends the process."""
    wanted = [model.net.last_write(blob).id for blob in blobs] if blobs else model.plan.outputs()
    needed = model.plan.needed_for(wanted)
    there = [
        f"{planned.node.name!r} ({planned.node.type})"
        for planned in model.plan.layers.values()
        if isinstance(planned.layer, UNCALIBRATED) and not needed.isdisjoint(planned.node.outputs)
    ]
    if there:
        raise ExportError(
            f"TensorFlow Lite cannot calibrate boxes, regions and volumes: layer {', '.join(there)}",
            fix=(
                Option("outputs", ..., "to export a part of the net without them"),
                "`--detections raw` ends a detector's file before its last layer; float32 and float16 hold all of it.",
            ),
        )


def _pictures(model: CaffeModel, preprocessing: Any) -> dict[str, FittedPreprocessing]:
    """{input that takes pictures: what is done with them}; sizes are fixed, so a picture has the input's."""
    if preprocessing is None:
        return {}
    asked = Preprocessing.of(preprocessing)
    if asked.resize or asked.crop:
        raise ExportError(
            "pictures of a TensorFlow Lite file have the size of the net's input",
            expected="mean, scale and bgr alone",
            received=f"resize {asked.resize}, crop {asked.crop}",
            fix="Resize and crop pictures before the file gets them; a SavedModel or ONNX file can do it itself.",
        )
    found = fitted_pictures(asked, asked_shapes(model))
    return {blob: replace(fitted, resize=None) for blob, fitted in found.items()}


def _converted(converter: Any) -> bytes:
    try:
        with stderr_silenced(), catch_warnings():  # It writes pages in its inner language before it refuses a net.
            simplefilter("ignore")  # TensorFlow says where its interpreter will move to.
            return converter.convert()
    except Exception as error:  # the converter's own class, and what its parts raise
        raise ExportError(
            "the converter of TensorFlow Lite refuses the net",
            received=_refusal(str(error)),
            fix=(
                Option("outputs", ..., "to export a part of the net without them"),
                "ONNX Runtime runs such nets: export it as ONNX.",
            ),
        ) from error


def _refusal(message: str) -> str:
    """What a reader can use of a message in the converter's inner language: operations, and the layers they are in."""
    kinds = re.findall(r"^\s*(?:TF Select|Custom) ops: (.*)", message, re.MULTILINE)
    names = re.findall(r'"[^"/]*_(?:extract|outputs)[^"/]*/([^"/]+)/[^"]*@__inference', message)
    where = f" in layer {', '.join(dict.fromkeys(names))}" if names else ""
    if kinds:
        return f"no counterpart of {', '.join(kinds)}{where}"
    refused = re.findall(r"error: '([\w.]+)' op", message)
    if refused or re.search(r"\btfl?\.\w+\(", message):
        return f"it cannot translate {', '.join(dict.fromkeys(refused)) or 'an operation'}{where}"
    return own_words(ValueError(message))


def _converter(function: Any, kind: str, samples: Iterable[dict[str, np.ndarray]]) -> Any:
    module = tf.Module()
    module.weights = list(function.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    if kind == "float32":
        return converter
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    else:
        converter.representative_dataset = lambda: samples
    return converter
