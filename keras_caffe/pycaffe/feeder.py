"""Data layers of a pycaffe net: each forward pass takes their next batch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np

from keras_caffe import fillers, proto
from keras_caffe.converters.graph import Node
from keras_caffe.converters.infer import Plan
from keras_caffe.errors import Call, DataError, Option
from keras_caffe.layers.dummy_data import DummyData
from keras_caffe.layers.python_class import class_name
from keras_caffe.places import Places
from keras_caffe.pycaffe.blob import NetBlob

READ = (
    *("AnnotatedData", "Data", "DenseImageData", "HDF5Data", "ImageData"),
    *("ImageLabelmapData", "ImageSegData", "WindowData"),
)
GIVEN = "MemoryData"


class Feeder:
    """Fills the tops of data layers.

    Args:
        planned: the net.
        places: where what they name is looked for.
    """

    def __init__(self, planned: Plan, places: Places) -> None:
        self.places = places
        self.nodes: list[Node] = [source.node for source in planned.sources.values()]
        self.phase: str = planned.net.phase
        self._batches: dict[int, Iterator[Any]] = {}

    def feed(self, start: int, end: int, blobs: Mapping[str, NetBlob]) -> None:
        """Takes the next batch of the data layers among start..end; the blobs take its shapes.

        Raises:
            DataError: a MemoryData layer has no arrays yet, or a layer that nothing here reads has no data.
        """
        for node in self.nodes:
            if start <= node.index <= end:
                if node.type in READ or node.type == GIVEN:
                    self._take_batch(node, blobs)
                elif node.type == "DummyData":
                    _refill(node, blobs)
                elif node.type != "Input":
                    _check_written(node, blobs)

    def _take_batch(self, node: Node, blobs: Mapping[str, NetBlob]) -> None:
        if node.index not in self._batches:
            self._batches[node.index] = self._read(node)
        for name, batch in next(self._batches[node.index]).items():
            blobs[name].reshape(*batch.shape)
            blobs[name].data[...] = batch

    def _read(self, node: Node) -> Iterator[Any]:
        if node.type == GIVEN:
            raise self._nothing_given(node)
        from keras_caffe.data import dataset  # opened only by nets that read data

        net = proto.NetParameter(layer=[node.message])
        for rules in ("include", "exclude"):  # The net has it, whatever levels and stages they ask for.
            net.layer[0].ClearField(rules)
        seed = random.getrandbits(32)  # so that `set_random_seed` decides
        return iter(dataset(net, self.phase, data_format="channels_first", seed=seed, **self.places.arguments))

    def _nothing_given(self, node: Node) -> DataError:
        first = next(other for other in self.nodes if other.type == GIVEN)
        give = Call("net.set_input_arrays", "data, labels", "before forward")
        return DataError(
            "no data were given to MemoryData",
            where=node.where,
            layer=f"{node.name!r} ({node.type})",
            fix=give if node is first else "Make it an Input layer: set_input_arrays gives data to the first one only.",
        )

    def set_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Gives the first MemoryData layer its items.

        Raises:
            DataError: the net has none, or the arrays are not 4-axis data with a label for each item, of the layer's
                sizes and a multiple of its batch_size.
        """
        from keras_caffe.data.dataset import open_source
        from keras_caffe.data.sources import Settings

        node = next((node for node in self.nodes if node.type == GIVEN), None)
        if node is None:
            raise DataError("the net has no MemoryData layer to give arrays to")
        if np.ndim(data) != 4 or len(data) != len(labels):
            raise DataError(
                "MemoryData takes 4-axis data and as many labels",
                expected="(N, C, H, W) and (N,) or (N, 1, 1, 1)",
                received=f"{np.shape(data)} and {np.shape(labels)}",
            )
        arrays = dict(zip(node.message.top, (data, labels), strict=True))
        settings = Settings(self.places, data_format="channels_first", arrays=arrays)
        self._batches[node.index] = _in_turn(open_source(node.message, settings, node.where))


def _refill(node: Node, blobs: Mapping[str, NetBlob]) -> None:
    """What is random anew, in the shape that the blob has. A constant is filled in once; the script may change it."""
    for name, spec in zip(node.message.top, DummyData.fillers(node.message), strict=True):
        if spec["type"] != "constant":
            blobs[name].data[...] = fillers.get(spec)(blobs[name].shape)


def _check_written(node: Node, blobs: Mapping[str, NetBlob]) -> None:
    """Refuses a layer whose class or reader is not at hand, if the script has not touched one of its tops."""
    tops = list(node.message.top)
    if not any(blobs[top].data_memory.handed_out for top in tops):
        written = f"Write into {', '.join(f'net.blobs[{top!r}].data' for top in tops)} before forward."
        given = Option("python_layers", {class_name(node.message): ...}, "with the class")
        raise DataError(
            "nothing here reads the data of this layer",
            where=node.where,
            layer=f"{node.name!r} ({node.type})",
            fix=(written, given) if node.type == "Python" else written,
        )


def _in_turn(source: Any) -> Iterator[dict[str, np.ndarray]]:
    """Batch after batch, read when it is asked for: what a script writes into its arrays in between counts."""
    for first in count(step=source.batch_size):
        yield dict(zip(source.tops, source.read(np.arange(first, first + source.batch_size)), strict=True))
