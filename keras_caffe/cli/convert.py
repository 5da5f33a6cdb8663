"""Caffe files -> a Keras model.

OUT.keras is loaded again with `keras.saving.load_model` after `import keras_caffe`. A file that is there already is
replaced once the new one is complete; after an error it is as it was.
"""

from __future__ import annotations

import argparse

from keras_caffe.cli.files import output_file
from keras_caffe.cli.options import add_net_options, load, working
from keras_caffe.converters.write import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    parser.add_argument(
        "weights", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5, applied one after the other"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT.keras", required=True, type=output_file(".keras"), help="the file to write"
    )
    add_net_options(parser)


def run(args: argparse.Namespace) -> None:
    with working(f"Loading {args.net}"):
        model = load(args, args.weights)
    with working(f"Writing {args.output}"), replacing(args.output) as file:
        model.save(file)
    print(f"{model.name}: {len(model.net.nodes)} layers, {model.count_params():,} parameters")
    print(model.load_report)
    print(f"wrote {args.output} ({args.output.stat().st_size:,} bytes)")
