"""Exports a net for TensorFlow Serving, ONNX, TensorFlow Lite or OpenVINO.

savedmodel: OUT is the folder of versions that tensorflow_model_server watches; the next free version is written.
onnx, tflite: OUT is a file. openvino: OUT is an .xml file; a .bin file is written next to it. The export and the Keras
model are run on the same random inputs; if they differ by more than the tolerance, nothing is written and the exit
code is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_caffe.cli.options import (
    add_net_options,
    add_weights,
    given,
    load,
    need_weights,
    plan,
    positive,
    suggest,
    working,
)
from keras_caffe.converters.choices import OPSET, TOLERANCE
from keras_caffe.errors import ExportError

if TYPE_CHECKING:
    import numpy as np

    from keras_caffe import CaffeModel
    from keras_caffe.converters.comparison import Row

TOLERANCES = {"float32": TOLERANCE, "float16": 1e-2, "int8": 0.5}
PRECISIONS = ("float32", "float16")

PICTURES = ("savedmodel", "onnx", "tflite", "openvino")  # formats of models that take pictures
ANY_SIZE = ("savedmodel", "onnx", "openvino")  # of them, those whose pictures may have other sizes than the net's input
ONLY: dict[str, tuple[Any, tuple[str, ...]]] = {  # arguments with their defaults, and the formats that know them
    "version": (None, ("savedmodel",)),
    "signatures": ([], ("savedmodel",)),
    "image_bytes": (False, ("savedmodel",)),
    "top": (5, ("savedmodel",)),
    "resize": (None, ANY_SIZE),
    "crop": (None, ANY_SIZE),
    "mean": (None, PICTURES),
    "scale": (None, PICTURES),
    "labels": (None, ("savedmodel", "onnx")),
    "precision": ("float32", ("onnx",)),
    "losses": (False, ("onnx",)),
    "opset": (OPSET, ("onnx", "openvino")),
    "kind": ("float32", ("tflite",)),
    "calibration": (None, ("tflite",)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(**{name: default for name, (default, _) in ONLY.items()})
    add = parser.add_argument
    add("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    add_weights(parser)
    add("-o", "--output", metavar="OUT", required=True, type=Path, help="the folder of versions, or the file to write")
    add(
        "--format",
        choices=("savedmodel", "onnx", "tflite", "openvino"),
        default="savedmodel",
        help="(default: savedmodel)",
    )
    add(
        "--blob",
        dest="outputs",
        action="append",
        metavar="NAME",
        help="a blob to output instead of the net's outputs; may be repeated",
    )
    add(
        "--detections",
        choices=("rows", "raw"),
        default="rows",
        help="raw: output the inputs of a detector's last layer, for engines without box suppression (default: rows)",
    )
    add("--no-fold", dest="fold", action="store_false", help="do not fold BatchNorm, Scale and Dropout layers")
    add(
        "--static",
        dest="dynamic",
        action="store_false",
        default=None,
        help="keep height and width as the net declares them (default of onnx)",
    )
    add("--dynamic", action="store_true", default=None, help="leave height and width open (default of savedmodel)")
    add(
        "--tolerance",
        type=float,
        help="largest difference allowed, relative to a blob's largest value (default: 1e-4; float16: 1e-2; int8: 0.5)",
    )
    add("--report", type=Path, metavar="FILE.json", help="write the differences, blob by blob")
    _add_serving(parser.add_argument_group("savedmodel").add_argument)
    _add_pictures(parser.add_argument_group("take pictures").add_argument)
    _add_onnx(parser.add_argument_group("onnx").add_argument)
    _add_tflite(parser.add_argument_group("tflite").add_argument)
    add_net_options(parser)


def _add_serving(add: Any) -> None:
    add("--version", type=positive, metavar="N", help="version to write (default: the next free one)")
    add(
        "--signature",
        dest="signatures",
        action="append",
        type=signature,
        metavar="NAME=BLOB,...",
        help="an additional signature; may be repeated",
    )
    add("--image-bytes", action="store_true", help="take encoded JPEG or PNG files")
    add("--top", type=positive, metavar="K", help="number of classes `classify` returns (default: 5)")


def _add_pictures(add: Any) -> None:
    add("--resize", type=sizes, metavar="H,W", help="resize pictures (default: to the net's input); not in tflite")
    add("--crop", type=sizes, metavar="H,W", help="then crop the centre; not in tflite")
    add("--mean", type=mean, metavar="MEAN", help="a .binaryproto or .npy file, or one number, or B,G,R")
    add("--scale", type=float, help="factor after the mean is subtracted")
    add(
        "--labels",
        metavar="FILE",
        help="class names, one per line: adds the signature `classify`, or goes into ONNX's metadata",
    )


def _add_onnx(add: Any) -> None:
    add("--precision", choices=PRECISIONS, help="precision of values and layers (default: float32)")
    add("--losses", action="store_true", help="also output losses and accuracies, not only what they are computed from")
    add("--opset", type=positive, metavar="N", help=f"version of ONNX's operations (default: {OPSET})")


def _add_tflite(add: Any) -> None:
    add("--kind", help="float32, float16 (weights) or int8 (default: float32)")
    add("--calibration", metavar="FILE", help="for int8: sample inputs, one per row: .npy, or .npz of several")


def check_usage(args: argparse.Namespace) -> None:
    need_weights(args, args.weights)
    if args.detections == "raw" and args.outputs:
        args.wrong_usage("--detections raw says which blobs to give; leave out --blob")
    for name, (default, formats) in ONLY.items():
        if getattr(args, name) != default and args.format not in formats:
            flag = "signature" if name == "signatures" else name.replace("_", "-")
            args.wrong_usage(f"--{flag}: only with --format {' or '.join(formats)}")
    if args.format == "tflite" and args.dynamic:
        args.wrong_usage("--dynamic: TensorFlow Lite's files keep height and width as the net declares them")
    if args.kind != "int8" and args.calibration:
        args.wrong_usage("--calibration: only with --kind int8")


def run(args: argparse.Namespace) -> None:
    from keras_caffe.converters.detections import raw_outputs
    from keras_caffe.converters.proof import check_report, write_report

    check_report(args.report)
    if args.detections == "raw":
        args.outputs = raw_outputs(plan(args).net)
    path, rows = WRITERS[args.format](args)
    print(f"wrote {path}")
    write_report(args.report, rows)
    if rows:
        worst = max(rows, key=lambda row: row.relative)
        share = f"{worst.relative:.2g} of the largest value"
        print(f"largest difference from the Keras model: {worst.absolute:.2g} ({share})")
    else:
        print(f"not checked: {'the model takes no files' if args.image_bytes else 'no ONNX Runtime is there'}")


def _tolerance(args: argparse.Namespace, precision: str) -> float:
    return TOLERANCES.get(precision, TOLERANCE) if args.tolerance is None else args.tolerance


def _model(args: argparse.Namespace) -> CaffeModel:
    with working(f"Loading {args.net}"):
        return load(args, args.weights)


def _serving(args: argparse.Namespace) -> tuple[Path, tuple[Row, ...]]:
    from keras_caffe.serving.export import Settings, export_version

    settings = Settings(
        outputs=args.outputs,
        signatures=dict(args.signatures),
        preprocessing=_preprocessing(args),
        inputs="image_bytes" if args.image_bytes else "tensor",
        labels=args.labels,
        top=args.top,
        fold=args.fold,
        dynamic=args.dynamic is not False,
        tolerance=_tolerance(args, "float32"),
    )
    model = _model(args)
    with working(f"Exporting to {args.output}"):
        return export_version(model, args.output, args.version, settings)


def _preprocessing(args: argparse.Namespace) -> dict[str, Any] | None:
    asked = {name: getattr(args, name) for name in ("resize", "crop", "mean", "scale")}
    return {name: value for name, value in asked.items() if value is not None} or None


def _onnx(args: argparse.Namespace) -> tuple[Path, tuple[Row, ...]]:
    from keras_caffe.converters.definition import read_definition
    from keras_caffe.onnx.export import Settings, export_net

    suggest(args, read_definition(args.net, strict=args.strict, fork=args.fork).message)
    settings = Settings(
        outputs=args.outputs,
        dynamic=bool(args.dynamic),
        fold=args.fold,
        opset=args.opset,
        losses=args.losses,
        precision=args.precision,
        preprocessing=_preprocessing(args),
        labels=args.labels,
        tolerance=_tolerance(args, args.precision) if find_spec("onnxruntime") else None,
    )
    with working(f"Exporting to {args.output}"):
        options = {**given(args), "skip_mismatch": args.skip_mismatch}
        return args.output, export_net(args.net, args.weights, args.output, settings, options)


def _openvino(args: argparse.Namespace) -> tuple[Path, tuple[Row, ...]]:
    from keras_caffe.engines.ir import write_openvino
    from keras_caffe.onnx.export import Settings

    settings = Settings(args.outputs, bool(args.dynamic), args.fold, args.opset, preprocessing=_preprocessing(args))
    model = _model(args)
    with working(f"Exporting to {args.output}"):
        return args.output, write_openvino(model, args.output, settings, _tolerance(args, "float32"))


def _tflite(args: argparse.Namespace) -> tuple[Path, tuple[Row, ...]]:
    from keras_caffe.serving.tflite import write_tflite

    samples = None if args.calibration is None else calibration(args.calibration)
    model, tolerance = _model(args), _tolerance(args, args.kind)
    with working(f"Exporting to {args.output}"):
        how = (args.kind, samples, args.outputs, args.fold, tolerance, _preprocessing(args))
        rows = write_tflite(model, args.output, *how)
    return args.output, rows


WRITERS = {"savedmodel": _serving, "onnx": _onnx, "tflite": _tflite, "openvino": _openvino}


def calibration(file: str) -> np.ndarray | Mapping[str, np.ndarray]:
    """Inputs, one a row; those of a net with several are in an .npz file, each under its name."""
    from keras_caffe.converters.comparison import read_reference
    from keras_caffe.converters.read import read_array

    if file.endswith(".npz"):
        return read_reference(file)
    array = read_array(file)
    if array.ndim < 2:
        raise ExportError("calibration data are not inputs", where=file, expected="an array with one input a row")
    return array


def signature(text: str) -> tuple[str, list[str]]:
    """`NAME=BLOB,...` as (name, blobs)."""
    name, _, blobs = text.partition("=")
    if not name or not blobs:
        raise argparse.ArgumentTypeError(f"expected NAME=BLOB,..., received {text!r}")
    return name, blobs.split(",")


def sizes(text: str) -> tuple[int, ...]:
    """`H,W`, or one number for both."""
    numbers = text.split(",")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"expected H,W in pixels, received {text!r}")
    return tuple(int(number) for number in numbers * (3 - len(numbers)))[:2]


def mean(text: str) -> list[float] | str:
    """Numbers, or the name of a file."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return text
