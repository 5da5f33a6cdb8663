"""Counts a database's records, sizes and labels, and computes each channel's mean."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from keras_caffe.cli.progress import progress

if TYPE_CHECKING:
    from keras_caffe.data.statistics import Statistics

MOST_LABELS = 20  # that are listed one by one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("database", metavar="DATABASE", help="LMDB, LevelDB or TFRecord of images")


def run(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from keras_caffe.data.database import empty
    from keras_caffe.data.statistics import Statistics, open_any, records

    walk, statistics = open_any(args.database), Statistics()
    for record in progress(records(walk.items()), "Reading", walk.count()):
        statistics.add(record)
    if not statistics.count:
        raise empty(args.database)
    table = Table("", "", show_header=False)
    for row in rows(statistics):
        table.add_row(*row)
    Console(width=None).print(table)


def rows(statistics: Statistics) -> list[tuple[str, str]]:
    """What is known of a database, as lines of two columns."""
    shapes = [f"{' x '.join(map(str, shape))}: {count:,}" for shape, count in statistics.shapes.most_common(5)]
    more = ["..."] if len(statistics.shapes) > 5 else []
    labels = [f"{label}: {count:,}" for label, count in sorted(statistics.labels.items())[:MOST_LABELS]]
    labels += ["..."] if len(statistics.labels) > MOST_LABELS else []
    return [
        ("records", f"{statistics.count:,}"),
        ("compressed", f"{statistics.encoded:,}"),
        ("channels x height x width", "\n".join(shapes + more)),
        ("values", f"{statistics.lowest:g} to {statistics.highest:g}"),
        ("mean of each channel", ", ".join(f"{mean:g}" for mean in statistics.means)),
        ("labels", f"{len(statistics.labels):,} from {min(statistics.labels)} to {max(statistics.labels)}"),
        ("records of a label", "\n".join(labels)),
    ]
