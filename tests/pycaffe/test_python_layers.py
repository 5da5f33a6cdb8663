"""Layers of type Python in a pycaffe net."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_caffe import pycaffe as caffe


class Tenfold:
    """Ten times its bottom."""

    made = 0

    def setup(self, bottom: Any, top: Any) -> None:
        Tenfold.made += 1

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = 10 * bottom[0].data

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        bottom[0].diff[...] = 10 * top[0].diff


NET = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 5 dim: 3 dim: 2 } } }
layer { name: "one" type: "Python" bottom: "data" top: "one" python_param { module: "m" layer: "Tenfold" } }
layer { name: "two" type: "Power" bottom: "one" top: "two" power_param { scale: 2 } }
layer { name: "three" type: "Python" bottom: "two" top: "three" python_param { module: "m" layer: "Tenfold" } }
"""


def test_bottoms_may_get_another_number_of_axes() -> None:
    Tenfold.made = 0
    net = caffe.Net(NET, caffe.TEST, python_layers={"m.Tenfold": Tenfold})
    for shape in ((4, 4, 4, 4), (6,), (2, 3, 1, 2), (5, 3, 2)):
        net.blobs["data"].reshape(*shape)
        net.blobs["data"].data[...] = 3
        net.forward()
        assert {blob.shape for blob in net.blobs.values()} == {shape}
        np.testing.assert_array_equal(net.blobs["three"].data, np.full(shape, 600))
        net.blobs["three"].diff[...] = 7
        net.backward()
        np.testing.assert_array_equal(net.blobs["data"].diff, np.full(shape, 1400))
    assert Tenfold.made == 2


def test_reshape_alone_gives_the_blobs_their_shapes() -> None:
    net = caffe.Net(NET, caffe.TEST, python_layers={"m.Tenfold": Tenfold})
    net.blobs["data"].reshape(2, 2, 3, 4)
    net.reshape()
    assert {blob.shape for blob in net.blobs.values()} == {(2, 2, 3, 4)}
    net.blobs["three"].diff[...] = 7
    net.backward()
    np.testing.assert_array_equal(net.blobs["data"].diff, np.full((2, 2, 3, 4), 1400))
