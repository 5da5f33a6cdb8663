"""PReLU (src/caffe/layers/prelu_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import ShapeError
from keras_caffe.layers import arguments
from keras_caffe.layers.arguments import flag, whole
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, serializable
from keras_caffe.ops.rectify import chosen_from
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, known

DEFAULT_FILLER: fillers.Filler = {"type": "constant", "value": 0.25}


@serializable
@register_layer("PReLU")
class PReLU(CaffeLayer):
    """y = max(x, 0) + a_c min(x, 0) with a learned slope a_c; the gradient at 0 is the slope.

    Args:
        axis: tensor axis of the channels (-1).
        channel_shared: one slope for all channels instead of one each (False).
        filler: of the slopes, see `keras_caffe.fillers` (constant 0.25).

    Shapes: 2 or more axes; the top has the bottom's shape. The blob is (C), or () if shared.

    Raises:
        LayerError: the axis is out of range. ShapeError: a bottom of fewer than 2 axes.

    Examples:
        >>> np.asarray(keras_caffe.layers.PReLU()(np.float32([[-1, 2]])))
        array([[-0.25,  2.  ]], dtype=float32)

    Caffe: src/caffe/layers/prelu_layer.cpp
    """

    flops_per_top_value: int | None = 1
    kept_in_place = True

    def __init__(
        self,
        axis: int = -1,
        channel_shared: bool = False,
        filler: fillers.Filler = DEFAULT_FILLER,  # type: ignore[assignment]
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis: int = whole("axis", axis)
        self.channel_shared: bool = flag("channel_shared", channel_shared)
        self.filler: fillers.Filler = arguments.filler("filler", filler)

    def call(self, inputs: Any) -> Any:
        return ops.where(inputs > 0, chosen_from(inputs), inputs * self._slopes(len(inputs.shape)))

    def _slopes(self, rank: int) -> Any:
        if self.channel_shared:
            return self.slope
        shape = [1] * rank
        shape[self.axis] = -1
        return ops.reshape(self.slope, shape)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        _check_channels(shapes[0])
        canonical_axis(self.axis, len(shapes[0]))
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        return [Blob("slope", () if self.channel_shared else known((shapes[0][self.axis],)), self.filler)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.prelu_param
        _check_channels(bottoms[0].shape)
        return cls(
            axis=bottoms[0].axis(1),
            channel_shared=param.channel_shared,
            filler=fillers.from_caffe(param.filler) if param.HasField("filler") else DEFAULT_FILLER,
            **kwargs,
        )


def _check_channels(shape: Shape) -> None:
    if len(shape) < 2:
        raise ShapeError("PReLU needs a channel axis", expected="2 axes or more", received=shape)
