"""Names of classes, as an asset of an exported version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_caffe.converters.labels import Labels


def lookup(file: Path, labels: Labels) -> tuple[Any, list[Any]]:
    """The table number -> name, and what the exported module must hold on to.

    Args:
        file: where the names are written, for TensorFlow to copy them to the version's assets.
        labels: the names.
    """
    file.write_text("".join(f"{name}\n" for name in labels.names), encoding="utf-8")
    asset, index = tf.saved_model.Asset(str(file)), tf.lookup.TextFileIndex
    lines = tf.lookup.TextFileInitializer(
        asset, "int64", index.LINE_NUMBER, "string", index.WHOLE_LINE, len(labels.names)
    )
    table = tf.lookup.StaticHashTable(lines, default_value="")
    return table, [asset, table]
