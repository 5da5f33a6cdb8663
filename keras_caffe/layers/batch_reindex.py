"""BatchReindex (src/caffe/layers/batch_reindex_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layout import Order
from keras_caffe.ops.indices import checked_indices
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis


@serializable
@register_layer("BatchReindex")
class BatchReindex(CaffeLayer):
    """y[i] = x[index[i]]: images picked by number, as often as they are named.

    Args:
        axis: tensor axis of the images in x (0).

    Shapes: x (N, ...), index (M) -> (M, ...).

    Raises:
        ShapeError: an index blob of other than 1 axis.
        LayerError: an index beyond the batch, once the layer is called.

    Caffe: src/caffe/layers/batch_reindex_layer.cpp
    """

    bottoms: Arity = (2, 2)
    flops_per_top_value: int | None = 0  # it moves values
    no_gradient: Sequence[int] = (1,)

    def __init__(self, axis: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # Half precision has no room for the indices.
        self.axis: int = whole("axis", axis)

    def call(self, inputs: Any) -> Any:
        x, index = inputs
        rows = checked_indices(index, ops.shape(x)[self.axis], "an index", bottom=1)
        return ops.take(ops.cast(x, self.compute_dtype), rows, axis=self.axis)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        shape, index = shapes
        if len(index) != 1:
            raise ShapeError("the indices of BatchReindex must have 1 axis", expected="(M)", received=index)
        axis = canonical_axis(self.axis, len(shape))
        return [(*shape[:axis], index[0], *shape[axis + 1 :])]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [bottom.order for bottom in bottoms]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(axis=bottoms[0].axis(0), **kwargs)
