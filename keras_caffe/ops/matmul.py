"""Matrix product with a transposed second factor that is not transposed in memory."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.ops.stock import on_tensorflow


def matmul(a: Any, b: Any, *, transpose_b: bool = False) -> Any:
    """a b, or a b^T.

    Args:
        a: (M, K).
        b: (K, N), or (N, K) with `transpose_b`.

    Returns:
        (M, N)
    """
    if a.shape[-1] == 0:  # a sum over nothing, where oneDNN's kernel with a bias ends the process
        b = ops.convert_to_tensor(b)
        return ops.sum(a[:, None, :] * (b if transpose_b else ops.transpose(b)), axis=-1)
    if on_tensorflow():
        import tensorflow as tf

        return tf.matmul(a, b, transpose_b=transpose_b)
    b = getattr(b, "value", b)  # Not every backend takes a SharedView for a tensor.
    return ops.matmul(a, ops.transpose(b) if transpose_b else b)
