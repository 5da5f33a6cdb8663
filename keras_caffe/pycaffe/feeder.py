"""Data layers of a pycaffe net: each forward pass takes their next batch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.infer import Plan
from keras_caffe.errors import DataError
from keras_caffe.pycaffe.blob import NetBlob

READ = ("Data", "ImageData", "HDF5Data", "WindowData", "DummyData")


class Feeder:
    """Fills the tops of data layers.

    Args:
        planned: the net.
    """

    def __init__(self, planned: Plan) -> None:
        self.nodes = [source.node for source in planned.sources.values()]
        self.phase = planned.net.phase
        self._batches: dict[int, Iterator[Any]] = {}

    def feed(self, start: int, end: int, blobs: Mapping[str, NetBlob]) -> None:
        """Takes the next batch of the data layers among start..end."""
        for node in self.nodes:
            if start <= node.index <= end and (node.type in READ or node.index in self._batches):
                if node.index not in self._batches:
                    self._batches[node.index] = iter(self._dataset(node.message))
                for name, batch in next(self._batches[node.index]).items():
                    blobs[name].data[...] = np.asarray(batch).reshape(blobs[name].shape)

    def _dataset(self, layer: Any, **more: Any) -> Any:
        from keras_caffe.data import dataset  # opened only by nets that read data

        net = proto.NetParameter(layer=[layer])
        seed = random.getrandbits(32)  # so that `set_random_seed` decides
        return dataset(net, self.phase, data_format="channels_first", seed=seed, **more)

    def set_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Gives the first MemoryData layer its items.

        Raises:
            DataError: the net has none, or the arrays are not 4-axis float32 data with a label for each item.
        """
        node = next((node for node in self.nodes if node.type == "MemoryData"), None)
        if node is None:
            raise DataError("the net has no MemoryData layer to give arrays to")
        if np.ndim(data) != 4 or len(data) != len(labels):
            raise DataError(
                "MemoryData takes 4-axis data and as many labels",
                expected="(N, C, H, W) and (N,) or (N, 1, 1, 1)",
                received=f"{np.shape(data)} and {np.shape(labels)}",
            )
        arrays = dict(zip(node.message.top, (data, np.reshape(labels, len(labels))), strict=True))
        self._batches[node.index] = iter(self._dataset(node.message, arrays=arrays))
