"""Names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_caffe.errors import ExportError, unreadable


@dataclass(eq=False)
class Labels:
    """Class names in the order of their numbers; `where` they come from, for errors."""

    names: list[str]
    where: str | None = None


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
        raise unreadable(given, error, ExportError, "these are not names, one per line in UTF-8") from None
    return Labels(text.splitlines(), str(given))
