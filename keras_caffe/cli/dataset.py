"""Makes databases of images and shows what is in them.

Reads LMDB, LevelDB and TFRecord; the kind of database is detected.
"""

from __future__ import annotations

from keras_caffe.cli.lazy import Commands

COMMANDS = Commands({name: f"dataset_{name}" for name in ("convert", "mean", "show", "stats")})
