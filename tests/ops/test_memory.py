"""Variables are made without a kernel of TensorFlow's for each."""

from __future__ import annotations

import pytest

import keras_caffe
from keras_caffe import samples

pytest.importorskip("tensorflow")


def test_tensorflow_knows_all_kernels_by_one_name_and_keras_by_their_paths() -> None:
    model = keras_caffe.load(samples.path("lenet.prototxt"))
    kernels = [model.caffe_layers[name].kernel for name in ("conv1", "conv2", "ip1", "ip2")]
    assert [kernel.path for kernel in kernels] == ["conv1/kernel", "conv2/kernel", "ip1/kernel", "ip2/kernel"]
    assert {kernel.value.name for kernel in kernels} == {"kernel:0"}
