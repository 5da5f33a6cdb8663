"""HDF5Data: data sets of the HDF5 files named in a list (src/caffe/layers/hdf5_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_caffe.errors import Cure, DataError, LayerError, is_there, unreadable
from keras_caffe.hdf5_file import find, opened
from keras_caffe.layers.context import load_context
from keras_caffe.layers.source import SourceLayer
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@register_layer("HDF5Data")
class HDF5Data(SourceLayer):
    """Inputs in the shape of the data sets that Caffe would read; `keras_caffe.dataset` reads them.

    Shapes: no bottoms; top t is (batch_size, ...) with the sizes of data set t in the first file of the list, or as
    `input_shapes` says if the files are not at hand.

    Raises:
        LayerError: a transform_param.
        DataError: the first file is broken or has no data set of a top's name.

    Caffe: src/caffe/layers/hdf5_data_layer.cpp
    """

    @classmethod
    def declared_shapes(cls, layer: Any) -> Sequence[Shape | None]:
        if layer.HasField("transform_param"):
            raise LayerError("HDF5Data does not transform its data", fix="Remove transform_param.")
        file = _first_file(layer.hdf5_data_param.source)
        if file is None:
            return [None] * len(layer.top)
        return [(layer.hdf5_data_param.batch_size, *_row_shape(file, top)) for top in layer.top]

    @classmethod
    def cures(cls, layer: Any) -> tuple[Sequence[Cure], Sequence[Cure]]:
        source = layer.hdf5_data_param.source
        return (), [f"Or put the list and its files where layer {layer.name!r} looks for them: source: {source!r}."]


def _first_file(source: str) -> Path | None:
    """The first file of the list, if both exist."""
    places = load_context().places
    listed = places.find(source)
    if not source or not is_there(listed) or not listed.is_file():
        return None
    try:
        with listed.open(errors="replace") as lines:
            names = next((line.split() for line in lines if line.strip()), [])
    except OSError as error:
        raise unreadable(source, error, DataError) from None
    if not names:
        return None
    first = places.find(names[0])
    return first if is_there(first) and first.is_file() else None


def _row_shape(path: Path, name: str) -> tuple[int, ...]:
    import h5py

    with opened(path, DataError) as file:
        dataset = find(file, name, path)
        if isinstance(dataset, h5py.Dataset) and dataset.shape:
            return tuple(dataset.shape[1:])
        known = ", ".join(file) or "none"
    raise DataError(f"no data set {name!r} with rows", where=str(path), expected="one for each top", received=known)
