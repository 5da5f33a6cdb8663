"""MultiStageMeanfield (torrvision/caffe: multi_stage_meanfield.cpp, meanfield_iteration.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe._keras import Initializer
from keras_caffe.errors import DataError, LayerError, ShapeError
from keras_caffe.layers.arguments import number, numbers, whole
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.context import read_file
from keras_caffe.layers.images import check_images
from keras_caffe.layers.loss import full_precision
from keras_caffe.ops.permutohedral import lattice, mean_of_neighbours
from keras_caffe.ops.softmax import softmax
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known, same_shape


@serializable
@register_layer("MultiStageMeanfield")
class MultiStageMeanfield(CaffeLayer):
    """CRF-RNN: y <- unary - M (W_s S + W_b B), repeated, where S and B are the softmax of y among the neighbours.

    S is blurred by place, B by place and colour, each a Gaussian on the permutohedral lattice over what it gives of
    ones. The first y is the second bottom. W_s, W_b and M are blobs (1, 1, C, C). The image gets no gradient. As in the
    fork, images of a number of pixels that 4 does not divide have up to 3 more places, of zeros.

    Args:
        num_iterations: how often, at least 2.
        theta_alpha, theta_beta: pixels, and units of colour, that make a neighbour for B.
        theta_gamma: pixels that make a neighbour for S.
        spatial_weight, bilateral_weight: the diagonal of a new W_s and W_b, or one number for all of it (1). Files give
            it in "spatial.par" and "bilateral.par", else spatial_filter_weight and bilateral_filter_weight. M is -1.

    Shapes: unary, first y (N, H, W, C), image (N, H, W, 3) -> (N, H, W, C).

    Raises:
        LayerError: arguments that are missing or impossible. ShapeError: other bottoms. DataError: a file of weights
            that does not hold a number for each class.

    Caffe: src/caffe/layers/multi_stage_meanfield.cpp (torrvision/caffe)
    """

    bottoms: Arity = (3, 3)
    stores = "channels_last"
    no_gradient: Sequence[int] = (2,)
    not_forced: Sequence[int] = (2,)
    flops_per_top_value: int | None = None  # the image decides how many lattice points there are

    def __init__(
        self,
        num_iterations: int,
        theta_alpha: float,
        theta_beta: float,
        theta_gamma: float,
        spatial_weight: float | Sequence[float] = 1.0,
        bilateral_weight: float | Sequence[float] = 1.0,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        # Half precision has no room for places, nor for where on the lattice they lie.
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.num_iterations: int = whole("num_iterations", num_iterations, 2)
        self.theta_alpha: float = number("theta_alpha", theta_alpha, above=0)
        self.theta_beta: float = number("theta_beta", theta_beta, above=0)
        self.theta_gamma: float = number("theta_gamma", theta_gamma, above=0)
        self.spatial_weight: tuple[float, ...] = numbers("spatial_weight", spatial_weight)
        self.bilateral_weight: tuple[float, ...] = numbers("bilateral_weight", bilateral_weight)
        self.supports_jit = False  # Its lattice is made of 64-bit integers.

    def call(self, inputs: Any) -> Any:
        unary, y, image = inputs
        images, high, wide, classes = ops.shape(unary)
        flat = (images, high * wide, classes)
        lattices = [lattice(one) for one in self._features(ops.stop_gradient(image))]
        kernels = [ops.transpose(blob[0, 0]) for blob in map(ops.convert_to_tensor, (self.spatial, self.bilateral))]
        mixing = ops.transpose(ops.convert_to_tensor(self.compatibility)[0, 0])
        for _ in range(self.num_iterations):
            p = ops.reshape(softmax(y), flat)
            parts = [mean_of_neighbours(p, on) @ kernel for on, kernel in zip(lattices, kernels, strict=True)]
            y = unary - ops.reshape((parts[0] + parts[1]) @ mixing, ops.shape(unary))
        return y

    def _features(self, image: Any) -> list[Any]:
        """(N, pixels, 2) places, and (N, pixels, 5) places and colours, in units of neighbourhood."""
        images, high, wide, colours = ops.shape(image)
        columns, rows = ops.meshgrid(ops.arange(wide, dtype=image.dtype), ops.arange(high, dtype=image.dtype))
        place = ops.reshape(ops.stack([columns, rows], axis=-1), (1, -1, 2)) + ops.zeros((images, 1, 1), image.dtype)
        colour = ops.reshape(image, (images, high * wide, colours)) / self.theta_beta
        return [place / self.theta_gamma, ops.concatenate([place / self.theta_alpha, colour], axis=-1)]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("MultiStageMeanfield", *shapes)
        same_shape(shapes[0], shapes[1], "the unary terms and the first distribution must have one shape")
        same_shape(shapes[0][:3], shapes[2][:3], "the image must have the size of the unary terms")
        if shapes[2][3] not in (3, None):
            raise ShapeError("MultiStageMeanfield needs an image of colours", expected="3 channels", received=shapes[2])
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        (classes,) = known(shapes[0][3:])
        for given in (self.spatial_weight, self.bilateral_weight):
            if len(given) not in (1, classes):
                raise LayerError("a weight is given once, or for each class", expected=classes, received=given)
        diagonals = (("spatial", self.spatial_weight), ("bilateral", self.bilateral_weight), ("compatibility", (-1.0,)))
        return [Blob(name, (1, 1, classes, classes), Diagonal(diagonal)) for name, diagonal in diagonals]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.multi_stage_meanfield_param
        thetas = ("theta_alpha", "theta_beta", "theta_gamma")
        (classes,) = known(bottoms[0].shape[1:2])
        return cls(
            num_iterations=required(param, "num_iterations"),
            **{name: required(param, name) for name in thetas},
            spatial_weight=_diagonal("spatial.par", classes, param.spatial_filter_weight),
            bilateral_weight=_diagonal("bilateral.par", classes, param.bilateral_filter_weight),
            **kwargs,
        )


class Diagonal(Initializer):
    """Numbers along the diagonal of the last two axes, or one number; 0 elsewhere."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = values

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return ops.convert_to_tensor(np.broadcast_to(np.eye(shape[-1]) * self.values, shape), dtype)


def _diagonal(file: str, classes: int, otherwise: float) -> Sequence[float]:
    """The numbers of a file, one for each class; without the file one for all."""
    try:
        words = read_file(file).split()[:classes]
    except FileNotFoundError:
        return (otherwise,)
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise DataError("a weight is not a number", where=file, expected=f"{classes} numbers", received=error) from None
    if len(values) < classes:
        raise DataError("too few weights", where=file, expected=f"{classes} numbers", received=f"{len(values)}")
    return values
