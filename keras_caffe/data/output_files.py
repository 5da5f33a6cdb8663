"""The files of HDF5Output layers, for whoever runs a net on its own data (src/caffe/layers/hdf5_output_layer.cpp)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from keras_caffe.converters.graph import Node, OutputFile
from keras_caffe.data.writers import write_hdf5
from keras_caffe.errors import CaffeWarning
from keras_caffe.places import Places


@contextmanager
def files_written() -> Iterator[None]:
    """Loads nets without the layer's warning that it writes nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*it does not write", CaffeWarning)
        yield


def output_files(nodes: Iterable[Node], places: Places) -> list[OutputFile]:
    """The files that these nodes write.

    Raises:
        DataError: a name leaves the folder that names are confined to.
    """
    sinks = (node for node in nodes if node.type == "HDF5Output")
    return [OutputFile(n.index, places.target(n.message.hdf5_output_param.file_name), *n.inputs) for n in sinks]


def write_output_files(files: Iterable[OutputFile], array_of: Callable[[str], np.ndarray]) -> None:
    """Writes files; Caffe can do so once in a process, here a file holds the last pass.

    Args:
        files: which.
        array_of: gives a value in Caffe's order for its id.

    Raises:
        DataError: a file is there and of another kind, or the values do not go into one.
    """
    for file in files:
        write_hdf5(file.path, array_of(file.data), array_of(file.label))
