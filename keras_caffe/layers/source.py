"""Layers without bottoms: their tops become inputs of the Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from keras_caffe.layers.base import CaffeLayer
from keras_caffe.shapes import Shape


class Source(CaffeLayer):
    """Base of Input and of the data layers. It is never built as a layer: each top is a `keras.Input`."""

    bottoms: ClassVar[tuple[int, int | None]] = (0, 0)
    tops: ClassVar[tuple[int, int | None]] = (1, None)

    @classmethod
    def declared_shapes(cls, layer: Any) -> Sequence[Shape | None]:
        """One shape in Caffe's order per top; None where the LayerParameter does not say."""
        return [None] * len(layer.top)

    @classmethod
    def default_values(cls, layer: Any, shapes: Sequence[Shape]) -> Sequence[np.ndarray] | None:
        """What the tops hold when the caller feeds nothing; None if the caller must feed them."""
        return None
