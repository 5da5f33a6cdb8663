"""Where the files that a file names are looked for, and which of them may be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_caffe.errors import DataError, Option, escape_hint, is_there, not_found, shown_path

BASE_DIR = Option("base_dir", ..., "to let names start elsewhere")
TRUST = Option("confine", None, "if you trust the file that names it")


class Places:
    """The folders that relative names start at, in order.

    Args:
        base_dir: the only folder. Without it, Caffe's: the working directory; a name that is not there is looked for
            beside the prototxt.
        prototxt: the file that names files; None for what was not read from one.
        confine: whether names may only lead to what lies in `base_dir`, wherever `..` and links go.

    Attributes:
        needed: what `need` has found.

    Raises:
        DataError: `confine` without `base_dir`.
    """

    def __init__(
        self,
        base_dir: str | os.PathLike[str] | None = None,
        prototxt: Path | None = None,
        confine: bool = False,
    ) -> None:
        if confine and base_dir is None:
            fix = Option("base_dir", ..., "as the folder that names may not leave")
            raise DataError("there is no folder to confine names to", fix=fix)
        self.base_dir: str | os.PathLike[str] | None = base_dir
        self.confine: bool = confine
        self.needed: dict[Path, None] = {}
        beside = [] if prototxt is None else [prototxt.parent]
        folders = [Path(base_dir)] if base_dir is not None else [Path(), *beside]
        self.folders: Sequence[Path] = list(dict.fromkeys(folder.absolute() for folder in folders))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `keras_caffe.dataset` that say the same."""
        return {"base_dir": self.base_dir, "confine": self.confine}

    def find(self, name: str) -> Path:
        """The first of the folders' entries of this name that exists, else the one in the first folder.

        Raises:
            DataError: it leaves the folder that names are confined to.
        """
        candidates = [folder / name for folder in self.folders]
        found = next((path for path in candidates if is_there(path)), candidates[0])
        if self.confine:
            self._check(found, name)
        return found

    def target(self, name: str) -> Path:
        """Where a file of this name is written: in the first of the folders, whatever the others hold.

        Raises:
            DataError: as of `find`.
        """
        path = self.folders[0] / name
        if self.confine:
            self._check(path, name)
        return path

    def need(self, name: str, what: str) -> Path:
        """`find` for what must exist.

        Args:
            name: as the file names it.
            what: what it is, such as "source".

        Raises:
            DataError: it does not exist, and where it was looked for; or as of `find`.
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
        self.needed[path] = None
        return path

    def _check(self, path: Path, name: str) -> None:
        """Refuses a path that leaves the folder, and a folder (a database) with an entry that does."""
        root = os.path.realpath(self.folders[0])
        for entry in [path, *_entries(path)] if "\0" not in name else ():
            real = os.path.realpath(entry)
            if not Path(real).is_relative_to(root):
                link = f", by {shown_path(entry.name)}" if entry != path else ""
                raise DataError(
                    "the name leaves the folder that names are confined to",
                    where=shown_path(name),
                    expected=f"what lies in {root}",
                    received=f"{shown_path(real)}{link}",
                    fix=TRUST,
                )


def _entries(path: Path) -> list[Path]:
    try:
        return list(path.iterdir()) if path.is_dir() else []
    except OSError:  # whoever opens the folder says so
        return []
