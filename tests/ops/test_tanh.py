"""A convolution, its normalisation and an activation in one compiled graph, where TensorFlow joins them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe

NET = """
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: [2, 4, 6, 6] } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 3
        bias_term: false weight_filler { type: "xavier" } } }
%s
layer { name: "a" type: "%s" bottom: "c" top: "c" }
"""
NORM = 'layer { name: "b" type: "BatchNorm" bottom: "c" top: "c" }'
SCALE = 'layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }'


@pytest.mark.parametrize("between", [NORM, SCALE, NORM + SCALE], ids=["norm", "scale", "both"])
@pytest.mark.parametrize("kind", ["TanH", "Sigmoid", "ReLU", "ELU"])
def test_an_activation_behind_a_normalisation(kind: str, between: str) -> None:
    net = keras_caffe.load(NET % (between, kind), data_format="channels_last")
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype("float32")
    compiled = tf.function(lambda x: net(x, training=False))
    np.testing.assert_allclose(compiled(x), net(x, training=False), rtol=1e-5, atol=1e-6)
