"""HDF5Output (src/caffe/layers/hdf5_output_layer.cpp)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import CaffeWarning, Call
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.silence import Silence
from keras_caffe.registry import register_layer


@serializable
@register_layer("HDF5Output")
class HDF5Output(Silence):
    """Takes two bottoms, data and label, and gives nothing: a model writes no files.

    Caffe writes the bottoms of the first forward pass to `file_name` and fails at the second. Here a warning says how
    to get the values: `model.extract([bottoms])`. What runs a net on its own data does write: a solver, `train`,
    `test`, `extract` and pycaffe's nets; their file holds the last pass.

    Caffe: src/caffe/layers/hdf5_output_layer.cpp
    """

    bottoms: Arity = (2, 2)
    has_gradient = False

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        warning = CaffeWarning(
            f"it does not write {layer.hdf5_output_param.file_name!r}",
            layer=f"{layer.name!r} (HDF5Output)",
            fix=Call("model.extract", str(list(layer.bottom)), "for the values, and write them with h5py"),
        )
        warnings.warn(warning, stacklevel=2)
        return super().from_caffe(layer, bottoms, **kwargs)
