"""GroupNorm (group_norm_layer.cpp of several forks)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import arguments
from keras_caffe.layers.arguments import flag, number, whole
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known


@serializable
@register_layer("GroupNorm")
class GroupNorm(CaffeLayer):
    """y = (x - mean) / sqrt(variance + eps) over each group of neighbouring channels of each image.

    The variance is biased; affine: y s_c + b_c. Forks say the number of groups in fields of their own: `group_num` (32
    without any) and `group_ratio`, after which a Scale follows, and `group`, whose layer has a learned s and b itself.

    Args:
        groups: number of groups, which divides that of the channels (32).
        eps: added to the variance (1e-5).
        affine: there are blobs s and b (False); in files where `group`, `scale_filler` or `bias_filler` is set.
        scale_filler, bias_filler: of s and b (constant 1, constant 0); in files Caffe's filler, constant 0.

    Shapes: (N, ..., C); the top has the bottom's shape. The blobs are (1, C, 1, 1).

    Raises:
        LayerError: no group, fields of several forks. ShapeError: no channel axis, a number of groups that does not
            divide it.

    Caffe: group_norm_layer.cpp (blankWorld/GroupNorm-caffe; niezhongliang/GroupNormalization-caffe; hujie's)
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 5  # sum, difference; square, sum, quotient
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self,
        groups: int = 32,
        eps: float = 1e-5,
        affine: bool = False,
        scale_filler: fillers.Filler = fillers.ONE,
        bias_filler: fillers.Filler = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.groups: int = whole("groups", groups, 1)
        self.eps: float = number("eps", eps)
        self.affine: bool = flag("affine", affine)
        self.scale_filler: fillers.Filler = arguments.filler("scale_filler", scale_filler)
        self.bias_filler: fillers.Filler = arguments.filler("bias_filler", bias_filler)

    def call(self, inputs: Any) -> Any:
        shape = ops.shape(inputs)
        y = ops.reshape(standardized(ops.reshape(inputs, self._grouped(shape)), (1, 3), self.eps), shape)
        return y * ops.reshape(self.scale, (-1,)) + ops.reshape(self.bias, (-1,)) if self.affine else y

    def _grouped(self, shape: Any) -> tuple[Any, ...]:
        """(N, pixels, groups, channels of a group)"""
        pixels = 1
        for size in shape[1:-1]:
            pixels = pixels * size
        return (shape[0], pixels, self.groups, shape[-1] // self.groups)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) < 2:
            raise ShapeError("GroupNorm needs a channel axis", expected="2 axes or more", received=shapes[0])
        (channels,) = known(shapes[0][-1:])
        if channels % self.groups:
            what = "the number of groups does not divide the channels"
            raise ShapeError(what, expected=f"a divisor of {channels}", received=self.groups)
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        rows = (("scale", self.scale_filler), ("bias", self.bias_filler)) if self.affine else ()
        return [Blob(name, known((1, shapes[0][-1], 1, 1)), filler) for name, filler in rows]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.group_norm_param
        given = [name for name in ("group_num", "group_ratio", "group") if param.HasField(name)]
        if len(given) > 1:
            raise LayerError("the number of groups is set twice, as two forks do", expected="one field", received=given)
        affine = any(param.HasField(name) for name in ("group", "scale_filler", "bias_filler"))
        learned = {name: fillers.from_caffe(getattr(param, name)) for name in ("scale_filler", "bias_filler")}
        groups = getattr(param, given[0] if given else "group_num")
        return cls(groups=groups, eps=param.eps, affine=affine, **(learned if affine else {}), **kwargs)


def standardized(x: Any, axes: Sequence[int], eps: float) -> Any:
    """(x - mean) / sqrt(biased variance + eps) over these axes."""
    centred = x - ops.mean(x, axis=axes, keepdims=True)
    return centred / ops.sqrt(ops.mean(ops.square(centred), axis=axes, keepdims=True) + eps)
