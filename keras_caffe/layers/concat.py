"""Concat (src/caffe/layers/concat_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, merge_shapes, shown_as, shown_axis


@serializable
@register_layer("Concat")
class Concat(CaffeLayer):
    """The bottoms one after the other along one axis.

    Args:
        axis: tensor axis (-1).

    Shapes: any number of bottoms that differ along `axis` only; the top's size there is the sum of theirs.

    Raises:
        LayerError, ShapeError: the axis is out of range or given in two ways, other sizes differ.

    Examples:
        >>> np.asarray(keras_caffe.layers.Concat()([np.float32([[1, 2]]), np.float32([[3]])]))
        array([[1., 2., 3.]], dtype=float32)

    Caffe: src/caffe/layers/concat_layer.cpp
    """

    bottoms: Arity = (1, None)
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis: int = whole("axis", axis)

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, axis=self.axis) if isinstance(inputs, (list, tuple)) else inputs

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        sizes = [shape[canonical_axis(self.axis, len(shape))] for shape in shapes]
        what = f"the bottoms of Concat may differ along axis {shown_axis(shapes[0], self.axis)} only"
        first, *others = (self._without_axis(shape) for shape in shapes)
        for other in others:
            first = merge_shapes(first, other, what)
        merged = list(first)
        merged[self.axis] = None if None in sizes else sum(sizes)  # type: ignore[arg-type]
        return [tuple(merged)]

    def _without_axis(self, shape: Shape) -> Shape:
        axis = canonical_axis(self.axis, len(shape))
        return shown_as(shape, (*shape[:axis], None, *shape[axis + 1 :]))

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        ranks = {bottom.rank for bottom in bottoms}
        if len(ranks) > 1:
            raise ShapeError(
                "the bottoms of Concat have different numbers of axes", received=[b.shape for b in bottoms]
            )
        return cls(axis=joint_axis(layer.concat_param, "concat_dim", bottoms[0]), **kwargs)


def joint_axis(param: Any, old_name: str, bottom: Bottom) -> int:
    """The tensor axis of `axis`, or of its old form (concat_dim, slice_dim), which takes no negative numbers."""
    if not param.HasField(old_name):
        return bottom.axis(param.axis)
    if param.HasField("axis"):
        raise LayerError(f"axis and {old_name} are both given", fix="Keep axis.")
    return bottom.axis(getattr(param, old_name), old_name)
