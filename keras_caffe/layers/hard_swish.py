"""HardSwish (foss-for-synopsys-dwc-arc-processors/synopsys-caffe and others: hard_swish_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("HardSwish")
class HardSwish(CaffeLayer):
    """y = x min(max(x + 3, 0), 6) / 6.

    The gradient is (2 x + 3) / 6 from -3 to 3, 0 below and 1 above.

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/hard_swish_layer.cpp (foss-for-synopsys-dwc-arc-processors/synopsys-caffe)
    """

    flops_per_top_value: int | None = 4

    def call(self, inputs: Any) -> Any:
        return inputs * ops.clip(inputs + 3, 0, 6) / 6
