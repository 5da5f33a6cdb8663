"""Where the first inputs come from: the samples, the goldens of the tests, and KERAS_CAFFE_SHARED where it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from keras_caffe import samples
from tests.shared_goldens import GOLDENS, SHARED

MOST = 60


def files(*patterns: str, shared: bool = True) -> Iterator[bytes]:
    """The contents of files with these patterns, the smallest first."""
    folders = [samples.path("db").parent, GOLDENS, *([SHARED] if shared else [])]
    found = {file for folder in folders for pattern in patterns for file in folder.rglob(pattern) if file.is_file()}
    yield from (file.read_bytes() for file in sorted(found, key=_size_and_name)[:MOST])


def _size_and_name(file: Path) -> tuple[int, str]:
    return file.stat().st_size, str(file)
