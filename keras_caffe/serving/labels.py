"""Names of classes, as an asset of an exported version."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_caffe.errors import ExportError


@dataclass(eq=False)
class Labels:
    """Class names in the order of their numbers; `where` they come from, for errors."""

    names: list[str]
    where: str | None = None
    folder: Any = field(default_factory=tempfile.TemporaryDirectory)
    _table: Any = None

    def table(self) -> tf.lookup.StaticHashTable:
        """Number -> name, read from the asset `labels.txt` when the version is loaded."""
        if self._table is None:
            file = Path(self.folder.name) / "labels.txt"
            file.write_text("".join(f"{name}\n" for name in self.names), encoding="utf-8")
            self._asset = tf.saved_model.Asset(str(file))
            lines = tf.lookup.TextFileIndex
            made = tf.lookup.TextFileInitializer(
                self._asset, "int64", lines.LINE_NUMBER, "string", lines.WHOLE_LINE, len(self.names)
            )
            self._table = tf.lookup.StaticHashTable(made, default_value="")
        return self._table

    def tracked(self) -> list[Any]:
        """What the exported module must hold on to."""
        return [self._asset, self._table] if self._table is not None else []


def read_labels(given: Sequence[str] | str | Path) -> Labels:
    """Labels from a list, or from a file with one a line.

    Raises:
        ExportError: the file is missing or no text, or a name contains a line break.
    """
    if not isinstance(given, (str, Path)):
        names = [str(name) for name in given]
        if any("\n" in name or "\r" in name for name in names):
            raise ExportError("a label contains a line break", expected="one line each")
        return Labels(names)
    try:
        text = Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError("the labels cannot be read", where=str(given), received=error) from None
    return Labels(text.splitlines(), str(given))
