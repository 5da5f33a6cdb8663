"""Draws the curves in training logs, Caffe's or ours, or writes them as a table.

Shows the loss (smoothed as the solver says), the learning rate, and each output of the train and test nets. Several
logs share one plot.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from keras_caffe.cli.files import output_file

if TYPE_CHECKING:
    from keras_caffe.solver.log import Curve

Runs: TypeAlias = "Mapping[str, Mapping[str, Curve]]"
PAGE = "<!doctype html>\n<meta charset=utf-8>\n<title>{title}</title>\n<h1>{title}</h1>\n{figure}\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("logs", metavar="LOG", nargs="+", help="log of `caffe train` or `keras-caffe train`")
    add("-o", "--output", required=True, type=_output, metavar="OUT", help="curves.png, .svg, .pdf, .html or .csv")
    add("--log-scale", action="store_true", help="logarithmic axis")


def _output(name: str) -> Path:
    path = output_file()(name)
    if path.suffix not in (".png", ".svg", ".pdf", ".html", ".csv"):
        raise argparse.ArgumentTypeError(f"the name must end in .png, .svg, .pdf, .html or .csv: {name!r}")
    return path


def run(args: argparse.Namespace) -> None:
    from keras_caffe import plots
    from keras_caffe.converters.write import replacing
    from keras_caffe.solver.log import read_log

    runs = {_name(log, args.logs): read_log(log) for log in dict.fromkeys(args.logs)}
    kind = args.output.suffix[1:]
    if kind == "csv":
        content = table(runs).encode()
    else:
        figure = io.BytesIO()
        drawn = plots.training(runs if len(runs) > 1 else next(iter(runs.values())), logarithmic=args.log_scale)
        drawn.savefig(figure, format="svg" if kind == "html" else kind)
        content = figure.getvalue()
    if kind == "html":
        svg = content.decode()
        content = PAGE.format(title=escape(", ".join(runs)), figure=svg[svg.index("<svg") :]).encode()
    with replacing(args.output) as file:
        file.write_bytes(content)
    curves = dict.fromkeys(curve for run in runs.values() for curve in run)
    print(f"wrote {args.output}: {', '.join(curves)}")


def _name(log: str, logs: list[str]) -> str:
    """A log's file name; its path where two have the same."""
    return log if sum(Path(other).name == Path(log).name for other in set(logs)) > 1 else Path(log).name


def table(runs: Runs) -> str:
    """The curves as CSV: a row for each iteration of each log, a column for each curve."""
    curves = list(dict.fromkeys(curve for run in runs.values() for curve in run))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["log", "iteration", *curves])
    for name, run in runs.items():
        points = {curve: dict(zip(*run[curve], strict=True)) for curve in run}
        for iteration in sorted(set().union(*points.values())):
            values = [points.get(curve, {}).get(iteration, "") for curve in curves]
            rows.writerow([name, iteration, *values])
    return text.getvalue()
