"""Where the files that a net names are looked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from keras_caffe.errors import DataError, Option, escape_hint, is_there, not_found, shown_path

BASE_DIR = Option("base_dir", ..., "to keras_caffe.dataset to let them start elsewhere")


class Places:
    """The folders that relative names start at, in order.

    Args:
        base_dir: the only folder. Without it, Caffe's: the working directory; a name that is not there is looked for
            beside the prototxt.
        prototxt: the net's file; None for a net that was not read from one.
    """

    def __init__(self, base_dir: str | os.PathLike[str] | None = None, prototxt: Path | None = None) -> None:
        beside = [] if prototxt is None else [prototxt.parent]
        folders = [Path(base_dir)] if base_dir is not None else [Path(), *beside]
        self.folders: Sequence[Path] = list(dict.fromkeys(folder.absolute() for folder in folders))

    def find(self, name: str) -> Path:
        """The first of the folders' entries of this name that exists, else the one in the first folder."""
        candidates = [folder / name for folder in self.folders]
        return next((path for path in candidates if is_there(path)), candidates[0])

    def need(self, name: str, what: str) -> Path:
        """`find` for what must exist.

        Args:
            name: as the file names it.
            what: what it is, such as "source".

        Raises:
            DataError: it does not exist; says where it was looked for.
        """
        if not name:
            raise DataError(f"the layer names no {what}", expected="the name of a file or folder")
        path = self.find(name)
        if not is_there(path):
            looked = " or ".join(dict.fromkeys(str(folder) for folder in self.folders))
            raise DataError(
                f"the {what} is missing",
                where=shown_path(name),
                expected=f"'{shown_path(name)}' in {looked}",
                fix=[*escape_hint(name), "Names start at the working directory.", BASE_DIR],
                cause=not_found(path),
            )
        return path
