"""Files and folders that appear whole or not at all; what a killed writer has left, the next one removes."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: what a killed writer leaves stays there
    fcntl = None  # type: ignore[assignment]

PREFIX = f".unfinished-{platform.node()}~"  # on network disks a lock may hold on its own machine alone
CANNOT_SYNC = errno.EINVAL, errno.EACCES, errno.ENOTSUP  # a folder, on some network disks and on Windows


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder inside of `folder`, on the same disk, for what is being written; it goes when the block ends.

    Its writer holds a lock on it, which the system drops when the process ends, however that comes about. So folders
    of this machine that nobody has locked were left by a killed writer, and are removed first.
    """
    _remove_left(folder)
    made, lock = _made(folder)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def place(new: Path, target: Path) -> None:
    """Gives a finished file or folder its name once it is on the disk; a file of that name is replaced."""
    for path in [*(new.rglob("*") if new.is_dir() else ()), new]:
        _sync(path)
    new.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Waits until a file, or what a folder lists where the disk can do that, is on the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in CANNOT_SYNC):
            raise


def _made(folder: Path) -> tuple[Path, int | None]:
    while True:
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        lock = locked(made, wait=True)
        if made.is_dir():  # another writer may have found it before it was locked
            return made, lock
        if lock is not None:
            os.close(lock)


def _remove_left(folder: Path) -> None:
    with suppress(OSError), os.scandir(folder) as entries:
        left = [Path(entry) for entry in entries if entry.name.startswith(PREFIX) and entry.is_dir()]
        for path in left:
            with suppress(OSError):
                lock = locked(path)
                if lock is not None:
                    shutil.rmtree(path, ignore_errors=True)
                    os.close(lock)


def locked(folder: Path, wait: bool = False) -> int | None:
    """A descriptor that holds a folder's lock until it is closed; None where it is gone, or nothing can be locked.

    Raises:
        BlockingIOError: another one holds it, and `wait` is not set.
    """
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor
