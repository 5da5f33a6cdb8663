"""All there is to say about a net before it is loaded: format, Caffe, unknown types and fields, weights, traps.

Nothing is built. The exit code is 1 if the net would not load.
"""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table

from keras_caffe.cli.options import add_net_options, selection, settings
from keras_caffe.converters.check import Finding, Findings, check
from keras_caffe.errors import Message

ROOMY = 10_000  # columns of what is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    parser.add_argument("weights", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5 files")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    findings = check(args.net, args.weights, {**settings(args), "strict": args.strict}, selection(args))
    if args.json:
        print(json.dumps(as_json(findings, args), indent=2))
    else:
        _print(findings, args)
    return 0 if findings.loads else 1


def as_json(findings: Findings, args: argparse.Namespace) -> dict[str, object]:
    """The findings as plain values."""
    fork = findings.fork
    return {
        "net": args.net,
        "loads": findings.loads,
        "generation": findings.generation,
        "fork": fork and {"name": fork.name, "reason": fork.reason},
        "findings": [{"kind": one.kind, "about": one.about, "text": _text(one, args)} for one in findings.found],
    }


def _text(one: Finding, args: argparse.Namespace) -> str:
    return one.text.text(args.flags) if isinstance(one.text, Message) else one.text


def _print(findings: Findings, args: argparse.Namespace) -> None:
    grid = Table("", "about", "what", title=args.net)
    for what, value in (("format", findings.generation), ("Caffe", findings.fork)):
        grid.add_row("note", what, str(value or "not known"))
    for one in findings.found:
        grid.add_row(one.kind, one.about, _text(one, args))
    grid.add_row("", "", "The net would load." if findings.loads else "The net would not load.")
    Console(width=None if sys.stdout.isatty() else ROOMY, markup=False, emoji=False).print(grid)
