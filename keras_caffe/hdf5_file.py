"""HDF5 files of strangers: whatever HDF5 says of a damaged one is one error, and memory is taken for what is there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_caffe.errors import CaffeError, ReadError, WeightsError, unreadable

COMPRESSION_LIMIT = 1100  # no filter of HDF5 packs numbers tighter than deflate's 1032 to 1
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
        return found
    raise ReadError(f"{group.name}/{key} is neither a group nor a dataset of this file", where=str(path))


def check_size(dataset: Any, path: Path, layer: str | None = None, kind: type[CaffeError] = WeightsError) -> None:
    """Raises an error of this kind if a dataset's shape asks for more than the file can hold."""
    stored = dataset.id.get_storage_size()
    allowed = stored * (COMPRESSION_LIMIT if dataset.chunks else 1)
    needed = math.prod(dataset.shape) * dataset.dtype.itemsize
    if needed > allowed or stored > path.stat().st_size:
        raise kind(
            "the number of stored values does not match the shape",
            where=str(path),
            layer=layer,
            expected=f"{needed} bytes for shape {list(dataset.shape)}",
            received=f"{stored} bytes",
        )
