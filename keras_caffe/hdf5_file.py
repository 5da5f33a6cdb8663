"""HDF5 files of strangers: whatever HDF5 says of a damaged one is one error, and memory is taken for what is there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_caffe.errors import CaffeError, ReadError, WeightsError, unreadable

COMPRESSION_LIMIT = 1100  # no filter of HDF5 packs numbers tighter than deflate's 1032 to 1
MOST_LINKS = 16  # soft links on the way to one name
# What h5py raises for damage: its own RuntimeErrors, and Python's where a number in the file makes no sense.
DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError, MemoryError, AttributeError)


@contextmanager
def opened(
    path: Path, kind: type[CaffeError] = ReadError, problem: str = "the HDF5 file cannot be read"
) -> Iterator[Any]:
    """An h5py.File for reading.

    Raises:
        kind: it cannot be opened, or is damaged where it is read inside the `with` block.
    """
    import h5py  # loaded only where it is needed

    try:
        with h5py.File(path, "r") as file:
            yield file
    except CaffeError:
        raise
    except DAMAGE as error:
        raise unreadable(path, error, kind, problem, "Fetch or write it again.") from None


def find(file: Any, name: str, path: Path) -> Any:
    """The group or dataset of a path in this very file, or None. Soft links are followed, as Caffe does.

    Raises:
        ReadError: the way leads to another file, or in a circle.
    """
    import h5py

    found, keys, links = file, name.split("/"), 0
    while keys:
        key = keys.pop(0)
        if key in ("", "."):
            continue
        if not isinstance(found, h5py.Group):
            return None
        link = found.get(key, getlink=True)
        if isinstance(link, h5py.SoftLink) and links < MOST_LINKS:
            found, links = file if link.path.startswith("/") else found, links + 1
            keys = [*link.path.split("/"), *keys]
        else:
            found = member(found, key, path)
    return found


@contextmanager
def created(path: Path) -> Iterator[Any]:
    """A new h5py.File; raises OSError where it cannot be written, which h5py puts otherwise when it closes the file."""
    import h5py  # loaded only where it is needed

    try:
        with h5py.File(path, "w") as file:
            yield file
    except RuntimeError as error:
        raise OSError(f"HDF5 cannot write it: {error}") from error


def member(group: Any, key: str, path: Path) -> Any:
    """A group or dataset that this very file holds, or None; links to other files are not followed.

    Raises:
        ReadError: it is something else.
    """
    import h5py

    link = group.get(key, getlink=True)
    if link is None:
        return None
    found = group[key] if isinstance(link, h5py.HardLink) else None
    if isinstance(found, h5py.Group):
        return found
    if isinstance(found, h5py.Dataset) and not found.external and not found.is_virtual:
        _check_chunks(found, path)
        return found
    raise ReadError(f"{group.name}/{key} is neither a group nor a dataset of this file", where=str(path))


def _check_chunks(dataset: Any, path: Path) -> None:
    """Refuses chunks that would unpack to more than the file can hold: one is unpacked whole, whatever is read of it.

    Raises:
        ReadError: a chunk is larger than what is stored can give, or is packed twice.
    """
    if not dataset.chunks:
        return
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    chunk, stored = math.prod(dataset.chunks) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if len(set(filters)) < len(filters) or chunk > COMPRESSION_LIMIT * (stored or path.stat().st_size):
        raise ReadError(
            f"the chunks of {dataset.name} unpack to more than the file can hold",
            where=str(path),
            expected=f"at most {COMPRESSION_LIMIT} times the {stored} bytes that are stored, packed once",
            received=f"{chunk} bytes a chunk, filters {filters}",
        )


def check_size(
    dataset: Any,
    path: Path,
    layer: str | None = None,
    kind: type[CaffeError] = WeightsError,
    unwritten: bool = False,
) -> None:
    """Raises an error of this kind if a dataset's shape asks for more than the file can hold.

    What was never written is zeros, of which `unwritten` allows as many as the file could hold.
    """
    size, stored = path.stat().st_size, dataset.id.get_storage_size()
    given = size if unwritten and not stored else stored
    allowed = given * (COMPRESSION_LIMIT if dataset.chunks or not stored else 1)
    needed = math.prod(dataset.shape) * dataset.dtype.itemsize
    if needed > allowed or stored > size:
        raise kind(
            "the number of stored values does not match the shape",
            where=str(path),
            layer=layer,
            expected=f"{needed} bytes for shape {list(dataset.shape)}",
            received=f"{stored} bytes",
        )
