"""InnerProduct (src/caffe/layers/inner_product_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import filler, flag, whole
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, required, serializable
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.ops.matmul import matmul
from keras_caffe.ops.stock import as_tensor, native_ops_allowed
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Sizes, canonical_axis, count, total_count


@serializable
@register_layer("InnerProduct")
class InnerProduct(CaffeLayer):
    """y = x W^T + b, x being the bottom with all axes from `axis` on flattened in Caffe's order.

    Args:
        num_output: number of outputs.
        axis: first of the axes that are flattened, counted from the front (1).
        bias_term: add a bias (True).
        transpose: the weight blob is stored as (K, num_output) instead of (num_output, K); same result (False).
        normalize: each pass first divides every K numbers in a row of the weight blob by sqrt(sum of squares + 1e-6)
            and keeps the result; gradients take the divisor for constant (False; happynear/caffe-windows).
        weight_filler, bias_filler: see `keras_caffe.fillers` (0).

    Shapes: (d_0, ..., d_axis-1, ...) in Caffe's order -> (d_0, ..., d_axis-1, num_output).

    Raises:
        LayerError, ShapeError: no outputs, an axis out of range, flattened axes of unknown size.

    Examples:
        >>> keras_caffe.layers.InnerProduct(10).compute_output_shape((1, 50, 4, 4))
        (1, 10)

    Caffe: src/caffe/layers/inner_product_layer.cpp
    """

    stores = "caffe"
    normalize: bool
    overwrites_blobs: bool

    def __init__(
        self,
        num_output: int,
        axis: int = 1,
        bias_term: bool = True,
        transpose: bool = False,
        weight_filler: fillers.Filler = "constant",
        bias_filler: fillers.Filler = "constant",
        normalize: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_output: int = whole("num_output", num_output, 1)
        self.axis: int = whole("axis", axis, 0)
        self.bias_term: bool = flag("bias_term", bias_term)
        self.transpose: bool = flag("transpose", transpose)
        self.normalize = self.overwrites_blobs = flag("normalize", normalize)
        self.weight_filler: fillers.Filler = filler("weight_filler", weight_filler)
        self.bias_filler: fillers.Filler = filler("bias_filler", bias_filler if self.bias_term else "constant")

    def call(self, inputs: Any) -> Any:
        leading, inner = ops.shape(inputs)[: self.axis], self._inner(inputs.shape)
        rows = -1 if inner else prod(leading)  # Of an empty blob, -1 says nothing.
        x = inputs if len(leading) == 1 and len(inputs.shape) == 2 else ops.reshape(inputs, (rows, inner))
        kernel = self._normalized() if self.normalize else self.kernel
        y = matmul(x, kernel, transpose_b=not self.transpose)
        y = y + self.bias if self.bias_term else y
        return y if len(leading) == 1 else ops.reshape(y, (*leading, self.num_output))

    def _normalized(self) -> Any:
        """The kernel after its runs of K numbers were normalised, with the gradient of the kernel."""
        kernel = as_tensor(self.kernel)
        runs = ops.reshape(ops.stop_gradient(kernel), (self.num_output, -1))  # also of a transposed blob
        runs = runs * ops.rsqrt(ops.sum(runs * runs, axis=1, keepdims=True) + 1e-6)
        normalized = ops.reshape(runs, ops.shape(kernel))
        if native_ops_allowed():  # in an exported file weights stay as they are
            self.kernel.assign(normalized)
        return with_gradient_of(normalized, kernel)

    def _inner(self, shape: Shape) -> int:
        inner = count(shape[self.axis :])
        if inner is None:
            raise ShapeError("InnerProduct needs to know the sizes it flattens", received=shape)
        return inner

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [(*shapes[0][: canonical_axis(self.axis, len(shapes[0]))], self.num_output)]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        shape = (self.num_output, self._inner(shapes[0]))
        blobs = [
            Blob("kernel", shape[::-1] if self.transpose else shape, self.weight_filler),
            Blob("bias", (self.num_output,), self.bias_filler),
        ]
        return blobs if self.bias_term else blobs[:1]

    def flops(self, bottoms: Sequence[Sizes], tops: Sequence[Sizes]) -> int:
        return (2 * count(bottoms[0][self.axis :]) + self.bias_term) * total_count(tops)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.inner_product_param
        return cls(
            num_output=required(param, "num_output"),
            axis=canonical_axis(param.axis, bottoms[0].rank),
            bias_term=param.bias_term,
            transpose=param.transpose,
            normalize=param.normalize,
            weight_filler=fillers.from_caffe(param.weight_filler),
            bias_filler=fillers.from_caffe(param.bias_filler),
            **kwargs,
        )
