"""A file that is read where it lies."""

from __future__ import annotations

import mmap
import os
import weakref
from pathlib import Path
from typing import NoReturn

import numpy as np

from keras_caffe.errors import ReadError, unreadable
from keras_caffe.proto.formats import HEAD, Format, foreign, is_text

WINDOW = 1 << 12  # bytes that are read at once where fields are walked


class Mapped:
    """A file mapped privately: views on it can be written without changing the file.

    All but the views is read with `pread`: a page of the map that is no longer there, because somebody has cut the file
    off meanwhile, ends the process.

    Args:
        path: the file; an empty or missing one is a ReadError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size == 0:
                    raise ReadError("the file is empty", where=str(path), fix="Fetch or write it again.")
                self.buffer: mmap.mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
                self._descriptor = os.dup(file.fileno())
                weakref.finalize(self, os.close, self._descriptor)
        except OSError as error:
            raise unreadable(path, error) from None
        self.size: int = len(self.buffer)
        self._window, self._begin = b"", 0

    def array(self, start: int, end: int, dtype: str) -> np.ndarray:
        """The bytes from `start` to `end` as a view; they must be a whole number of items."""
        return np.frombuffer(self.buffer, dtype, (end - start) // np.dtype(dtype).itemsize, start)

    def bytes(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`, or to the file's end."""
        data = np.empty(max(0, min(end, self.size) - start), np.uint8)
        self.read_into(start, data)
        return data.tobytes()

    def read_into(self, start: int, array: np.ndarray) -> None:
        """Fills a contiguous array with the bytes from `start` on, with no copy between."""
        left = array.reshape(-1).view(np.uint8).data
        try:
            while left:
                count = os.preadv(self._descriptor, [left], start)
                if not count:
                    raise self._cut_off(start)
                start, left = start + count, left[count:]
        except OSError as error:
            raise unreadable(self.path, error) from None

    def _cut_off(self, size: int) -> ReadError:
        return ReadError(
            "the file was cut off while it was read",
            where=str(self.path),
            expected=f"{self.size} bytes",
            received=size,
            fix="Fetch or write it again, then load it anew.",
        )

    def byte(self, position: int) -> int:
        """One byte; those behind it are read with it."""
        if not self._begin <= position < self._begin + len(self._window):
            self._begin, self._window = position, self.bytes(position, min(position + WINDOW, self.size))
        return self._window[position - self._begin]

    def release(self, start: int, end: int) -> None:
        """Lets go of the memory of the whole pages between; read again, they come from the file again."""
        page = mmap.ALLOCATIONGRANULARITY
        start, end = -(-start // page) * page, min(end, self.size) // page * page
        if end > start and hasattr(mmap, "MADV_DONTNEED"):
            self.buffer.madvise(mmap.MADV_DONTNEED, start, end - start)

    def refuse(self, problem: str, position: int | None = None) -> NoReturn:
        """Raises ReadError for a file that is not what it should be, saying what it looks like."""
        where = str(self.path) if position is None else f"{self.path}, byte {position}"
        kind, fix = self.foreign() or ("", "The file is damaged, incomplete or of another format; fetch it again.")
        raise ReadError(problem, where=where, expected="a binary protobuf message", received=kind or None, fix=fix)

    def foreign(self) -> Format | None:
        """What else the file is, and what to do about it, where its first bytes tell."""
        head = self.bytes(0, min(self.size, HEAD))
        found = foreign(head)
        if found is None and is_text(head):
            return Format(
                "a text file", "Give the binary file (.caffemodel, .binaryproto); a text holds no trained values."
            )
        return found
