"""Parameter (include/caffe/layers/parameter_layer.hpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import wholes
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, check_blob


@serializable
@register_layer("Parameter")
class Parameter(CaffeLayer):
    """The top is a learnable blob, zeros at first; its gradient is the blob's.

    Args:
        shape: the blob's shape in Caffe's order; () = a single number (default).

    Shapes: no bottoms; the top has `shape`, in Caffe's order. As a Keras layer it is called on any tensor, whose values
    it ignores.

    Raises:
        ShapeError: the shape is no blob's.

    Caffe: include/caffe/layers/parameter_layer.hpp
    """

    bottoms: Arity = (0, 0)
    stores = "caffe"
    flops_per_top_value: int | None = 0

    def __init__(self, shape: int | Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape: tuple[int, ...] = check_blob(wholes("shape", shape))

    def call(self, inputs: Any) -> Any:
        return ops.cast(self.value, self.compute_dtype)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [self.shape]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        return [Blob("value", self.shape)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(shape=layer.parameter_param.shape.dim, **kwargs)
