"""What is done otherwise on a GPU, as far as a machine without one can tell."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.ops import native
from keras_caffe.ops.unpool import unpool


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 3, 1), (None, None, None, 1)], ids=["known", "open"])
def test_the_later_of_two_values_wins_and_both_get_the_gradient(
    gpu: bool, sizes: tuple[int | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "has_gpu", lambda: gpu)
    mask = tf.constant([1.0, 3, 1], shape=(1, 1, 3, 1))

    @tf.function(input_signature=[tf.TensorSpec(sizes)], autograph=False)
    def taught(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = unpool(x, mask, 2, 2)
            total = tf.reduce_sum(y * tf.reshape([1.0, 10, 100, 1000], (1, 2, 2, 1)))
        return y, tape.gradient(total, x)

    y, gradient = taught(tf.constant([5.0, 6, 7], shape=(1, 1, 3, 1)))
    np.testing.assert_array_equal(np.ravel(y), [0, 7, 0, 6])
    np.testing.assert_array_equal(np.ravel(gradient), [10, 1000, 10])


def test_float32_is_whole_until_somebody_asks_for_less() -> None:
    code = """
import tensorflow as tf
asked = tf.config.experimental
assert asked.tensor_float_32_execution_enabled()
import keras_caffe
assert not asked.tensor_float_32_execution_enabled()
asked.enable_tensor_float_32_execution(True)
keras_caffe.load('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }')
assert asked.tensor_float_32_execution_enabled()
print("whole")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "whole\n"), run.stderr
