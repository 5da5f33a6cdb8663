"""Fields and types that mean something else in a fork: refused where that fork would pass over them or mix them up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe import proto
from keras_caffe.errors import LayerError, WeightsError
from keras_caffe.layers.normalize import NormalizeChannels
from tests.layers.layer_case import from_caffe

MAP = (1, 2, 9, 9)


def convolution(fields: str, type: str = "Convolution") -> str:
    return f'type: "{type}" convolution_param {{ num_output: 2 kernel_size: 3 {fields} }}'


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("hole: 2 dilation: 2", "dilation is given together with hole"),
        ("hole_h: 2 hole_w: 2 dilation: 2", "dilation is given together with hole_h"),
        ("hole: 2 hole_h: 2", "hole is given together with hole_h or hole_w"),
        ("hole_w: 2", "hole_h and hole_w must be given together"),
    ],
)
def test_hole_is_given_once(fields: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        from_caffe(convolution(fields), MAP)


def test_hole_per_axis_is_dilation_per_axis() -> None:
    assert from_caffe(convolution("hole_h: 2 hole_w: 3"), MAP).dilation == (2, 3)
    assert from_caffe(convolution("hole: 4", "Im2col"), MAP).dilation == (4, 4)


def test_a_deconvolution_has_no_hole() -> None:
    with pytest.raises(LayerError, match="a Deconvolution has no hole; DeepLab's Caffe reads it in"):
        from_caffe(convolution("hole: 2", "Deconvolution"), MAP)


def test_normalize_of_one_fork_or_the_other() -> None:
    of_ssd = from_caffe('type: "Normalize" norm_param { across_spatial: false }', MAP)
    other = from_caffe('type: "Normalize" normalize_param { normalize_type: "l1" }', MAP)
    assert [blob.name for blob in of_ssd.blob_table((1, 9, 9, 2))] == ["scale"]
    assert isinstance(other, NormalizeChannels) and other.normalize_type == "L1" and not other.blob_table((1, 9, 9, 2))


def test_a_file_without_the_scale_names_both_forks(tmp_path: Path) -> None:
    net = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
             layer { name: "n" type: "Normalize" bottom: "x" top: "n" }"""
    weights = proto.NetParameter(layer=[proto.LayerParameter(name="n", type="Normalize", top=["n"])])
    (tmp_path / "n.caffemodel").write_bytes(weights.SerializeToString())
    expected = r"expected 1 \(scale\); received 0\. The SSD fork's Normalize has a scale.* no blob\. .*fork='happynear'"
    with pytest.raises(WeightsError, match=expected):
        keras_caffe.load(net, tmp_path / "n.caffemodel")
    assert not keras_caffe.load(net, tmp_path / "n.caffemodel", fork="happynear").get_caffe_params()


def test_a_net_of_happynear_s_caffe() -> None:
    net = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
             layer { name: "n" type: "Normalize" bottom: "x" top: "n" top: "norm" }"""
    x = np.array([[3.0, 0.0, 4.0], [1.0, 2.0, 2.0]], np.float32)
    outputs = keras_caffe.load(net, data_format="channels_first").predict(x, verbose=0)  # a second top is a mark
    np.testing.assert_allclose(outputs["norm"][:, 0, 0, 0], [5, 3], rtol=1e-6)
    np.testing.assert_allclose(outputs["n"][:, :, 0, 0], x / [[5], [3]], rtol=1e-6)
    plain = keras_caffe.load(net.replace('top: "norm"', ""), fork="happynear", data_format="channels_first")
    np.testing.assert_array_equal(plain.predict(x, verbose=0), outputs["n"])
    with pytest.raises(LayerError, match="norm_param is the SSD fork's Normalize, a second top that of happynear"):
        keras_caffe.load(net.replace('top: "norm"', 'top: "norm" norm_param { eps: 1 }'))
