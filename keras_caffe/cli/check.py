"""Checks a net before you load it: format, dialect, unknown types and fields, weights, known traps.

No model is built. The exit code is 1 if the net would not load.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from keras_caffe.cli.options import add_net_options, given

if TYPE_CHECKING:
    from keras_caffe.converters.check import Finding

ROOMY = 10_000  # columns of what is no terminal

COMPUTES_NOTHING = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    parser.add_argument("weights", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5 files")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    from keras_caffe.converters.check import check

    found = check(args.net, args.weights, skip_mismatch=args.skip_mismatch, flags=args.flags, **given(args))
    loads = all(one.severity != "error" for one in found)
    if args.json:
        print(json.dumps({"net": args.net, "loads": loads, "findings": [*map(asdict, found)]}, indent=2))
    else:
        _print(args.net, found, loads)
    return 0 if loads else 1


def _print(net: str, found: Sequence[Finding], loads: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table("", "about", "layer", "line", "what", "what to do", title=net)
    for one in found:
        grid.add_row(one.severity, one.kind, one.layer or "", str(one.line or ""), one.text, one.cure)
    grid.add_row("", "", "", "", "The net would load." if loads else "The net would not load.", "")
    Console(width=None if sys.stdout.isatty() else ROOMY, markup=False, emoji=False).print(grid)
