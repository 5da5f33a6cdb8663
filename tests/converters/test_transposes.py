"""Where values are stored as the next layer needs them, nothing is transposed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import samples

SCALE = """
layer {{ name: "conv{i}" type: "Convolution" bottom: "{bottom}" top: "conv{i}"
  convolution_param {{ num_output: 8 kernel_size: 3 pad: 1 stride: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu{i}" type: "ReLU" bottom: "conv{i}" top: "conv{i}" }}
layer {{ name: "conf{i}" type: "Convolution" bottom: "conv{i}" top: "conf{i}"
  convolution_param {{ num_output: 12 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "perm{i}" type: "Permute" bottom: "conf{i}" top: "perm{i}"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "flat{i}" type: "Flatten" bottom: "perm{i}" top: "flat{i}" flatten_param {{ axis: 1 }} }}
"""
HEAD = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 16 dim: 12 } } }'
    + SCALE.format(i=1, bottom="data")
    + SCALE.format(i=2, bottom="conv1")
    + """
layer { name: "all" type: "Concat" bottom: "flat1" bottom: "flat2" top: "all" concat_param { axis: 1 } }
layer { name: "boxes" type: "Reshape" bottom: "all" top: "boxes" reshape_param { shape { dim: 0 dim: -1 dim: 4 } } }
layer { name: "prob" type: "Softmax" bottom: "boxes" top: "prob" softmax_param { axis: 2 } }
"""
)


def operations(model: keras_caffe.CaffeModel) -> list[str]:
    """The types of all operations in the model's graph."""
    inputs = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs}
    graph = tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(inputs)
    definition = graph.graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    return [node.op for node in nodes]


@pytest.mark.parametrize("text", [HEAD, samples.path("lenet.prototxt")], ids=["SSD head", "LeNet"])
def test_there_is_no_transpose_in_the_graph(text: str) -> None:
    found = operations(keras_caffe.load(text, data_format="channels_last"))
    transposed = 1 if text is not HEAD else 0  # LeNet's first InnerProduct reads its image in Caffe's order.
    assert sum("Transpose" in op for op in found) == transposed
    assert {"Conv2D", "Softmax"} <= set(found)


def test_the_head_gives_the_same_numbers_in_either_format() -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, 16, 12)).astype("float32")
    first = keras_caffe.load(HEAD, data_format="channels_first")
    last = keras_caffe.load(HEAD, data_format="channels_last")
    last.set_caffe_params(first.get_caffe_params())
    got, want = last(np.moveaxis(images, 1, -1)), first(images)
    assert got.shape == (2, 180, 4)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
