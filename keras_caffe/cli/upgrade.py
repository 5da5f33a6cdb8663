"""Upgrades old nets and solvers to the current prototxt format.

V0 and V1 layers, `input` fields, padding layers and old transformation fields are rewritten as Caffe's
upgrade_net_proto_text does; comments are lost. IN may be binary too: its definition is written, its values are not.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from keras_caffe.cli.files import output_file
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.read import read_message
from keras_caffe.converters.upgrade import upgrade_solver
from keras_caffe.converters.write import replacing
from keras_caffe.errors import ReadError
from keras_caffe.proto.text import to_text

COMPUTES_NOTHING = True
STDOUT = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="prototxt or caffemodel")
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        default=STDOUT,
        type=lambda name: name if name == STDOUT else output_file()(name),
        help="the file to write, which may be IN; - for standard output (default)",
    )
    parser.add_argument("--solver", action="store_true", help="IN is a solver")
    parser.add_argument("--strict", action="store_true", help="unknown fields are an error, not a warning")


def run(args: argparse.Namespace) -> None:
    text = to_text(_upgraded(args))
    if args.output == STDOUT:
        sys.stdout.write(text)
        return
    with replacing(args.output) as file:
        file.write_text(text, encoding="utf-8")


def _upgraded(args: argparse.Namespace) -> Any:
    if args.solver:
        solver = upgrade_solver(read_message(args.input, "SolverParameter", strict=args.strict))
        return _filled(solver, args.input, solver.ListFields(), "a solver", "Leave --solver out for a net.")
    net = read_definition(args.input, strict=args.strict).message
    return _filled(net, args.input, net.layer, "the definition of a net", "Pass --solver for a solver.")


def _filled(message: Any, file: str, content: Any, expected: str, fix: str) -> Any:
    """The message; a file of another kind has nothing that it knows, and must not be replaced by nothing."""
    if not content:
        raise ReadError("the file holds nothing to upgrade", where=file, expected=expected, fix=fix)
    return message
