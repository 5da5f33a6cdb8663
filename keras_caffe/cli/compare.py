"""Compares every blob with what Caffe computed.

REF.npz holds {blob: array in Caffe's order}, including the net's inputs. In pycaffe, dump it like this:

    net = caffe.Net("deploy.prototxt", "net.caffemodel", caffe.TEST)
    fed = {name: net.blobs[name].data.copy() for name in net.inputs}     # after filling them
    net.forward()
    numpy.savez("REF.npz", **{**{name: blob.data for name, blob in net.blobs.items()}, **fed})

The relative difference is the largest absolute difference divided by the reference's largest value. The exit code is 1
if a blob diverges.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from keras_caffe.cli.options import add_net_options, add_weights, given, need_weights, working
from keras_caffe.converters.choices import TOLERANCE

if TYPE_CHECKING:
    from rich.table import Table

    from keras_caffe.converters.comparison import Comparison

WIDTH = 10_000  # columns of what is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="NET", help="prototxt")
    add_weights(parser)
    add("--reference", metavar="REF.npz", required=True, help="what Caffe computed")
    add(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="T",
        help=f"largest relative difference that counts as rounding (default: {TOLERANCE:g})",
    )
    add_net_options(parser)


def check_usage(args: argparse.Namespace) -> None:
    need_weights(args, args.weights)


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from keras_caffe.converters.comparison import compare

    with working(f"Running {args.net}"):
        options = {**given(args), "skip_mismatch": args.skip_mismatch}
        comparison = compare(args.net, args.weights, args.reference, tolerance=args.tolerance, **options)
    out = Console(markup=False, emoji=False)
    (out if out.is_terminal else Console(width=WIDTH, markup=False, emoji=False)).print(table(comparison))
    if comparison.unknown:
        print(f"not in the net: {', '.join(comparison.unknown)}")
    if comparison.first is None:
        print(f"{len(comparison.rows)} blobs agree")
        return 0
    print(f"first to diverge: {comparison.first.blob} (layer {comparison.first.layer}, {comparison.first.type})")
    return 1


def table(comparison: Comparison) -> Table:
    """One row a blob, in the order of execution; the first that diverges is marked."""
    from rich.table import Table

    grid = Table(title=f"Tolerance {comparison.tolerance:g}", box=None)
    for heading in ("", "blob", "layer", "type", "shape"):
        grid.add_column(heading, overflow="fold")
    for heading in ("largest difference", "relative"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("")
    for row in comparison.rows:
        mark = "->" if row is comparison.first else ""
        numbers = f"{row.absolute:.3g}", f"{row.relative:.3g}"
        shape = "x".join(map(str, row.shape)) or "scalar"
        grid.add_row(mark, row.blob, row.layer, row.type, shape, *numbers, row.problem or "")
    return grid
