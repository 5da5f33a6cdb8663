"""Layers that Keras has too, but for convolutions and pooling."""

from __future__ import annotations

import string
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe.layers.batch_norm import BatchNorm
from keras_caffe.layers.concat import Concat
from keras_caffe.layers.dropout import Dropout
from keras_caffe.layers.eltwise import Eltwise
from keras_caffe.layers.flatten import Flatten
from keras_caffe.layers.prelu import PReLU
from keras_caffe.layers.relu import ReLU
from keras_caffe.layers.relu6 import ReLU6
from keras_caffe.layers.scale import Scale
from keras_caffe.layers.sigmoid import Sigmoid
from keras_caffe.layers.softmax import Softmax
from keras_caffe.layers.tanh import TanH
from keras_caffe.ops.normalize import normalize
from keras_caffe.plain.registry import turns
from keras_caffe.plain.site import Site
from keras_caffe.plain.traced import recorded, taken_for_bias


@turns(ReLU)
def relu(site: Site, x: Any) -> Any:
    slope = site.layer.negative_slope
    if not slope:
        return keras.layers.ReLU(**site.keras_args)(x)
    # Keras takes the greater one of x and slope x.
    return keras.layers.LeakyReLU(slope, **site.keras_args)(x) if 0 < slope <= 1 else None


@turns(ReLU6)
def relu6(site: Site, x: Any) -> Any:
    slope = site.layer.negative_slope
    return keras.layers.ReLU(6.0, negative_slope=slope, **site.keras_args)(x) if slope >= 0 else None


@turns(Sigmoid)
def sigmoid(site: Site, x: Any) -> Any:
    return keras.layers.Activation("sigmoid", **site.keras_args)(x)


@turns(TanH)
def tanh(site: Site, x: Any) -> Any:
    return keras.layers.Activation("tanh", **site.keras_args)(x)


@turns(Softmax)
def softmax(site: Site, x: Any) -> Any:
    if x.shape[site.layer.axis] in (0, 1):
        return None
    return keras.layers.Softmax(site.layer.axis, **site.keras_args)(x)


@turns(Dropout)
def dropout(site: Site, x: Any) -> Any:
    return keras.layers.Dropout(site.layer.dropout_ratio, seed=site.layer.seed, **site.keras_args)(x)


@turns(Concat)
def concat(site: Site, *bottoms: Any) -> Any:
    axis, rank = site.layer.axis, len(bottoms[0].shape)
    if len(bottoms) < 2 or axis % rank == 0:
        return None
    return keras.layers.Concatenate(axis if axis % rank != rank - 1 else -1, **site.keras_args)(list(bottoms))


@turns(Eltwise)
def eltwise(site: Site, *bottoms: Any) -> Any:
    """A maximum stays as Caffe computes it: of a number and NaN, Keras's layer takes NaN."""
    operation, coeff = site.layer.operation, site.layer.coeff
    if operation == "PROD":
        return keras.layers.Multiply(**site.keras_args)(list(bottoms))
    if operation == "SUM" and set(coeff) <= {1.0}:
        return keras.layers.Add(**site.keras_args)(list(bottoms))
    return None


@turns(Flatten)
def flatten(site: Site, x: Any) -> Any:
    rank = len(x.shape)
    whole = (site.layer.axis % rank, site.layer.end_axis % rank) == (1, rank - 1)
    if not whole or rank < 3 or None in x.shape[1:]:
        return None
    return keras.layers.Flatten(data_format="channels_last", **site.keras_args)(x)


@turns(PReLU)
def prelu(site: Site, x: Any) -> Any:
    rank, (slope,) = len(x.shape), site.arrays
    axis = site.layer.axis % rank
    if axis == 0:
        return None
    axes = [a for a in range(1, rank) if a != axis or site.layer.channel_shared]
    main = keras.layers.PReLU(shared_axes=axes or None, **site.keras_args)
    shape = [1 if a in axes else size for a, size in enumerate(x.shape[1:], 1)]
    return site.weighted(main, x, slope.reshape(shape))


@turns(BatchNorm)
def batch_norm(site: Site, x: Any) -> Any:
    layer, (mean, variance, factor, *learned) = site.layer, site.arrays
    if layer.use_global_stats is False:
        return recorded(site, [x], lambda: _normalized_by_the_batch(x, layer.eps))
    if layer.statistics == "sums":
        scale = np.float32(0.0) if factor[0] == 0 else np.float32(1.0) / factor[0]
        mean, variance = mean * scale, variance * scale
    main = keras.layers.BatchNormalization(
        axis=-1,
        momentum=0.99 if layer.use_global_stats else min(layer.moving_average_fraction, 1.0),  # Keras's own: no matter
        epsilon=layer.eps,
        center=layer.scale_bias,
        scale=layer.scale_bias,
        **site.keras_args,
    )
    y = site.weighted(main, x, *learned, mean, variance)
    main.trainable = not layer.use_global_stats
    return y


def _normalized_by_the_batch(x: Any, eps: float) -> Any:
    """Whatever `training` says, which Keras's layer goes by."""
    axes = tuple(range(len(x.shape) - 1))
    mean = ops.mean(x, axis=axes)
    variance = ops.mean(ops.square(x - mean), axis=axes)
    return normalize(x, mean, variance, eps)


@turns(Scale)
def scale(site: Site, *bottoms: Any) -> Any:
    """One weight a channel is a depthwise 1x1 convolution of images; of other axes, a product that einsum names."""
    if len(bottoms) > 1:
        return None
    (x,), layer, (weights, *bias) = bottoms, site.layer, site.arrays
    rank = len(x.shape)
    axes = [axis % rank for axis in layer.axes]
    if axes == [3] and rank == 4:
        arguments = {"use_bias": layer.bias_term, "data_format": "channels_last", **site.keras_args}
        return site.weighted(keras.layers.DepthwiseConv2D(1, **arguments), x, weights.reshape(1, 1, -1, 1), *bias)
    letters = string.ascii_lowercase[:rank]
    named = "".join(letters[axis] for axis in axes)
    if not axes or 0 in axes or None in x.shape[1:] or 0 in x.shape or axes != sorted(axes):
        return None
    broadcast = [size if axis in axes else 1 for axis, size in enumerate(x.shape)][1:]
    if layer.bias_term and taken_for_bias(x.shape, broadcast):
        return None
    main = keras.layers.EinsumDense(
        f"{letters},{named}->{letters}",
        output_shape=x.shape[1:],
        bias_axes=named if layer.bias_term else None,
        **site.keras_args,
    )
    return site.weighted(main, x, weights, *(b.reshape(broadcast) for b in bias))
