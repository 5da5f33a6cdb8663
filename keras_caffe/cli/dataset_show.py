"""Draws the first records of a database, with their labels, as one picture."""

from __future__ import annotations

import argparse
from itertools import islice

from keras_caffe.cli.files import output_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("database", metavar="DATABASE", help="LMDB, LevelDB or TFRecord of images")
    parser.add_argument("picture", metavar="PICTURE", type=output_file(".png"), help="the PNG to write")
    parser.add_argument("--count", type=int, default=64, metavar="N", help="records to draw (default: 64)")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="records to skip first (default: 0)")
    parser.add_argument("--columns", type=int, default=0, metavar="N", help="pictures per row")
    parser.add_argument("--size", type=int, default=96, metavar="N", help="longest side in pixels (default: 96)")


def check_usage(args: argparse.Namespace) -> None:
    if min(args.count, args.size) < 1 or min(args.skip, args.columns) < 0:
        args.wrong_usage("numbers of records and pixels must be positive")


def run(args: argparse.Namespace) -> None:
    from keras_caffe.converters.write import replacing
    from keras_caffe.data.database import empty
    from keras_caffe.data.sheet import contact_sheet
    from keras_caffe.data.statistics import open_any, records

    database = open_any(args.database)  # The records are views on its memory: it stays open until they are drawn.
    chosen = list(islice(records(database.items()), args.skip, args.skip + args.count))
    if not chosen:
        raise empty(args.database)
    sheet = contact_sheet(chosen, args.columns, args.size)
    with replacing(args.picture) as new:
        sheet.save(new, "PNG")
    print(f"{len(chosen)} records drawn in {args.picture}")
