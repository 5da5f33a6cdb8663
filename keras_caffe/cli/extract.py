"""Writes the contents of blobs for every record of the net's data layer.

OUT is an HDF5 (.h5) or NPZ (.npz) file with an array for each blob in Caffe's order, or a database of one blob: LMDB,
LevelDB or TFRecord of Datums with `float_data`, as Caffe's extract_features writes them. OUT appears only when it is
complete. Until then the results are in OUT.part; run the same command again to resume after an interruption.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from keras_caffe.cli.features import KINDS, Features, Parts, kind_of, write_features
from keras_caffe.cli.options import (
    add_engine_options,
    add_places,
    add_weights,
    engine_of,
    need_weights,
    places,
    positive,
    working,
)
from keras_caffe.cli.progress import progress
from keras_caffe.cli.train import names
from keras_caffe.converters.choices import DATABASES
from keras_caffe.errors import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="NET", help="prototxt with a data layer")
    add_weights(parser)
    add("--blobs", "--blob", action="append", required=True, metavar="NAME[,NAME]", help="the blobs to write")
    add("-o", "--output", required=True, metavar="OUT", help="the file or database to write")
    add("--to", choices=KINDS, help="kind of OUT (default: from its ending, else lmdb)")
    add("--iterations", type=positive, metavar="N", help="number of batches (default: all records once)")
    add("--level", type=int, default=0, metavar="N", help="level for include/exclude rules (default: 0)")
    add("--stage", dest="stages", action="append", default=[], metavar="NAME[,NAME]", help="stages for these rules")
    add("--allow-python-imports", action="store_true", help="import the modules that Python layers name")
    add_places(parser)
    add_engine_options(parser)


def check_usage(args: argparse.Namespace) -> None:
    need_weights(args, args.weights)
    if kind_of(args.output, args.to) in DATABASES and len(names(args.blobs)) > 1:
        args.wrong_usage("a database holds one blob; several fit into an .h5 or .npz file")


def run(args: argparse.Namespace) -> None:
    blobs, kind = names(args.blobs), kind_of(args.output, args.to)
    _check_target(args.output, kind)
    with working(f"Loading {args.net}"):
        features = Features(
            args.net,
            args.weights,
            blobs,
            args.iterations,
            level=args.level,
            stages=names(args.stages),
            allow_python_imports=args.allow_python_imports,
            engine=partial(engine_of, args),
            **places(args),
        )
    with Parts(args.output, features) as parts:
        if parts.done:
            print(f"going on from batch {parts.done} of {features.batches}")
        for _ in progress(parts.collect(), "Extracting", features.batches - parts.done):
            pass
        arrays = parts.arrays()
        write_features(args.output, kind, arrays)
        for name, array in arrays.items():
            print(f"{name}: {' x '.join(map(str, array.shape))}")
        parts.remove()
    print(f"wrote {args.output}")


def _check_target(target: str, kind: str) -> None:
    """Refuses before hours of work what could not be written after them."""
    if kind in DATABASES and Path(target).exists():
        raise DataError("something with this name exists already", where=target, fix="Remove it, or name another.")
    if not Path(target).resolve().parent.is_dir():
        raise DataError("there is no folder for the output", where=target)
