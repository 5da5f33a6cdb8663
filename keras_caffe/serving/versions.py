"""A folder of numbered versions, as TensorFlow Serving watches it: a version is there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_caffe.errors import CaffeError, ExportError, Option, is_there
from keras_caffe.whole import place, scratch


class NewVersion:
    """A version under construction. `path` is in a hidden folder until `publish` gives it its number.

    Args:
        directory: the folder of versions.
        version: its number; None: the next free one.
        path: where its files are written.
    """

    def __init__(self, directory: Path, version: int | None, path: Path) -> None:
        self.directory: Path = directory
        self.version: int | None = version
        self.path: Path = path

    def publish(self) -> Path:
        """Gives the finished version its name; returns its path.

        Raises:
            ExportError: the number was taken meanwhile.
        """
        while True:
            target = self.directory / str(self.version or next_version(self.directory))
            try:
                place(self.path, target)
                return target
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
                if self.version is not None:
                    raise _taken(target) from None


def next_version(directory: Path) -> int:
    """The number after the greatest one in the folder; 1 in an empty one."""
    return 1 + max((int(path.name) for path in directory.iterdir() if path.name.isdecimal()), default=0)


@contextmanager
def new_version(directory: str | Path, version: int | None) -> Iterator[NewVersion]:
    """A version to be written; whatever happens, no half of one stays behind.

    Args:
        directory: the folder of versions; made if it is not there.
        version: a number from 1 on; None: the next free one.

    Raises:
        ExportError: no such folder can be made or written to, the number is taken or none; or an OSError inside.
    """
    directory = Path(directory)
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or version < 1):
        raise ExportError(
            "no such version", where=str(directory), expected="a whole number from 1 on", received=version
        )
    new_folders = _missing(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if version is not None and (directory / str(version)).exists():
            raise _taken(directory / str(version))
        with scratch(directory) as folder:
            (folder / "version").mkdir()
            yield NewVersion(directory, version, folder / "version")
    except CaffeError:  # about another file, though it may be an OSError
        raise
    except OSError as error:
        raise _failed(directory, error) from error
    finally:
        _remove_empty(new_folders)


def _missing(directory: Path) -> list[Path]:
    """The folders on the way that are not there yet, the deepest first."""
    return [path for path in (directory, *directory.parents) if not is_there(path)]


def _remove_empty(folders: list[Path]) -> None:
    for path in folders:
        if not is_there(path) or not path.is_dir() or any(path.iterdir()):
            return
        path.rmdir()


def _taken(path: Path) -> ExportError:
    return ExportError(
        "this version exists already",
        where=str(path),
        expected="a free number",
        fix=Option("version", None, "to get the next free one"),
        cause=FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)),
    )


def _failed(directory: Path, error: OSError) -> ExportError:
    problem, fix = "the export cannot be written", None
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        problem, fix = "there is a file where the folder of versions should be", "Name another folder."
    return ExportError(problem, where=str(directory), received=error.strerror or error, fix=fix, cause=error)
