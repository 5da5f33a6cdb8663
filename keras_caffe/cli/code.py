"""Writes a net as a Python file that builds it with Keras alone, or with pycaffe.

The file has one line per layer and a function for each part that repeats. Running it checks the shapes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from keras_caffe.cli.files import output_file
from keras_caffe.cli.options import add_net_options, load, working
from keras_caffe.converters.choices import STYLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    add("files", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5, applied one after the other")
    add("-o", "--output", metavar="NET.py", required=True, type=output_file(".py"), help="the file to write")
    add("--weights", metavar="NET.weights.h5", type=output_file(".h5"), help="also write its weights")
    add("--style", choices=STYLES, default="keras", help="(default: keras; caffe: pycaffe's NetSpec)")
    add_net_options(parser)


def check_usage(args: argparse.Namespace) -> None:
    if args.weights and args.style != "keras":
        args.wrong_usage("--weights is for --style keras")


def run(args: argparse.Namespace) -> None:
    from keras_caffe import to_code
    from keras_caffe.converters.write import replacing

    with working(f"Loading {args.net}"):
        model = load(args, args.files)
    text = to_code(model, args.style)
    with replacing(args.output) as file:
        file.write_text(text, encoding="utf-8")
    print(f"wrote {args.output} ({len(text.splitlines())} lines)")
    if args.weights:
        _write_weights(text, model, args.weights)
        print(f"wrote {args.weights}")


def _write_weights(text: str, model: Any, file: Path) -> None:
    """Builds the net with the code, which came from `to_code` a moment ago, so that the file fits it."""
    from keras_caffe import to_keras

    code: dict[str, Any] = {"__name__": "net"}
    exec(compile(text, "net.py", "exec"), code)  # noqa: S102  # nosec B102  # Texts of the net stand in it as literals only.
    built, plain = code["build_model"](), to_keras(model)
    for layer in plain.layers:
        if layer.weights:
            built.get_layer(layer.name).set_weights(layer.get_weights())
    built.save_weights(file)
