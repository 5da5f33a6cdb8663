"""Compares a classifier's accuracy, error and speed in each precision.

DATA is an .npz of `images` and `labels`, or `data` and `label` (images in the net's order of channels), a folder with
a folder of images for each class, a file of "image label" lines (names start at --root-dir), an LMDB or LevelDB, or a
prototxt with a data layer. Except for the last, images are prepared as in `predict`: minus the mean, times the scale.
Errors are relative to the largest output of the float32 Keras model. The first 200 images calibrate int8.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_caffe.cli.images import Preparation, mean_of
from keras_caffe.cli.labelled import Labelled, image_input
from keras_caffe.cli.options import (
    add_engine_options,
    add_net_options,
    add_weights,
    load,
    need_weights,
    places,
    working,
)
from keras_caffe.cli.predict import input_shape, output_blob
from keras_caffe.converters.choices import PRECISIONS

if TYPE_CHECKING:
    from rich.table import Table

    from keras_caffe import CaffeModel

WIDTH = 10_000  # columns of what is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    add_weights(parser)
    add("--data", required=True, type=Path, metavar="DATA", help="labelled images, see above")
    add("--precision", nargs="+", action="extend", choices=PRECISIONS, help="precisions to compare (default: all)")
    add("--mean", metavar="MEAN", default="0", help="a .binaryproto or .npy file, or one number, or B,G,R")
    add("--scale", type=float, default=1.0, help="factor after the mean is subtracted (default: 1)")
    add("--output", metavar="BLOB", help="the blob with a value for each class (default: the net's output)")
    add("--json", action="store_true", help="print JSON")
    add_engine_options(parser, "auto")
    add_net_options(parser)


def check_usage(args: argparse.Namespace) -> None:
    need_weights(args, args.weights)


def run(args: argparse.Namespace) -> None:
    from rich.console import Console

    from keras_caffe.engines.evaluate import evaluate

    with working(f"Loading {args.net}"):
        model = load(args, args.weights)
    blob = _classes(model, args.output)
    part = model.extract([blob])
    shape = input_shape(model, part)
    prepare = Preparation(shape, mean_of(args.mean, shape), args.scale)
    data = Labelled(model, image_input(model, part), args.data, prepare, **places(args))
    with working(f"Evaluating on {args.data}"):
        precisions = list(dict.fromkeys(args.precision or PRECISIONS))
        prices = evaluate(model, blob, data, precisions, args.engine, args.threads, args.cache)
    rows = [price.summary() for price in prices]
    if args.json:
        print(json.dumps({"net": model.net.name, "blob": blob, "data": str(args.data), "precisions": rows}, indent=1))
        return
    out = Console(markup=False, emoji=False)
    (out if out.is_terminal else Console(width=WIDTH, markup=False, emoji=False)).print(_table(model, rows))
    for row in rows:
        if "refused" in row:
            print(f"{row['precision']}: {row['refused']}")


def _classes(model: CaffeModel, name: str | None) -> str:
    """The blob to look at: of a net that computes losses and accuracies what they are made of."""
    from keras_caffe.onnx.subject import of_model

    judged = of_model(model).predictions()
    only = model.net.values[judged[0]].blob if len(judged) == 1 else None
    return output_blob(model, name or only)


def _table(model: CaffeModel, rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    done = [row for row in rows if row["engine"]]
    images = done[0]["images"] if done else 0
    grid = Table(title=f"{model.net.name or 'net'}, {images:,} images", box=None)
    for heading in ("precision", "engine"):
        grid.add_column(heading)
    for heading in ("accuracy", "largest error", "mean error", "ms / image"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        numbers = ("accuracy", "largest_error", "mean_error", "milliseconds")
        forms = ("{:.4f}", "{:.2g}", "{:.2g}", "{:.3g}")
        told = [form.format(row[name]) if name in row else "-" for name, form in zip(numbers, forms, strict=True)]
        grid.add_row(row["precision"], row["engine"] or "-", *told)
    return grid
