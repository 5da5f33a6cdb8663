"""Layers without bottoms: their tops become inputs of the Keras model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from keras_caffe import requirements
from keras_caffe.errors import Cure
from keras_caffe.layers.base import Arity, CaffeLayer
from keras_caffe.shapes import Shape

RecordReader = Callable[[Any], Shape | None]

_record_readers: dict[str, RecordReader] = {}


def record_reader(type: str) -> Callable[[RecordReader], RecordReader]:
    """Function decorator: it tells the (C, H, W) of the first record of a data layer of this Caffe type.

    The function takes the LayerParameter and returns None if the source is not at hand.
    """

    def decorate(function: RecordReader) -> RecordReader:
        _record_readers[type] = function
        return function

    return decorate


def record_shape(layer: Any) -> Shape | None:
    """(C, H, W) of the first record that a data layer would read; None if nobody can tell."""
    if requirements.HAS_TENSORFLOW:
        import_module("keras_caffe.data")  # Its readers register themselves.
    reader = _record_readers.get(layer.type)
    return None if reader is None else reader(layer)


class SourceLayer(CaffeLayer):
    """Base of Input and of the data layers. It is never built as a layer: each top is a `keras.Input`."""

    bottoms: Arity = (0, 0)
    tops: Arity = (1, None)
    flops_per_top_value: int | None = 0
    has_gradient = False

    @classmethod
    def declared_shapes(cls, layer: Any) -> Sequence[Shape | None]:
        """One shape in Caffe's order per top; None where the LayerParameter does not say."""
        return [None] * len(layer.top)

    @classmethod
    def known_sizes(cls, layer: Any) -> Sequence[Sequence[int | str]]:
        """For each top what is known where its shape is not: sizes, and letters for those that the caller must give."""
        return ["NCHW"] * len(layer.top)

    @classmethod
    def default_values(cls, layer: Any, shapes: Sequence[Shape]) -> Sequence[np.ndarray] | None:
        """What the tops hold when the caller feeds nothing; None if the caller must feed them."""
        return None

    @classmethod
    def open_axes(cls, layer: Any) -> Sequence[tuple[int, ...]]:
        """For each top the Caffe axes whose size may change from one batch to the next."""
        return [(0,)] * len(layer.top)

    @classmethod
    def cures(cls, layer: Any) -> tuple[Sequence[Cure], Sequence[Cure]]:
        """What else than `input_shapes` would tell the shapes: what is better than that, and what is as good."""
        return (), ()
