"""Depthwise convolutions of the forks: Convolution with other groups."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.layers import Convolution, ConvolutionDepthwise
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make

CASES = [
    Case(
        "ConvolutionDepthwise",
        ConvolutionDepthwise(8, 3, group=8),
        [SHAPE],
    ),
]

PARAM = "num_output: 4 kernel_size: 3 pad: 1 bias_term: false"


@pytest.mark.parametrize(
    ("kind", "param", "group", "num_output"),
    [
        ("ConvolutionDepthwise", "", 4, 4),
        ("ConvolutionDepthwise", "group: 1", 4, 4),
        ("DepthwiseConvolution", "", 4, 4),
        ("DepthwiseConvolution", "group: 2", 2, 4),
        ("DepthwiseConvolution", "group: 1", 1, 4),
    ],
)
def test_it_is_a_convolution_in_groups(kind: str, param: str, group: int, num_output: int) -> None:
    layer, orders = make(f'type: "{kind}" convolution_param {{ {PARAM} {param} }}', (2, 4, 5, 6))
    assert (layer.group, layer.num_output, orders) == (group, num_output, [(0, 2, 3, 1)])
    twin = Convolution(4, (3, 3), (1, 1), (1, 1), (1, 1), group=group, bias_term=False)
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype("float32")
    layer.build(x.shape), twin.build(x.shape)
    kernel = np.random.default_rng(1).normal(size=twin.kernel.shape)
    layer.kernel.assign(kernel), twin.kernel.assign(kernel)
    np.testing.assert_array_equal(layer(x), twin(x))


def test_num_output_is_not_asked() -> None:
    layer, _ = make('type: "ConvolutionDepthwise" convolution_param { kernel_size: 3 stride: 2 }', (1, 6, 7, 7))
    assert (layer.num_output, layer.blob_table((1, 7, 7, 6))[0].shape) == (6, (6, 1, 3, 3))
    assert layer.top_shapes((None, 7, 7, 6)) == [(None, 3, 3, 6)]
