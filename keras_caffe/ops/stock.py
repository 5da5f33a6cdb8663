"""Whether kernels may use anything but TensorFlow's own operations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_STOCK_ONLY: ContextVar[bool] = ContextVar("_STOCK_ONLY", default=False)


def native_ops_allowed() -> bool:
    """False while a model is traced for a TensorFlow that knows no operations but its own."""
    return not _STOCK_ONLY.get()


@contextmanager
def stock_ops_only() -> Iterator[None]:
    """Kernels take their stock path inside; what is traced there runs on any TensorFlow."""
    token = _STOCK_ONLY.set(True)
    try:
        yield
    finally:
        _STOCK_ONLY.reset(token)
