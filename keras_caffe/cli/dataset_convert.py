"""Makes a database from a folder of images, a list of images or another database.

SOURCE is a folder with one subfolder of images per class, a list of `name label` lines as for convert_imageset, or a
database. TARGET must not exist; an interrupted command leaves nothing under its name. Images get convert_imageset's
keys, `%08d_name`; records of a database are copied unchanged.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable
from pathlib import Path

from keras_caffe.cli.progress import progress
from keras_caffe.converters.choices import DATABASES, TFRECORD


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="folder of class folders, list of images, or database")
    parser.add_argument("target", metavar="TARGET", help="the new database")
    add = parser.add_argument
    add(
        "--to",
        choices=DATABASES,
        help=f"kind of the new database (default: lmdb, or tfrecord for a name in {TFRECORD})",
    )
    add("--shards", type=int, default=1, metavar="N", help="spread a tfrecord over N files in a folder")
    images = parser.add_argument_group("images")
    images.add_argument("--root", default="", metavar="FOLDER", help="folder that contains the files in a list")
    images.add_argument("--gray", action="store_true", help="convert to one channel")
    images.add_argument("--resize", nargs=2, type=int, metavar=("HEIGHT", "WIDTH"), help="resize images to this size")
    images.add_argument("--encoded", choices=("jpg", "png"), default="", help="keep images compressed")
    images.add_argument("--check-size", action="store_true", help="refuse images that differ in size from the first")
    images.add_argument("--shuffle", action="store_true", help="shuffle the records")
    images.add_argument("--seed", type=int, metavar="N", help="seed for --shuffle")


def check_usage(args: argparse.Namespace) -> None:
    if args.shards < 1 or (args.resize and min(args.resize) < 1):
        args.wrong_usage("numbers of files and pixels must be positive")


def run(args: argparse.Namespace) -> None:
    from keras_caffe.data.writers import write

    kind = args.to or ("tfrecord" if args.target.endswith(TFRECORD) else "lmdb")
    records, total, classes = _records(args)
    count = write(args.target, progress(records, "Writing", total), kind, args.shards)
    for label, name in enumerate(classes):
        print(f"{label} {name}")
    print(f"{count} records written to {args.target}")


def _records(args: argparse.Namespace) -> tuple[Iterable[tuple[bytes, bytes]], int | None, list[str]]:
    """The records, their number if it is known, and the names of the classes."""
    from keras_caffe.data.database import BACKENDS
    from keras_caffe.data.imageset import ImageSet, find_images
    from keras_caffe.data.sources.tfrecord import is_tfrecord
    from keras_caffe.data.statistics import open_any

    source = Path(args.source)
    if is_tfrecord(source) or any((source / file).is_file() for file in BACKENDS):
        walk = open_any(source)
        return ((bytes(key), bytes(value)) for key, value in walk.items()), walk.count(), []
    lines, classes = find_images(source)
    if args.shuffle:
        random.Random(args.seed).shuffle(lines)
    root = source if classes else Path(args.root)
    size = tuple(args.resize) if args.resize else None
    images = ImageSet(lines, root, args.gray, size, args.encoded, args.check_size)
    return images.records(), len(images), classes
