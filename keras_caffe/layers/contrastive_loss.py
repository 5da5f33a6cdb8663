"""ContrastiveLoss (src/caffe/layers/contrastive_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import flag, number
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import check_rank, check_single, check_size, flat
from keras_caffe.ops.distances import contrastive_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("ContrastiveLoss")
class ContrastiveLoss(LossLayer):
    """Similar pairs cost d^2, others max(margin - d, 0)^2 (legacy: max(margin - d^2, 0)); their sum over 2 N.

    The gradient of a dissimilar pair has d + 1e-4 for d below the line.

    Args:
        margin: distance beyond which dissimilar pairs cost nothing (1).
        legacy_version: compare the margin with d^2 (False).

    Shapes: a (N, C[, 1, 1]), b likewise, similar (N[, 1, 1, 1]; truncated, 0 = dissimilar) -> ().

    Raises:
        ShapeError: other shapes.

    Caffe: src/caffe/layers/contrastive_loss_layer.cpp
    """

    bottoms: Arity = (3, 3)
    not_forced: Sequence[int] = (2,)
    kept_bottoms: Sequence[int] = (0, 1)

    def __init__(self, margin: float = 1.0, legacy_version: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.margin: float = number("margin", margin)
        self.legacy_version: bool = flag("legacy_version", legacy_version)

    def call(self, inputs: Any) -> Any:
        a, b, similar = inputs
        return contrastive_loss(flat(a), flat(b), similar, margin=self.margin, legacy_version=self.legacy_version)

    def check_shapes(self, *shapes: Shape) -> None:
        check_rank(shapes)
        first, second = (shape[1] if len(shape) > 1 else 1 for shape in shapes[:2])
        check_size(second, first, "both features must have the same number of channels")
        for shape in shapes[:2]:
            check_single(shape, "the features", first=2)
        check_single(shapes[2], "the similarity")
        check_size(shapes[2][0] if shapes[2] else 1, shapes[0][0], "there must be one similarity for every pair")

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 3 * total_count(bottoms[:1])  # difference, square, sum

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        if True in layer.propagate_down[2:]:
            raise LayerError("ContrastiveLoss has no gradient for the similarity", received=list(layer.propagate_down))
        param = layer.contrastive_loss_param
        return cls(margin=param.margin, legacy_version=param.legacy_version, **kwargs)
