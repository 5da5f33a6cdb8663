"""Computes the mean image of a database and writes it as a binaryproto, as Caffe's compute_image_mean does.

The mean of each channel is printed.
"""

from __future__ import annotations

import argparse

from keras_caffe.cli.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("database", metavar="DATABASE", help="LMDB, LevelDB or TFRecord of images of one size")
    parser.add_argument("mean", metavar="MEAN", nargs="?", help="the file to write, such as mean.binaryproto")


def run(args: argparse.Namespace) -> None:
    from keras_caffe.data.statistics import mean_image, open_any, records, write_mean

    walk = open_any(args.database)
    mean = mean_image(progress(records(walk.items()), "Reading", walk.count()))
    for channel, value in enumerate(mean.reshape(mean.shape[0], -1).mean(1, dtype="float64")):
        print(f"mean_value channel [{channel}]: {value:g}")
    if args.mean:
        write_mean(args.mean, mean)
