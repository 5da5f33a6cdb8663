"""What a net says of pictures.

A picture is resized to the net's input and given as Caffe's nets are: blue-green-red (grey where the input has one
channel), 0 to 255, less the mean, times the scale. Printed are the largest values of the net's output, or of a detector
(SSD, YOLO) what it found: score, label, and the box in pixels of the picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import track

from keras_caffe import CaffeModel, proto
from keras_caffe.cli.detections import by_picture, detects, lines
from keras_caffe.cli.images import Preparation, mean_of
from keras_caffe.cli.options import add_net_options, load, positive, working
from keras_caffe.converters.keras_file import read_keras
from keras_caffe.converters.model import keras_name
from keras_caffe.converters.read import read_message
from keras_caffe.errors import DataError, NetError, unreadable
from keras_caffe.shapes import known

BATCH = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] NET WEIGHTS IMAGE ...\n       %(prog)s [options] MODEL.keras IMAGE ..."
    add = parser.add_argument
    add("net", metavar="NET", help="prototxt, or a .keras file that `convert` wrote")
    add("files", metavar="FILE", nargs="+", help="WEIGHTS (unless NET is a .keras file) and pictures")
    add("--mean", metavar="MEAN", default="0", help="a .binaryproto or .npy file, or one number, or B,G,R")
    add("--scale", type=float, default=1.0, help="factor after the mean is subtracted (default: 1)")
    add("--labels", metavar="FILE", help="names of the outputs, one a line, or SSD's labelmap prototxt")
    add("--top", type=positive, metavar="K", default=5, help="how many values to print (default: 5)")
    add("--output", metavar="BLOB", help="the blob to print (default: the net's output)")
    add_net_options(parser)


def run(args: argparse.Namespace) -> None:
    is_keras = Path(args.net).suffix == ".keras"
    weights, images = ([], args.files) if is_keras else (args.files[:1], args.files[1:])
    if not images:
        args.wrong_usage("the following arguments are required: IMAGE")
    with working(f"Loading {args.net}"):
        model = read_keras(args.net) if is_keras else load(args, weights)
    blob = output_blob(model, args.output)
    part = model.extract([blob])
    shape = input_shape(model, part)
    prepare = Preparation(shape, mean_of(args.mean, shape), args.scale)
    labels = read_labels(args.labels) if args.labels else None
    for some, values in outputs(part, model.data_format, prepare, images):
        predictions = by_picture(values, len(some)) if detects(model, blob) else ranked(values, len(some), part, blob)
        for image, own in zip(some, predictions, strict=True):
            print(image)
            rows = lines(own, args.top, labels, prepare.size(image)) if own.ndim > 1 else best(own, args.top, labels)
            for line in rows:
                print(f"  {line}")


def output_blob(model: CaffeModel, name: str | None) -> str:
    """The blob to look at: the one asked for, or the net's only output."""
    outputs = [model.net.values[value].blob for value in model.net.outputs]
    if name is None and len(outputs) == 1:
        return outputs[0]
    if name is None:
        fix = f"Name one with --output: {', '.join(outputs or model.blobs)}."
        raise NetError(f"the net has {len(outputs) or 'no'} outputs", expected="one", fix=fix)
    model.net.check_blobs([name])
    return name


def input_shape(model: CaffeModel, part: Any) -> tuple[int, int, int]:
    """(C, H, W) of the only input of `part`."""
    inputs = {blob: shape for blob, shape in model.caffe_shapes.items() if keras_name(blob) in part.input_names}
    shapes = list(inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise NetError(
            "the net takes something other than pictures", expected="one input (N, C, H, W)", received=inputs
        )
    _, channels, height, width = known(shapes[0])
    return channels, height, width


def outputs(
    part: Any, data_format: str, prepare: Preparation, images: Sequence[str]
) -> Iterator[tuple[Sequence[str], np.ndarray]]:
    """Some of the pictures and the output for them, in Caffe's order, until all are done."""
    (name,) = part.output
    fixed = part.inputs[0].shape[0]
    size = fixed or BATCH
    for start in _progress(range(0, len(images), size)):
        some = images[start : start + size]
        batch = np.zeros((fixed or len(some), *prepare.shape), "float32")
        batch[: len(some)] = [prepare(image) for image in some]
        fed = batch if data_format == "channels_first" else batch.transpose(0, 2, 3, 1)
        values = keras.ops.convert_to_numpy(part(fed, training=False)[name])
        yield some, np.moveaxis(values, -1, 1) if data_format == "channels_last" and values.ndim > 3 else values


def ranked(values: np.ndarray, count: int, part: Any, blob: str) -> np.ndarray:
    """The values for each picture of a batch, flat.

    Raises:
        NetError: the blob has another number of rows than the batch.
    """
    size = part.inputs[0].shape[0] or count
    if not values.ndim or len(values) != size:
        raise NetError(f"blob {blob!r} has no row for each picture", received=values.shape)
    return values.reshape(size, -1)[:count]


def _progress(batches: Sequence[int]) -> Iterable[int]:
    console = Console(stderr=True)
    return track(batches, "Predicting", console=console, transient=True, disable=not console.is_terminal)


def best(scores: np.ndarray, top: int, labels: Sequence[str] | None) -> Iterator[str]:
    """The greatest scores with their places and names, as lines.

    Raises:
        DataError: there are more or fewer labels than scores.
    """
    if labels is not None and len(labels) != len(scores):
        raise DataError("the labels do not fit the output", expected=f"{len(scores)} labels", received=len(labels))
    for place in np.argsort(-scores, kind="stable")[:top]:
        yield f"{scores[place]:.4f}  {place}" + (f"  {labels[place]}" if labels else "")


def read_labels(file: str) -> list[str]:
    """The lines of a file without the empty ones at its end; of SSD's labelmap, names at the places of their labels."""
    if Path(file).suffix == ".prototxt":
        items = read_message(file, proto.LabelMap).item
        names = {item.label: item.display_name or item.name for item in items}
        return [names.get(label, "") for label in range(max(names, default=-1) + 1)]
    try:
        return Path(file).read_text(encoding="utf-8").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error, problem="these are not names, one per line in UTF-8") from None
