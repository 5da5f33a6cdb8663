"""Correlation (lmb-freiburg/flownet2: correlation_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import one_of, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, enum_name, required, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.ops.correlation import correlation
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, ceil_div, merge_shapes, total_count


@serializable
@register_layer("Correlation")
class Correlation(CaffeLayer):
    """y[.., (i, j)] = the mean over a window's pixels and channels of a b, b's window stride_2 (i, j) pixels away.

    i and j go from -R to R, R = floor(max_displacement / stride_2), j varying fastest. Both maps are surrounded by
    `pad` zeros; a's windows begin max_displacement pixels inside of that, stride_1 pixels apart.

    Args:
        kernel_size: pixels of a window along each axis, odd.
        max_displacement: in pixels, at least 0.
        pad: zeros around the maps, in pixels (0).
        stride_1: pixels from one window to the next, at least 1 (1).
        stride_2: pixels from one displacement to the next, at least 1 (1).
        correlation_type: "MULTIPLY" (default) or "SUBTRACT": the mean of |a - b|.

    Shapes: a, b (N, H, W, C) -> (N, H', W', (2 R + 1)^2); H' = ceil((H + 2 pad - 2 b) / stride_1), W' likewise, with
    b = max_displacement + (kernel_size - 1) / 2.

    Raises:
        LayerError: arguments that are missing or impossible. ShapeError: bottoms without exactly 4 axes or of two
            shapes, or displaced windows that reach beyond the padded map.

    Caffe: src/caffe/layers/correlation_layer.cu (lmb-freiburg/flownet2)
    """

    bottoms: Arity = (2, 2)
    stores = "channels_last"
    padded_axes: tuple[int, int] = (1, 1)

    def __init__(
        self,
        kernel_size: int,
        max_displacement: int,
        pad: int = 0,
        stride_1: int = 1,
        stride_2: int = 1,
        correlation_type: str = "MULTIPLY",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size: int = whole("kernel_size", kernel_size, 1)
        self.pad: int = whole("pad", pad, 0)
        if self.kernel_size % 2 == 0:
            raise LayerError("kernel_size must be odd", received=kernel_size)
        self.max_displacement: int = whole("max_displacement", max_displacement, 0)
        self.stride_1: int = whole("stride_1", stride_1, 1)
        self.stride_2: int = whole("stride_2", stride_2, 1)
        self.correlation_type: str = one_of("correlation_type", correlation_type, ("MULTIPLY", "SUBTRACT"))

    def displacements(self) -> list[range]:
        """Of rows and of columns, in pixels."""
        reach = self.max_displacement // self.stride_2 * self.stride_2
        return [range(-reach, reach + 1, self.stride_2)] * 2

    def call(self, inputs: Any) -> Any:
        edges = [(0, 0), *((self.pad * axis,) * 2 for axis in self.padded_axes), (0, 0)]
        return correlation(
            *(ops.pad(x, edges) for x in inputs),
            kernel_size=self.kernel_size,
            origin=[self.max_displacement * axis for axis in self.padded_axes],
            stride=self.stride_1,
            displacements=self.displacements(),
            subtract=self.correlation_type == "SUBTRACT",
        )

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        name = type(self).__name__
        check_images(name, *shapes)
        shape = merge_shapes(shapes[0], shapes[1], f"both bottoms of {name} must have one shape")
        rows, columns = self.displacements()
        sizes = [self._out(size, axis) for size, axis in zip(shape[1:3], self.padded_axes, strict=True)]
        return [(shape[0], *sizes, len(rows) * len(columns))]

    def _out(self, size: Size, padded: int) -> Size:
        if size is None:
            return None
        room = size + 2 * padded * (self.pad - self.max_displacement) - (self.kernel_size - 1)
        if room < 1:
            raise ShapeError(
                f"the displaced windows of {type(self).__name__} reach beyond the map",
                expected=f"at least {size + 1 - room} pixels with this kernel_size, max_displacement and pad",
                received=size,
            )
        return ceil_div(room, self.stride_1)

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        # A product, or a difference and its size, and a sum for each value of a window.
        each = 2 if self.correlation_type == "MULTIPLY" else 3
        return each * self.kernel_size**2 * (bottoms[0][1] or 0) * total_count(tops)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.correlation_param
        return cls(
            kernel_size=required(param, "kernel_size"),
            max_displacement=required(param, "max_displacement"),
            pad=param.pad,
            stride_1=param.stride_1,
            stride_2=param.stride_2,
            correlation_type=enum_name(param, "correlation_type"),
            **kwargs,
        )
