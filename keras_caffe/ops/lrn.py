"""Local response normalisation across channels (lrn_layer.cpp), channels last."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def lrn_across(x: Any, local_size: int, alpha: float, beta: float, k: float) -> Any:
    """y = x S^-beta, S_c = k + alpha / n * sum of x_j^2 over the n channels around c.

    The windows' sums are one product with a banded matrix: on a CPU faster, forward and backward, than sliding.
    """
    channels = x.shape[-1]
    index = np.arange(channels)
    band = np.abs(index[:, None] - index) <= (local_size - 1) // 2
    band = ops.cast(ops.convert_to_tensor((band * (alpha / local_size)).astype("float32")), x.dtype)
    sums = ops.matmul(ops.reshape(x * x, (-1, channels)), band)  # Over two axes; over more, a general product is slow.
    return x * inverse_power(ops.reshape(sums, ops.shape(x)) + k, beta)


def inverse_power(base: Any, exponent: float) -> Any:
    """base^-exponent; the exponents that nets use go by square roots, which are many times faster than a power."""
    if exponent == 0.75:
        return ops.rsqrt(base * ops.sqrt(base))
    if exponent == 0.5:
        return ops.rsqrt(base)
    return ops.power(base, -exponent)
