"""One layer of a loaded net, as the function that turns it into Keras's own layers sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_caffe.layers.base import CaffeLayer


@dataclass(frozen=True)
class Part:
    """A tensor that a function of Keras's own words makes, which code can call, too.

    Args:
        function: of `over_time`.
        inputs: symbolic tensors, its first arguments.
        layer: the last one, which the function calls again and again.
    """

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    layer: keras.layers.Layer


@dataclass
class Site:
    """A layer and what its turner needs.

    Args:
        layer: the layer, built.
        shapes: of the bottoms, as stored; None where a size is open.
        arrays: its blobs in Caffe's shape and order.
        learned: gives the blob of an index as a symbolic tensor of the variable's shape.
        shared: other layers use some of the blobs too.
        made: Keras layers with weights that this layer has become, for those that share all of them.
        lent: `made` of the layer whose blobs this one uses, all of them.
        taken: names that layers and inputs of the model have; parts with weights of their own are given others.
        parts: {id of a tensor of the model: what it is made by}, to which the turner adds.
    """

    layer: CaffeLayer
    arrays: Sequence[np.ndarray]
    learned: Callable[[int], Any]
    shared: bool = False
    made: list[keras.layers.Layer] = field(default_factory=list)
    lent: Sequence[keras.layers.Layer] = ()
    taken: set[str] = field(default_factory=set)
    parts: dict[int, Part] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def keras_args(self) -> dict[str, Any]:
        """What the main layer of several is called, and the numbers that it computes with."""
        return {"name": self.name, "dtype": self.layer.dtype_policy}

    def weighted(self, layer: keras.layers.Layer, x: Any, *arrays: np.ndarray) -> Any:
        """The top of a Keras layer with these weights, or of the one that has them already."""
        if self.lent:
            self.made.append(self.lent[len(self.made)])
            return self.made[-1](x)
        y = layer(x)
        self.fill(layer, x.shape, *arrays)
        self.made.append(layer)
        return y

    def fill(self, layer: keras.layers.Layer, shape: Sequence[int | None], *arrays: np.ndarray) -> None:
        """Gives a Keras layer, which takes inputs of this shape, its weights."""
        if not layer.built:
            layer.build(shape)
        layer.set_weights([np.asarray(array, "float32") for array in arrays])
        variables = [bound.variable for bound in self.layer.caffe_blobs]
        layer.trainable = any(getattr(variable, "trainable", True) for variable in variables)
