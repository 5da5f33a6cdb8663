"""Blobs without values: Caffe's truncating division gives them where a kernel does not fit, and layers pass them on."""

from __future__ import annotations

import numpy as np
import pytest

import keras_caffe
from keras_caffe import pycaffe
from tests.nets import layer, net_with

WINDOW = "convolution_param {{ kernel_size: 5 stride: 3 pad: 1 dilation: 2 {} }}"  # 9 pixels of 5: (5 - 9) / 3 + 1 = 0
WINDOWS = {"Im2col": "", "Convolution": "num_output: 100", "DepthwiseConvolution": "num_output: 4"}
READERS = [
    ("Convolution", "convolution_param { num_output: 3 kernel_size: 1 }", (2, 3, 0, 0)),
    ("Deconvolution", "convolution_param { num_output: 3 kernel_size: 3 }", (2, 3, 2, 2)),
    ("Flatten", "", (2, 0)),
    ("Im2col", "convolution_param { kernel_size: 1 }", (2, 100, 0, 0)),
    ("InnerProduct", "inner_product_param { num_output: 3 }", (2, 3)),
    ("InnerProduct", "inner_product_param { num_output: 3 axis: 2 }", (2, 100, 3)),
    ("LRN", "", (2, 100, 0, 0)),
    ("MVN", "", (2, 100, 0, 0)),
    ("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }", (2, 0, 0, 100)),
    ("Pooling", "pooling_param { kernel_size: 1 }", (2, 100, 0, 0)),
    ("Reduction", "reduction_param { axis: 1 }", (2,)),
    ("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", (2, 0)),
    ("Softmax", "", (2, 100, 0, 0)),
    ("Tile", "tile_param { tiles: 2 }", (2, 200, 0, 0)),
]


def blobs(text: str, x: np.ndarray) -> list[dict[str, np.ndarray]]:
    """All blobs as an eager call, `predict_on_batch` and pycaffe give them."""
    model = keras_caffe.load(text, data_format="channels_first")
    part, net = model.extract(list(model.blobs)), pycaffe.Net(text, pycaffe.TEST)
    net.forward(x0=x)
    return [part(x), part.predict_on_batch(x), {name: blob.data for name, blob in net.blobs.items()}]


@pytest.mark.parametrize("type", WINDOWS)
def test_a_kernel_that_does_not_fit_gives_no_pixels(type: str) -> None:
    x = np.ones((2, 4, 3, 3), "float32")
    for found in blobs(net_with(type, x.shape, param=WINDOW.format(WINDOWS[type])), x):
        assert found["y"].shape == (2, 4 if "Depthwise" in type else 100, 0, 0)


@pytest.mark.parametrize(("type", "param", "shape"), READERS)
def test_layers_take_a_blob_without_pixels(type: str, param: str, shape: tuple[int, ...]) -> None:
    """Sums over nothing are 0."""
    x = np.ones((2, 4, 3, 3), "float32")
    text = net_with("Im2col", x.shape, param=WINDOW.format("")) + layer("reader", type, "y", "z", param)
    for found in blobs(text, x):
        assert found["z"].shape == shape
        np.testing.assert_array_equal(found["z"], np.zeros(shape))
