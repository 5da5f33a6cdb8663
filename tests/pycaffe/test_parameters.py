"""The parameters of a pycaffe net and the files that they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import WeightsError

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 3 } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 4 } }
"""


@pytest.fixture(params=[".caffemodel", ".caffemodel.h5"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    net = caffe.Net(NET, caffe.TEST)
    for name in "ab":
        net.params[name][0].data[...] = 7
    file = str(tmp_path / f"net{request.param}")
    (net.save_hdf5 if file.endswith(".h5") else net.save)(file)
    return file


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("num_output: 4", "num_output: 5"), "a stored blob has another shape"),
        (("num_output: 4", "num_output: 4 bias_term: false"), "another number of blobs"),
    ],
)
def test_a_layer_that_does_not_fit_can_be_renamed(stored: str, change: tuple[str, str], problem: str) -> None:
    text = NET.replace(*change)
    net = caffe.Net(text, caffe.TEST)
    for load in (net.copy_from, net.load_hdf5, lambda file: caffe.Net(text, file, caffe.TEST)):
        with pytest.raises(WeightsError, match=problem) as raised:
            load(stored)
        assert str(raised.value).endswith("Rename the layer to leave it as it is.")
        assert "skip_mismatch" not in str(raised.value)
    np.testing.assert_array_equal(net.params["a"][0].data, np.zeros((3, 2)))
    renamed = caffe.Net(text.replace('name: "b"', 'name: "fresh"'), stored, caffe.TEST)
    np.testing.assert_array_equal(renamed.params["a"][0].data, np.full((3, 2), 7))
    np.testing.assert_array_equal(renamed.params["fresh"][0].data, 0)
