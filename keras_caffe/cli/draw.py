"""A net as a picture.

The name of OUT ends in the format: .png, .svg, .pdf, whatever Graphviz draws, or .dot, which Graphviz reads. Layers are
boxes, green where they work in place; blobs are octagons. An arrow to a blob carries a layer's num_output.
"""

from __future__ import annotations

import argparse

from keras_caffe.cli.files import output_file
from keras_caffe.cli.options import working
from keras_caffe.converters.draw import draw_net_to_file
from keras_caffe.converters.select import PHASES
from keras_caffe.converters.write import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    add("-o", "--output", metavar="OUT.png", required=True, type=output_file(), help="the file to write")
    add("--rankdir", choices=("LR", "TB", "BT"), default="LR", help="where the arrows lead (default: LR)")
    add("--phase", choices=PHASES, help="which include/exclude rules hold (default: all layers are drawn)")
    add("--display-lrm", action="store_true", help="write learning rate multipliers into the layers")


def run(args: argparse.Namespace) -> None:
    if not args.output.suffix:
        args.wrong_usage("the name of OUT must end in a format, such as .png")
    phase = None if args.phase is None else PHASES[args.phase]
    with working(f"Drawing {args.net}"), replacing(args.output) as file:
        draw_net_to_file(args.net, file, args.rankdir, phase, args.display_lrm)
    print(f"wrote {args.output}")
