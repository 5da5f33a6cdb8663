"""Local response normalisation (lrn_layer.cpp), channels last."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_caffe.ops import native
from keras_caffe.ops.pool_axis import Axis
from keras_caffe.ops.pooling import average_pool_twin
from keras_caffe.ops.stock import eight_bits


def lrn(x: Any, local_size: int, alpha: float, beta: float, k: float, norm_region: str = "ACROSS_CHANNELS") -> Any:
    """Normalises across channels, y = x S^-beta with S_c = k + alpha / n * (sum of x_j^2 over the n channels around c),
    or within each channel, S = 1 + alpha / n^2 * (sum of x^2 over the n x n pixels around).

    Args:
        x: (N, H, W, C).
        local_size: n, odd.
        alpha, beta, k: see the formulas.
        norm_region: "ACROSS_CHANNELS" or "WITHIN_CHANNEL".
    """
    kernel = native.operation("Lrn", x)
    if kernel:
        return kernel(x=x, local_size=local_size, alpha=alpha, beta=beta, k=k, norm_region=norm_region)
    return lrn_twin(x, local_size, alpha, beta, k, norm_region)


def lrn_twin(x: Any, local_size: int, alpha: float, beta: float, k: float, norm_region: str) -> Any:
    """`lrn` without its native kernel."""
    if norm_region == "ACROSS_CHANNELS":
        return _across(x, local_size, alpha, beta, k)
    if eight_bits():
        return _within_by_floats(x, local_size, alpha, beta)
    window = Axis(local_size, 1, (local_size - 1) // 2, clip=local_size > 1)
    return x * inverse_power(1 + alpha * average_pool_twin(x * x, [window, window]), beta)


@native.gradient_of("Lrn")
def _gradient(op: Any, upstream: Any) -> Any:
    return native.function("LrnGrad")(x=op.inputs[0], dy=upstream, **_attributes(op))


@native.gradient_of("LrnGrad")
def _gradient_of_gradient(op: Any, upstream: Any) -> Any:
    x, dy = op.inputs
    return native.gradients_of_gradient(lambda x: lrn_twin(x, **_attributes(op)), x, dy, upstream)


def _attributes(op: Any) -> dict[str, Any]:
    region = op.get_attr("norm_region").decode()
    return {name: op.get_attr(name) for name in ("local_size", "alpha", "beta", "k")} | {"norm_region": region}


def _across(x: Any, local_size: int, alpha: float, beta: float, k: float) -> Any:
    """The windows' sums are one product with a banded matrix: on a CPU faster, forward and backward, than sliding."""
    if eight_bits():  # which squares and sums have too few of; TensorFlow Lite's own operation stays in float32
        import tensorflow as tf

        return tf.nn.local_response_normalization(x, (local_size - 1) // 2, k, alpha / local_size, beta)
    channels = x.shape[-1]
    index = np.arange(channels)
    band = np.abs(index[:, None] - index) <= (local_size - 1) // 2
    band = ops.cast(ops.convert_to_tensor((band * (alpha / local_size)).astype("float32")), x.dtype)
    sums = ops.matmul(ops.reshape(x * x, (-1, channels)), band)  # Over two axes; over more, a general product is slow.
    return x * inverse_power(ops.reshape(sums, ops.shape(x)) + k, beta)


def _within_by_floats(x: Any, local_size: int, alpha: float, beta: float) -> Any:
    """By operations that TensorFlow Lite has for floats alone. The product at the end has 8 bits; a quotient would have
    them, too, and TensorFlow Lite gives -128 for some that are near 0.
    """
    import tensorflow as tf

    box = tf.fill((local_size, local_size, 1, 1, 1), alpha / local_size**2)
    sums = tf.nn.conv3d(tf.square(x[..., None]), box, [1] * 5, "SAME")[..., 0]
    return x * tf.pow(tf.add_n([sums, tf.ones_like(sums)]), -beta)


def inverse_power(base: Any, exponent: float) -> Any:
    """base^-exponent; the exponents that nets use go by square roots, which are many times faster than a power."""
    if exponent == 0.75:
        return ops.rsqrt(base * ops.sqrt(base))
    if exponent == 0.5:
        return ops.rsqrt(base)
    return ops.power(base, -exponent)
