"""forward_all and forward_backward_all: any number of items through a net of fixed batch size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


class Batches:
    """What Net offers for more items than one batch holds; the last batch is filled up with zeros."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    blobs: Mapping[str, Any]
    forward: Callable[..., Arrays]
    backward: Callable[..., Arrays]

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Any) -> Arrays:
        """Runs forward batch after batch.

        Args:
            blobs: names of blobs to return beside the outputs.
            **inputs: {input blob: array with any number of items}.

        Returns:
            {name: array} of the net's outputs and of `blobs`, one entry for each item.
        """
        results = (_copied(self.forward(blobs=blobs, **batch)) for batch in self._batches(inputs))
        return _joined(results, _items(inputs))

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **arrays: Any
    ) -> tuple[Arrays, Arrays]:
        """Runs forward and backward batch after batch.

        Args:
            blobs, diffs: names of blobs whose data or diffs to return beside outputs and inputs.
            **arrays: {input blob: data} and {output blob: diff}, with any number of items.

        Returns:
            Two dicts {name: array}: data and diffs.
        """
        inputs, top_diffs = (
            {name: arrays[name] for name in names if name in arrays} for names in (self.inputs, self.outputs)
        )
        data: list[Arrays] = []
        gradients: list[Arrays] = []
        nothing: Arrays = {}
        for batch, diff in zip_longest(self._batches(inputs), self._batches(top_diffs), fillvalue=nothing):
            data.append(_copied(self.forward(blobs=blobs, **batch)))
            gradients.append(_copied(self.backward(diffs=diffs, **diff)))
        return _joined(data, _items(arrays)), _joined(gradients, _items(arrays))

    def _batches(self, arrays: Mapping[str, Any]) -> Iterator[Arrays]:
        size = next((self.blobs[name].shape[0] for name in arrays), 1)
        for first in range(0, _items(arrays), size):
            yield {name: _filled_up(np.asarray(array[first : first + size]), size) for name, array in arrays.items()}

    _batch = _batches  # as scripts call it


def _items(arrays: Mapping[str, Any]) -> int:
    return next((len(array) for array in arrays.values()), 0)


def _filled_up(array: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(array)
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array


def _copied(arrays: Mapping[str, np.ndarray]) -> Arrays:
    return {name: np.array(array, ndmin=1) for name, array in arrays.items()}


def _joined(batches: Iterable[Arrays], items: int) -> Arrays:
    """One array for each name; scalars (losses) give one entry for each batch."""
    lists: dict[str, list[np.ndarray]] = {}
    for batch in batches:
        for name, array in batch.items():
            lists.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays)[:items] for name, arrays in lists.items()}
