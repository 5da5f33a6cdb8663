"""The Caffe net that is being written, and its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_caffe import proto
from keras_caffe.shapes import Sizes


class Inexpressible(Exception):
    """Caffe has no layer that computes this; the text says why."""


@dataclass(frozen=True)
class DraftValue:
    """A blob, and how a Keras tensor lies in it.

    Args:
        blob: its name.
        shape: Caffe's shape, with batch 1.
        index: of a flattened blob, where in Caffe's vector each number of Keras's vector is; None: at the same place.
    """

    blob: str
    shape: Sizes
    index: np.ndarray | None = None

    @property
    def channels(self) -> int:
        return self.shape[1]

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 4

    def plain(self) -> DraftValue:
        """This value, where what reads it depends on the order of its numbers."""
        if self.index is not None:
            raise Inexpressible("numbers flattened channels last are not in Caffe's order, which only a Dense can undo")
        return self


@dataclass
class Draft:
    """Layers and blobs in Caffe's order.

    Args:
        data_format: of the Keras model's images.
    """

    data_format: str
    layers: list[Any] = field(default_factory=list)
    blobs: list[list[np.ndarray]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    prefix: str = ""
    owners: dict[Any, int] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """A name that no layer has yet."""
        name, number = self.prefix + wanted, 1
        while name in self.names:
            number += 1
            name = f"{self.prefix}{wanted}_{number}"
        self.names.add(name)
        return name

    def add(
        self,
        kind: str,
        name: str,
        bottoms: Sequence[DraftValue],
        shape: Sizes,
        blobs: Sequence[Any] = (),
        index: np.ndarray | None = None,
        owner: Any = None,
        **params: Any,
    ) -> DraftValue:
        """Adds a layer with one top of its own name; `owner`: the Keras layer that its blobs are shared by."""
        name = self.name(name)
        layer = proto.LayerParameter(name=name, type=kind, bottom=[b.blob for b in bottoms], top=[name], **params)
        arrays = [np.asarray(blob, "float32") for blob in blobs]
        self._share(layer, owner, arrays)
        self.layers.append(layer)
        self.blobs.append(arrays)
        return DraftValue(name, tuple(shape), index)

    def _share(self, layer: Any, owner: Any, blobs: Sequence[np.ndarray]) -> None:
        """A Keras layer that is called again shares its blobs by name, in Caffe's way."""
        if owner is None or not blobs:
            return
        key = owner if isinstance(owner, tuple) else id(owner)
        first = self.owners.setdefault(key, len(self.layers))
        if first == len(self.layers):
            return
        if not all(map(np.array_equal, blobs, self.blobs[first])):
            raise Inexpressible("it is shared by inputs of different orders")
        for sharer in (self.layers[first], layer):
            del sharer.param[:]
            sharer.param.extend(proto.ParamSpec(name=f"{self.layers[first].name}/{i}") for i in range(len(blobs)))

    def like(self, kind: str, name: str, value: DraftValue, blobs: Sequence[Any] = (), **params: Any) -> DraftValue:
        """Adds a layer whose top has the shape and order of its bottom."""
        return self.add(kind, name, [value], value.shape, blobs, value.index, **params)

    def axis(self, axis: int, rank: int) -> int:
        """Caffe's axis for one of Keras's."""
        axis %= rank
        if rank != 4 or self.data_format == "channels_first" or axis == 0:
            return axis
        return {1: 2, 2: 3, 3: 1}[axis]

    def caffe_shape(self, shape: Sequence[int | None]) -> Sizes:
        """Caffe's shape of a Keras tensor, with batch 1."""
        batch, *inner = shape
        sizes = [1 if batch is None else batch, *(size for size in inner if size is not None)]
        if len(sizes) < len(shape):
            raise Inexpressible(f"its shape {tuple(shape)} is not known")
        if len(sizes) == 4 and self.data_format == "channels_last":
            sizes = [sizes[0], sizes[3], sizes[1], sizes[2]]
        return tuple(sizes)


Handler = Callable[[Draft, Any, Sequence[DraftValue]], DraftValue]


def array(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), "float32")
