"""Databases of images: make them, and see what is in them.

An LMDB, a LevelDB and TFRecord files are read; which of them a database is shows by itself.
"""

from __future__ import annotations

from keras_caffe.cli import dataset_convert, dataset_mean, dataset_show, dataset_stats

COMMANDS = {
    "convert": dataset_convert,
    "mean": dataset_mean,
    "show": dataset_show,
    "stats": dataset_stats,
}
