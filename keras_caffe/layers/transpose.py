"""Transpose (senlinuc/caffe_ocr: transpose_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.permute import Permute
from keras_caffe.registry import register_layer


@serializable
@register_layer("Transpose")
class Transpose(Permute):
    """`Permute` whose file names every axis: axis i of the top is axis dim[i] of the bottom.

    Args:
        order: the bottom's axis for each of the top's, in Caffe's order; each axis once.

    Shapes: any; the stored shape stays.

    Raises:
        LayerError: an axis is out of range, named twice or left out. ShapeError: another number of axes.

    Caffe: src/caffe/layers/transpose_layer.cpp (senlinuc/caffe_ocr)
    """

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        dim, rank = list(layer.transpose_param.dim), bottoms[0].rank
        if sorted(dim) != list(range(rank)):
            raise LayerError("dim must name every axis", expected=f"0 to {rank - 1}, each once", received=dim)
        return cls(order=dim, **kwargs)
