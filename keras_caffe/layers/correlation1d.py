"""Correlation1D (lmb-freiburg/flownet2: correlation_layer1d.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.correlation import Correlation
from keras_caffe.registry import register_layer


@serializable
@register_layer("Correlation1D")
class Correlation1D(Correlation):
    """`Correlation` along the rows only, as between the images of a stereo pair: displaced and padded is the width.

    Args:
        kernel_size, max_displacement, pad, stride_1, stride_2, correlation_type: see `Correlation`.
        single_direction: 0 (default): displacements from -R to R; 1: from 0 to R; -1: from -(R + 1) to -1, without 0,
            as in the fork. All in steps of stride_2 pixels.

    Shapes: a, b (N, H, W, C) -> (N, H', W', displacements); H' = ceil((H - kernel_size + 1) / stride_1), W' as in
    `Correlation`. What lies to the left of the padded map counts as 0; the fork reads what its memory has there.

    Raises:
        LayerError, ShapeError: as `Correlation`.

    Caffe: src/caffe/layers/correlation_layer1d.cu (lmb-freiburg/flownet2)
    """

    padded_axes: tuple[int, int] = (0, 1)

    def __init__(self, kernel_size: int, max_displacement: int, single_direction: int = 0, **kwargs: Any) -> None:
        super().__init__(kernel_size, max_displacement, **kwargs)
        self.single_direction: int = whole("single_direction", single_direction, -1, 1)

    def displacements(self) -> list[range]:
        both = super().displacements()[1]
        reach, step = both[-1], self.stride_2
        ways = {-1: range(-reach - step, 0, step), 0: both, 1: range(0, reach + 1, step)}
        return [range(1), ways[self.single_direction]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return super().from_caffe(layer, bottoms, single_direction=layer.correlation_param.single_direction, **kwargs)
