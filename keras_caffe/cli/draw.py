"""Draws a net as a picture.

The ending of OUT chooses the format: .png, .svg, .pdf or any other that Graphviz draws, or .dot. Layers are boxes,
green if they work in place; blobs are octagons. An arrow from a layer to a blob is labelled with num_output.
"""

from __future__ import annotations

import argparse

from keras_caffe.cli.files import output_file
from keras_caffe.cli.options import working
from keras_caffe.converters.select import PHASES

COMPUTES_NOTHING = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    add("-o", "--output", metavar="OUT.png", required=True, type=output_file(), help="the file to write")
    add("--rankdir", choices=("LR", "TB", "BT"), default="LR", help="direction of the graph (default: LR)")
    add("--phase", choices=PHASES, help="apply this phase's include/exclude rules (default: draw all layers)")
    add("--display-lrm", action="store_true", help="show learning rate multipliers")


def check_usage(args: argparse.Namespace) -> None:
    if not args.output.suffix:
        args.wrong_usage("the name of OUT must end in a format, such as .png")


def run(args: argparse.Namespace) -> None:
    from keras_caffe.converters.draw import draw_net_to_file
    from keras_caffe.converters.write import replacing

    phase = None if args.phase is None else PHASES[args.phase]
    with working(f"Drawing {args.net}"), replacing(args.output) as file:
        draw_net_to_file(args.net, file, args.rankdir, phase, args.display_lrm)
    print(f"wrote {args.output}")
