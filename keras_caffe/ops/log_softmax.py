"""The logarithm of a softmax over the last axis."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.ops.stock import native_ops_allowed


def log_softmax(x: Any) -> Any:
    """x - log sum exp x.

    Exported graphs say it in parts: OpenVINO, when it moves a transposition behind a LogSoftmax, takes the wrong axis.
    """
    if native_ops_allowed():
        return ops.log_softmax(x, axis=-1)
    below = x - ops.max(x, axis=-1, keepdims=True)
    return below - ops.log(ops.sum(ops.exp(below), axis=-1, keepdims=True))
