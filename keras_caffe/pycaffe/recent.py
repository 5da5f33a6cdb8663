"""A cache of what was used last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

KEPT = 16


class Recent(Generic[K, V]):
    """Values by key; of more than 16, those that were used longest ago are dropped.

    Args:
        known: the values to begin with.
    """

    def __init__(self, known: Mapping[K, V] | None = None) -> None:
        self._values = dict(known or {})

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key; `make` makes it if it is not here."""
        value = self._values.pop(key) if key in self._values else make()
        self._values[key] = value  # The last used stand last.
        if len(self._values) > KEPT:
            del self._values[next(iter(self._values))]
        return value
