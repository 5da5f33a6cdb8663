"""Converts Caffe files to a Keras model.

Load OUT.keras with `keras.saving.load_model` after `import keras_caffe`. With --plain it holds only Keras's own layers
and operations, so Keras alone can load it. An existing file is replaced only once the new one is complete; after an
error it is unchanged.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from keras_caffe.cli.files import output_file
from keras_caffe.cli.options import add_net_options, load, working

if TYPE_CHECKING:
    import keras

    from keras_caffe import CaffeModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    parser.add_argument(
        "weights", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5, applied one after the other"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT.keras", required=True, type=output_file(".keras"), help="the file to write"
    )
    add = parser.add_argument_group("plain Keras").add_argument
    add(
        "--plain",
        action="store_true",
        help="use only Keras's own layers and operations; the file does not need keras_caffe",
    )
    add("--fold", action="store_true", help="with --plain: fold BatchNorm, Scale and Dropout layers first")
    add(
        "--rgb",
        action="store_true",
        help="with --plain: reorder the first convolution so that pictures are red-green-blue",
    )
    add(
        "--allow",
        action="append",
        default=[],
        metavar="LAYER",
        help="with --plain: a layer that may remain one of keras_caffe's; may be repeated",
    )
    add(
        "--mean",
        type=numbers,
        metavar="M[,M,M]",
        help="with --plain: the model takes pictures (0 to 255, red-green-blue) and subtracts this mean",
    )
    add("--scale", type=float, metavar="S", help="with --plain: and multiplies them by this factor")
    add_net_options(parser)


def numbers(text: str) -> list[float]:
    """One number, or one for each channel in the net's order."""
    return [float(number) for number in text.split(",")]


def check_usage(args: argparse.Namespace) -> None:
    only = [f"--{name}" for name in ("fold", "rgb", "allow", "mean", "scale") if getattr(args, name)]
    if only and not args.plain:
        args.wrong_usage(f"{', '.join(only)}: only with --plain")


def run(args: argparse.Namespace) -> None:
    from keras_caffe.converters.write import replacing

    with working(f"Loading {args.net}"):
        model = load(args, args.weights)
    saved = plain(args, model) if args.plain else model
    with working(f"Writing {args.output}"), replacing(args.output) as file:
        saved.save(file)
    print(f"{model.name}: {len(model.net.nodes)} layers, {model.count_params():,} parameters")
    print(model.load_report)
    vars(args).pop("note", None)  # the report has it
    print(f"wrote {args.output} ({args.output.stat().st_size:,} bytes)")


def plain(args: argparse.Namespace, model: CaffeModel) -> keras.Model:
    """The model in Keras's own layers."""
    from keras_caffe import to_keras

    given = {name: getattr(args, name) for name in ("mean", "scale") if getattr(args, name) is not None}
    return to_keras(model, fold=args.fold, rgb=args.rgb, preprocessing=given or None, allow=args.allow)
