"""Scores a net on the data of its TEST phase."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from keras_caffe.cli.options import add_places, places, working
from keras_caffe.cli.train import add_selection, names

if TYPE_CHECKING:
    from keras_caffe.converters.model import CaffeModel
    from keras_caffe.solver.feed import Feed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", required=True, metavar="FILE", help="prototxt of the net")
    add("--weights", required=True, metavar="FILE[,FILE]", help="its caffemodels")
    add("--iterations", type=_positive, default=50, metavar="N", help="number of batches (default: 50)")
    add_selection(parser)
    add("--allow-python-imports", action="store_true", help="import the modules that Python layers name")
    add_places(parser)


def run(args: argparse.Namespace) -> None:
    from keras_caffe.solver.display import say
    from keras_caffe.solver.load import open_test_net

    with working(f"Loading {args.model}"):
        model, data = open_test_net(
            args.model,
            names(args.weights),
            stages=names(args.stages),
            level=args.level or 0,
            data_format=args.data_format,
            allow_python_imports=args.allow_python_imports,
            **places(args),
        )
    score(model, data, args.iterations, say)


def score(model: CaffeModel, data: Feed, iterations: int, tell: Callable[[str], None]) -> None:
    """Runs a net on batches and tells what `caffe test` does: each batch's outputs, the loss, the means."""
    from keras_caffe.solver.display import loss_weights, output_lines
    from keras_caffe.solver.scores import Scorer

    tell(f"Running for {iterations} iterations.")

    def each(number: int, outputs: Mapping[str, Any]) -> None:
        for line in output_lines(outputs, {}):
            tell(f"Batch {number}, {line}")

    scorer = Scorer(model, data)
    scores = scorer(iterations, each)
    tell(f"Loss: {scorer.loss:.6g}")
    for line in output_lines(scores, loss_weights(model)):
        tell(line)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return number
