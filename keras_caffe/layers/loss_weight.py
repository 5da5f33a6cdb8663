"""loss_weight, which any Caffe layer can give its tops (include/caffe/layer.hpp, SetLossWeights)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import CaffeLayer, serializable


@serializable
class LossWeight(CaffeLayer):
    """Passes a blob on and adds `loss_weight` times the sum of its values to the model's loss.

    Args:
        loss_weight: factor, without unit.

    Shapes: any; the top is the bottom.

    Caffe: include/caffe/layer.hpp
    """

    def __init__(self, loss_weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss_weight: float = number("loss_weight", loss_weight)

    def call(self, inputs: Any) -> Any:
        self.add_loss(self.loss_weight * ops.sum(ops.cast(inputs, "float32")))
        return inputs
