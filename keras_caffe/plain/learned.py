"""Learned arrays as symbolic tensors: rows of Keras's Embedding, the one layer that gives its weights as they are."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe.converters.unique_names import free_name
from keras_caffe.layers.base import Blob


class Learned:
    """The blobs of a net that no Keras layer holds, each one once, however many layers use it.

    Args:
        anchor: a tensor of the model, of which the index that looks a row up is made.
        taken: names that layers and inputs of the model have.
    """

    def __init__(self, anchor: Any, taken: set[str]) -> None:
        self._anchor, self._index, self._taken = anchor, None, taken
        self._rows: dict[tuple[str, int], Any] = {}
        self._constants = 0

    def tensor(self, owner: tuple[str, int], array: np.ndarray, blob: Blob, trainable: bool) -> Any:
        """The symbolic tensor of a variable.

        Args:
            owner: name of the layer that owns it, and the index of its blob.
            array: its values in Caffe's shape and order.
            blob: how the layer that uses it sees it.
            trainable: whether it is learned.
        """
        if owner not in self._rows:
            self._rows[owner] = self._row(owner, array, trainable)
        value = ops.reshape(self._rows[owner], blob.shape)
        return value if blob.permutation is None else ops.transpose(value, blob.permutation)

    def constant(self, name: str, values: Any) -> Any:
        """The symbolic tensor of an array that is known beforehand."""
        array = np.asarray(ops.convert_to_numpy(values))
        self._constants += 1
        row = self._row((name, -self._constants), array, False)
        return ops.reshape(row, array.shape)

    def _row(self, owner: tuple[str, int], array: np.ndarray, trainable: bool) -> Any:
        if self._index is None:
            zeros = ops.zeros_like(ops.reshape(self._anchor, (-1,))[:1,], dtype="int32")
            self._index = zeros
        name, number = owner
        wanted = f"{name}_blob_{number}" if number >= 0 else f"{name}_values_{-number}"
        layer = keras.layers.Embedding(1, max(array.size, 1), name=free_name(wanted, self._taken))
        row = layer(self._index)
        layer.set_weights([np.asarray(array, "float32").reshape(1, -1)])
        layer.trainable = trainable
        return row
