"""Times each layer, forward and backward, in milliseconds, like `caffe time`.

Each layer runs by itself, compiled, on random inputs passed through the layers above it, in the sizes that the net
declares. The last lines are for the whole net; they are less than the sums because a compiled net fuses layers. With
`--engine`, the forward pass of that engine follows; with `auto`, that of every installed engine.
"""

from __future__ import annotations

import argparse

from keras_caffe.cli.options import add_engine_options, add_net_options, engine_of, load, positive, working

WIDTH = 10_000  # columns of what is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    add("weights", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5; not needed")
    add(
        "--iterations",
        type=positive,
        default=20,
        metavar="N",
        help="runs per layer; the median is reported (default: 20)",
    )
    add_engine_options(parser)
    add_net_options(parser)


def run(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from keras_caffe.converters.model import output_name
    from keras_caffe.serving import layer_times, whole_times

    with working(f"Loading {args.net}"):
        model = load(args, args.weights)
    count = len(model.caffe_layers)
    progress = Console(stderr=True)
    times = list(
        track(layer_times(model, args.iterations), "Timing", count, console=progress, disable=not progress.is_terminal)
    )
    grid = Table(title=f"{model.net.name or 'net'} ({model.net.phase}), ms", box=None)
    for heading in ("layer", "type"):
        grid.add_column(heading, overflow="fold")
    for heading in ("forward", "backward"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for time in times:
        grid.add_row(time.layer, time.type, _ms(time.forward), _ms(time.backward))
    grid.add_section()
    backward = [time.backward for time in times if time.backward is not None]
    grid.add_row("sum of the layers", "", _ms(sum(time.forward for time in times)), _ms(sum(backward)))
    grid.add_row("the whole net", "", *map(_ms, whole_times(model, args.iterations)))
    engine = engine_of(args, model, [output_name(model.net, value) for value in model.plan.outputs()])
    for name, milliseconds in engine.report.milliseconds.items() if engine else ():
        grid.add_row("the whole net", name, _ms(milliseconds), "-")
    out = Console(markup=False, emoji=False)
    (out if out.is_terminal else Console(width=WIDTH, markup=False, emoji=False)).print(grid)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
