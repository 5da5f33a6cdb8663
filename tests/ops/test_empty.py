"""Empty bottoms under oneDNN, which gives some the wrong shape and for the gradient of others ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import numpy as np
import tensorflow as tf

from keras_caffe.layers.pooling import Pooling
from keras_caffe.ops.convolution import convolution, deconvolution

SHAPES = ((0, 6), (2, 0))


def shapes_of_pools() -> list[tuple[int, ...]]:
    """The tops' shapes, in a graph that knows no sizes."""
    found = []
    for pool in [Pooling(kind, k, 2, pad) for kind in ("MAX", "AVE") for k, pad in ((2, 0), (3, 1))]:

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 4])])
        def run(x: tf.Tensor, pool: Pooling = pool) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                top = pool(tf.abs(x), training=True)
            return tf.shape(top), tape.gradient(top, x)

        for images, size in SHAPES:
            shape, gradient = run(tf.zeros((images, size, size, 4)))
            assert gradient.shape == (images, size, size, 4)
            found.append(tuple(shape.numpy().tolist()))
    return found


def shapes_of_convolutions() -> list[tuple[int, ...]]:
    """The tops' shapes, and of the gradient that is summed over no images, its values."""
    found = []
    for rank in (1, 2, 3):
        how = {"stride": [1] * rank, "pad": [0] * rank, "dilation": [1] * rank}
        for function, shape in ((convolution, (3, 4)), (deconvolution, (4, 3))):
            kernel = tf.ones((*[3] * rank, *shape))
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                top = partial(function, **how)(tf.zeros((0, *[6] * rank, 3)), kernel)
            np.testing.assert_array_equal(tape.gradient(top, kernel), np.zeros(kernel.shape))
            found.append(tuple(top.shape))
    return found


def test_known_sizes_stay_known() -> None:
    pool = tf.function(Pooling("MAX", 2, 2), [tf.TensorSpec([None, 6, None, 4])], autograph=False)
    assert pool.get_concrete_function().structured_outputs.shape.as_list() == [None, 3, None, 4]


def check() -> None:
    top = {2: [(0, 3, 3, 4), (2, 0, 0, 4)], 3: [(0, 4, 4, 4), (2, 1, 1, 4)]}
    assert shapes_of_pools() == [*top[2], *top[3]] * 2
    assert shapes_of_convolutions() == [(0, *[size] * rank, 4) for rank in (1, 2, 3) for size in (4, 8)]


def test_empty_bottoms_have_tops_of_caffes_shapes() -> None:
    check()


def test_under_onednn_too() -> None:
    """In a process of its own, since TensorFlow chooses its kernels when it is loaded, and this one would end."""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"}
    code = f"from {__name__} import check; check(); print('whole')"
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "whole\n"), run.stderr
