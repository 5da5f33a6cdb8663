"""LargeMarginInnerProduct (wy1iu/LargeMargin_Softmax_Loss: largemargin_inner_product_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.margin_product import MarginProduct
from keras_caffe.ops.margins import large_margin_product
from keras_caffe.registry import register_layer


@serializable
@register_layer("LargeMarginInnerProduct")
class LargeMarginInnerProduct(MarginProduct):
    """L-Softmax: scores x w, at the label (|x| |w| psi_m(angle) + lambda x w) / (1 + lambda).

    psi_m falls m times as fast as the cosine, so that an angle must be m times as small for the same score. The
    gradient is the derivative; the second top is lambda.

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

    Caffe: src/caffe/layers/largemargin_inner_product_layer.cpp (wy1iu/LargeMargin_Softmax_Loss)
    """

    def product(self, x: Any, labels: Any, strength: Any) -> Any:
        return large_margin_product(x, self.kernel + 0.0, labels, strength, self.type)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(**cls.margin_arguments(layer.largemargin_inner_product_param, bottoms[0].rank), **kwargs)
