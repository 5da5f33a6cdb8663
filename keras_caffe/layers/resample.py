"""Resample (lmb-freiburg/flownet2: resample_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import flag, one_of, optional, per_axis
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, enum_name, required, serializable
from keras_caffe.layers.images import check_images, resized_shape, wanted_size
from keras_caffe.ops.resample import resample
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Resample")
class Resample(CaffeLayer):
    """Resizes images: the nearest pixel, or the mean of the pixels around, weighted with a linear or cubic kernel.

    With f = W / W' and g = H / H' pixel (x, y) of the top lies at column f x + g / 2 - 0.5 and row g y + f / 2 - 0.5:
    half pixels are exchanged, as in the fork, which matters where f and g differ. With `antialias`, kernels are as wide
    as f and g where one of them is above 1. NEAREST takes the pixel at the border where the place lies outside; the
    fork reads another row there.

    Args:
        size: (height, width) of the top in pixels, or one number for both; None (default): that of the second bottom.
        type: "LINEAR" (default), "NEAREST" or "CUBIC".
        antialias: whether kernels widen with the image (True).

    Shapes: (N, H, W, C)[, (N, height, width, any)] -> (N, height, width, C).

    Raises:
        LayerError, ShapeError: no size or two, type AREA, which the fork refuses, not 4 axes.

    Caffe: src/caffe/layers/resample_layer.cu (lmb-freiburg/flownet2)
    """

    bottoms: Arity = (1, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = None  # the sizes decide how many pixels count
    has_gradient = False

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        type: str = "LINEAR",
        antialias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size: tuple[int, ...] | None = optional(per_axis, "size (height, width)", size, 2, 1)
        self.type: str = one_of("type", type, ("NEAREST", "LINEAR", "CUBIC"))
        self.antialias: bool = flag("antialias", antialias)

    def call(self, inputs: Any) -> Any:
        image, (height, width) = wanted_size(inputs, self.size)
        return resample(ops.stop_gradient(image), height, width, self.type, self.antialias)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("Resample", *shapes)
        return [resized_shape("Resample", shapes, self.size)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.resample_param
        if enum_name(param, "type") == "AREA":
            raise LayerError("Resample has no type AREA", expected="NEAREST, LINEAR or CUBIC")
        size = None if len(bottoms) == 2 else (required(param, "height"), required(param, "width"))
        return cls(size=size, type=enum_name(param, "type"), antialias=param.antialias, **kwargs)
