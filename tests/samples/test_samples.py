"""The shipped LeNet and digits."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import text_format

from keras_caffe import proto, samples
from keras_caffe.errors import ReadError


def net(name: str) -> proto.NetParameter:
    return text_format.Parse(samples.path(name).read_text(), proto.NetParameter())


def test_the_digits_are_caffes_test_set() -> None:
    images, labels = samples.digits()
    assert (images.dtype, images.shape) == (np.uint8, (1000, 1, 28, 28))
    assert (labels.dtype, labels.shape) == (np.int64, (1000,))
    assert set(labels) == set(range(10))
    assert images[:, 0, :4, 0].max() == 0 and images.max() == 255  # dark edge, white strokes


def test_reading_the_digits_writes_nothing() -> None:
    before = sorted(samples.path("db").rglob("*"))
    samples.digits()
    assert sorted(samples.path("db").rglob("*")) == before


def test_the_digits_are_small() -> None:
    assert sum(path.stat().st_size for path in samples.path("db").rglob("*")) < 1_000_000


def test_the_scale_is_the_prototxts() -> None:
    data = net("lenet_train_test.prototxt").layer[0]
    assert data.transform_param.scale == samples.SCALE


def test_both_nets_have_the_same_middle() -> None:
    trained = {layer.name: layer for layer in net("lenet_train_test.prototxt").layer}
    for layer in net("lenet.prototxt").layer[1:-1]:
        other = trained[layer.name]
        assert (layer.type, layer.bottom, layer.top) == (other.type, other.bottom, other.top)
        for field in ("num_output", "kernel_size"):
            assert getattr(layer.convolution_param, field) == getattr(other.convolution_param, field)
        assert layer.pooling_param == other.pooling_param
        assert layer.inner_product_param.num_output == other.inner_product_param.num_output


def test_every_name_has_a_path() -> None:
    assert samples.names() == ["db/mnist_test_lmdb", "lenet.caffemodel", "lenet.prototxt", "lenet_train_test.prototxt"]
    assert all(samples.path(name).exists() for name in samples.names())


def test_another_name_lists_the_samples() -> None:
    with pytest.raises(ReadError, match="no sample 'alexnet'; expected one of .*lenet.caffemodel"):
        samples.path("alexnet")
