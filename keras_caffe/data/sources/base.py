"""What every source has in common: it gives the blobs of a batch for running record numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from keras_caffe.errors import CaffeError, DataError
from keras_caffe.layout import edge_order, to_stored
from keras_caffe.places import Places
from keras_caffe.shapes import Shape


@dataclass
class Settings:
    """How the data layers of a net are read.

    Args:
        places: where files are looked for.
        train: whether the phase is TRAIN.
        seed: for everything random.
        data_format: order of the axes of blobs with four and more axes.
        reader: "auto", "lmdb" or "tensorflow-io".
        python_layers: {"module.Class": class}.
        allow_python_imports: whether the modules that Python layers name are imported.
        arrays: {top: array} for MemoryData.
        skip: whether records that cannot be read are left out.
    """

    places: Places = field(default_factory=Places)
    train: bool = False
    seed: int = 0
    data_format: str = "channels_last"
    reader: str = "auto"
    python_layers: Mapping[str, type] = field(default_factory=dict)
    allow_python_imports: bool = False
    arrays: Mapping[str, Any] = field(default_factory=dict)
    skip: bool = False


Form = Literal["tops", "windows", "jpegs", "varied jpegs"]


@dataclass(frozen=True)
class Delivery:
    """What a source delivers, as its layer and first record tell. `dataset.STREAMS` says what stream follows.

    Args:
        form: of a batch. "tops": float32, as the net takes them. "windows": 8 bits, all of one size and below one mean,
            for one compiled transformation. "jpegs": files that decode to such windows. "varied jpegs": files whose
            windows differ in size or in the mean below them.
        ordered: batches must be asked for one after the other.
        counted: batches are made of records, so that they can be larger.
        gaps: batches lack the records that cannot be read.
        rows: each top has one row for each record, so that batches with gaps can be filled up.
    """

    form: Form = "tops"
    ordered: bool = False
    counted: bool = True
    gaps: bool = False
    rows: bool = True


class Source:
    """A data layer that gives its tops.

    Args:
        layer: its LayerParameter.
        settings: how it is read.

    Attributes:
        size: records of one epoch, or None if there is no end.
        batch_size: records of a batch.
        tops: the names of its tops.
        skipped: the errors of the records that were left out last.
    """

    def __init__(self, layer: Any, settings: Settings) -> None:
        self.layer: Any = layer
        self.settings: Settings = settings
        self.tops: list[str] = list(layer.top)
        self.skipped: list[CaffeError] = []
        self.batch_size = 1

    @property
    def size(self) -> int | None:
        return None

    @property
    def delivery(self) -> Delivery:
        """What it delivers; `read` gives the tops whatever this says."""
        return Delivery()

    def shapes(self) -> list[Shape]:
        """The tops' shapes in Caffe's order, None for sizes that may change."""
        raise NotImplementedError

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        """The tops for the records with these running numbers, float32, their axes in the settings' order.

        Raises:
            DataError: a record cannot be read.
        """
        raise NotImplementedError

    def stored_shapes(self) -> list[Shape]:
        """The tops' shapes in the settings' order."""
        return [to_stored(shape, edge_order(len(shape), self.settings.data_format)) for shape in self.shapes()]

    def stored(self, array: np.ndarray) -> np.ndarray:
        """A blob in Caffe's order -> in the settings' order, in memory of its own."""
        order = edge_order(array.ndim, self.settings.data_format)
        return np.asarray(array.transpose(order), np.float32, order="C")

    def check_tops(self, fewest: int, most: int) -> None:
        """Refuses a number of tops that Caffe refuses."""
        if not fewest <= len(self.tops) <= most:
            wanted = fewest if fewest == most else f"{fewest} to {most}"
            raise DataError("the layer has the wrong number of tops", expected=wanted, received=len(self.tops))


def permuted(size: int, order: np.ndarray | None, numbers: Sequence[int]) -> np.ndarray:
    """The records behind places in one epoch."""
    places = np.asarray(numbers) % size
    return places if order is None else order[places]
