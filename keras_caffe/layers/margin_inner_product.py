"""MarginInnerProduct (wy1iu/sphereface: margin_inner_product_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.margin_product import MarginProduct
from keras_caffe.ops.margins import sphere_product
from keras_caffe.ops.stock import as_tensor
from keras_caffe.registry import register_layer


@serializable
@register_layer("MarginInnerProduct")
class MarginInnerProduct(MarginProduct):
    """A-Softmax: scores x w for unit vectors w, at the label (|x| psi_m(angle) + lambda x w) / (1 + lambda).

    psi_m falls m times as fast as the cosine, so that an angle must be m times as small for the same score. A forward
    pass overwrites the rows of W by unit vectors (on JAX W stays, with the same scores). The gradient is the fork's,
    not the derivative: that of W is g x, and the part of psi in that of x has length 1. The second top is lambda.

    Args:
        num_output: N, the number of classes, at least 1.
        type: m = 1 to 4: "SINGLE" (default), "DOUBLE", "TRIPLE" or "QUADRUPLE".
        axis: the axes from here on make up a feature, counted from the front (1).
        base, gamma, power, lambda_min: lambda in pass t is max(base (1 + gamma t)^-power, lambda_min) (1, 0, 1, 0).
        iteration: the passes, in training and in inference, that count as done before the first one (0).
        weight_filler: see `keras_caffe.fillers` (0).

    Shapes: x (M, ...) in Caffe's order, labels (M; truncated) -> (M, N), (1).

    Raises:
        ShapeError: not one label for each sample. LayerError: no outputs, an axis or a label out of range (a label in
            your own tf.function counts for nothing).

    Caffe: src/caffe/layers/margin_inner_product_layer.cpp (wy1iu/sphereface)
    """

    overwrites_blobs = True

    def product(self, x: Any, labels: Any, strength: Any) -> Any:
        kernel = as_tensor(self.kernel)
        unit = kernel / ops.sqrt(ops.sum(ops.square(kernel), axis=1, keepdims=True))
        self.kernel.assign(unit)
        return sphere_product(x, ops.cast(kernel, x.dtype), ops.cast(unit, x.dtype), labels, strength, self.type)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(**cls.margin_arguments(layer.margin_inner_product_param, bottoms[0].rank), **kwargs)
