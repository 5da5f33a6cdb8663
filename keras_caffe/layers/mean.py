"""Mean (lmb-freiburg/flownet2: mean_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import number, numbers, one_of, optional
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.blob_file import read_blob
from keras_caffe.layers.images import check_images
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known, merge_shapes


@serializable
@register_layer("Mean")
class Mean(CaffeLayer):
    """y = output_scale (input_scale x +- mean_scale mean), for each of the bottoms.

    Args:
        operation: "ADD" or "SUBTRACT".
        value: the mean of each channel, or numbers that repeat over the channels.
        image: in place of `value`, the mean of each pixel in Caffe's order (c, H, W), as nested lists; its channels
            repeat (None).
        mean_scale, input_scale, output_scale: without unit (1).

    Shapes: (N, H, W, C) -> the same; as many tops as bottoms.

    Raises:
        LayerError: no operation; no mean, or two. ShapeError: not 4 axes, channels that are no multiple of the mean's,
            another height or width than the image's. DataError: the file of the mean is missing or not a BlobProto.

    Caffe: src/caffe/layers/mean_layer.cpp (lmb-freiburg/flownet2)
    """

    bottoms: Arity = (1, None)
    tops: Arity = (1, None)
    stores = "channels_last"
    flops_per_top_value: int | None = 3  # two scales, sum
    has_gradient = False

    def __init__(
        self,
        operation: str,
        value: float | Sequence[float] = (),
        image: Sequence[Any] | None = None,
        mean_scale: float = 1.0,
        input_scale: float = 1.0,
        output_scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.operation: str = one_of("operation", operation, ("ADD", "SUBTRACT"))
        self.value: tuple[float, ...] = numbers("value", value)
        self.image: list[Any] | None = optional(_nested, "image", image)
        if bool(self.value) == (self.image is not None):
            received = "both" if self.value else "none"
            raise LayerError("Mean needs one mean", expected="either values or a file", received=received)
        self.mean_scale: float = number("mean_scale", mean_scale)
        self.input_scale: float = number("input_scale", input_scale)
        self.output_scale: float = number("output_scale", output_scale)

    def call(self, inputs: Any) -> Any:
        return [self._one(x) for x in inputs] if isinstance(inputs, (list, tuple)) else self._one(inputs)

    def _one(self, x: Any) -> Any:
        mean = self._mean()
        mean = np.tile(mean, x.shape[-1] // mean.shape[-1]) * (-1 if self.operation == "SUBTRACT" else 1)
        scaled = ops.stop_gradient(x) * self.input_scale + ops.cast(mean * self.mean_scale, x.dtype)
        return scaled * self.output_scale

    def _mean(self) -> np.ndarray:
        """(c,), or (H, W, c)."""
        return np.asarray(self.value if self.image is None else np.moveaxis(np.asarray(self.image), 0, -1), "float32")

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("Mean", *shapes)
        *sizes, channels = self._mean().shape
        for shape in shapes:
            if shape[3] is None or shape[3] % channels:
                raise ShapeError("the mean has other channels", expected=f"a multiple of {channels}", received=shape[3])
            if sizes:
                merge_shapes(shape[1:3], tuple(sizes), "the image of Mean has another size")
        return list(shapes)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.mean_param
        return cls(
            operation=enum_name(param, "operation"),
            value=tuple(param.value),
            image=_image(param.file, bottoms[0]) if param.file else None,
            mean_scale=param.mean_scale,
            input_scale=param.input_scale,
            output_scale=param.output_scale,
            **kwargs,
        )


def _nested(name: str, value: Any) -> list[Any]:
    """(c, H, W) numbers as nested lists."""
    try:
        array = np.asarray(value, "float32")
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 3 or not array.size:
        raise LayerError(f"{name} must be (c, H, W) numbers", received=f"shape {array.shape}")
    return array.tolist()


def _image(file: str, bottom: Bottom) -> list[Any]:
    """The mean of each pixel in Caffe's order, as many as the bottom's height and width ask for."""
    values, sizes = read_blob(file, "the mean"), known([bottom.shape[bottom.order[axis]] for axis in (1, 2)])
    if values.size == 0 or values.size % math.prod(sizes):
        raise ShapeError(
            "the image of Mean has another size",
            where=file,
            expected=f"{sizes} pixels",
            received=f"{values.size} values",
        )
    return values.reshape(-1, *sizes).tolist()
