"""Prints a table of a net's layers, blobs, parameters and operations.

Shapes are given for the batch that the net declares, in Caffe's order and as the Keras model has them at its edges and
in `model.blobs`. FLOPs are those of one forward pass over that batch; a multiplication and the addition that follows
it count as 2. No memory is taken for the parameters, and of WEIGHTS only the shapes are read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from keras_caffe.cli.options import add_net_options, plan
from keras_caffe.layout import edge_order, to_stored
from keras_caffe.shapes import Shape, total_count

if TYPE_CHECKING:
    from rich.table import Table

    from keras_caffe.converters.graph import Node
    from keras_caffe.converters.infer import Plan

HEADINGS = ("layer", "type", "blob", "Caffe", "Keras", "parameters", "FLOPs")
NUMBERS = (5, 6)  # places of the columns that stand to the right
LEFT_OUT = ((), ("Keras",), ("Keras", "type"), ("Keras", "type", "blob"))  # where the terminal is narrow
ROOMY = 10_000  # columns of what is no terminal

COMPUTES_NOTHING = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", metavar="NET", help="the net: prototxt, or a caffemodel that holds its definition")
    parser.add_argument(
        "weights", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5; shows which layers it fills"
    )
    add_net_options(parser)


def run(args: argparse.Namespace) -> None:
    from keras_caffe.converters.costs import flops
    from keras_caffe.converters.definition import check_not_swapped
    from keras_caffe.converters.weights import match

    check_not_swapped(args.net, args.weights)
    planned = plan(args)
    _, report = match(planned, args.weights, skip_mismatch=args.skip_mismatch)
    _print(planned)
    unknown = {layer.node.type for layer in planned.layers.values() if flops(planned, layer) is None}
    if unknown:
        print(f"FLOPs are not known for {', '.join(sorted(unknown))}")
    if args.weights:
        print(report)


def table(plan: Plan, without: Sequence[str] = ()) -> Table:
    """One row for each top of each layer, without some of the columns."""
    from rich.table import Table

    from keras_caffe.converters.costs import flops, parameters

    net = plan.net
    grid = Table(title=f"{net.name or 'net'} ({net.phase})", caption="FLOPs: a multiplication and an addition are 2")
    columns = [place for place, heading in enumerate(HEADINGS) if heading not in without]
    for place in columns:
        side: Literal["right", "left"] = "right" if place in NUMBERS else "left"
        wraps = place == 0  # and is cut with an ellipsis: of all columns the layers' names give way
        grid.add_column(HEADINGS[place], justify=side, no_wrap=not wraps, overflow="ellipsis")
    for node in net.nodes:
        operations = flops(plan, plan.layers[node.index]) if node.index in plan.layers else 0
        sizes = [_number(parameters(plan, node.index)), _number(operations)]
        for blobs in _blobs(plan, node):
            row = [*([node.name, node.type] if sizes else ["", ""]), *blobs, *sizes, "", ""]
            grid.add_row(*(row[place] for place in columns))
            sizes = []
    grid.add_section()
    row = [f"{len(net.nodes)} layers", "", "", "", "", *totals(plan)]
    grid.add_row(*(row[place] for place in columns))
    return grid


def totals(plan: Plan) -> list[str]:
    """All parameters and all operations."""
    from keras_caffe.converters.costs import flops, parameters

    operations = [flops(plan, layer) for layer in plan.layers.values()]
    known = f"{sum(filter(None, operations)):,}"
    return [
        f"{sum(parameters(plan, index) for index in plan.layers):,}",
        f"over {known}" if None in operations else known,
    ]


def memory(plan: Plan) -> str:
    """Bytes of the parameters and, if none is given up, of the net's blobs."""
    from keras_caffe.converters.costs import parameters

    blobs = 4 * total_count(plan.shapes[value] for value in plan.inputs)
    for planned in plan.layers.values():
        blobs += planned.layer.memory([plan.shapes[value] for value in planned.node.outputs])
    over = "over " if any(None in shape for shape in plan.shapes.values()) else ""
    parameter_bytes = 4 * sum(parameters(plan, index) for index in plan.layers)
    return f"Memory in float32: {parameter_bytes:,} bytes of parameters, {over}{blobs:,} bytes of blobs"


def _blobs(plan: Plan, node: Node) -> Iterator[Sequence[str]]:
    for value in node.outputs:
        shape, name = plan.shapes[value], plan.net.values[value].blob
        stored = to_stored(shape, edge_order(len(shape), plan.data_format))
        yield [name, _shape(shape), _shape(stored)]
    if not node.outputs:
        yield ["", "", ""]


def _shape(shape: Shape) -> str:
    return "x".join("?" if size is None else str(size) for size in shape) or "scalar"


def _number(number: int | None) -> str:
    return "?" if number is None else f"{number:,}" if number else ""


def _print(plan: Plan) -> None:
    """Prints the table, on a terminal without the columns that it has no room for: a broken cell cannot be read."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else ROOMY, markup=False, emoji=False)  # names are no markup
    for without in LEFT_OUT:
        grid = table(plan, without)
        if console.measure(grid, options=console.options.update(max_width=ROOMY)).maximum <= console.width:
            break
    console.print(grid)
    console.print(memory(plan))
    console.print(f"Read as the nets of {plan.net.fork}")
    if without:
        console.print(f"The terminal is too narrow for: {', '.join(without)}")
