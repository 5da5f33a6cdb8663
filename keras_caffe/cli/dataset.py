"""Databases of images: make them, and see what is in them.

An LMDB, a LevelDB and TFRecord files are read; which of them a database is shows by itself.
"""

from __future__ import annotations

from keras_caffe.cli.lazy import Commands

COMMANDS = Commands({name: f"dataset_{name}" for name in ("convert", "mean", "show", "stats")})
