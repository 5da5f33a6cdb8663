"""Memory for batches that is used again once nobody holds the batch: fresh pages cost as much as filling them."""

from __future__ import annotations

import itertools
import math
import sys
import threading
from collections.abc import Sequence

import numpy as np

from keras_caffe.shapes import ceil_div

ALIGNMENT = 64  # TensorFlow takes such memory as it is, without a copy
KEEP = 12
STEP = 1 << 16  # bytes


class Buffers:
    """Arrays of 64-byte alignment. The memory of one is given out again when no view of it is left.

    Args:
        keep: pieces of memory that are kept at most.
        most: bytes in the pieces that are kept, at most; the newest are kept.
    """

    def __init__(self, keep: int = KEEP, most: float = math.inf) -> None:
        self.keep: int = keep
        self.most: float = most
        self._memory: list[np.ndarray] = []
        self._lock = threading.Lock()

    def take(self, shape: Sequence[int], dtype: type = np.float32) -> np.ndarray:
        """An array of this shape with any values in it."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        with self._lock:
            memory = next((m for m in self._memory if m.size == size + ALIGNMENT and _references(m) <= _UNUSED), None)
            if memory is None:
                memory = np.empty(size + ALIGNMENT, np.uint8)
                self._memory = [*self._newest(), memory]
            first = -memory.ctypes.data % ALIGNMENT
            return memory[first : first + size].view(dtype).reshape(shape)

    def _newest(self) -> list[np.ndarray]:
        kept = self._memory[-self.keep :]
        sums = itertools.accumulate(memory.size for memory in reversed(kept))
        return kept[len(kept) - sum(size <= self.most for size in sums) :]

    def bytes(self, size: int) -> memoryview:
        """Memory of so many bytes. That of records of about the same size serves for either."""
        return self.take((ceil_div(size, STEP) * STEP,), np.uint8).data[:size]


def _references(memory: np.ndarray) -> int:
    return sys.getrefcount(memory)


_UNUSED = next(_references(memory) for memory in [np.empty(1, np.float32)])
