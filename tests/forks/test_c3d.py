"""C3D v1.0: blobs of five legacy sizes, V1 types of its own, means of five axes; arrays of the fork's own program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.read_weights import read_weights
from keras_caffe.data import read_mean
from keras_caffe.errors import NetError, ReadError
from tests.shared_goldens import ROOT

GOLDEN = np.load(ROOT / "tests" / "goldens" / "forks" / "C3D_v10_binary.npz")
TEXTS = {name: str(GOLDEN[f"prototxt_{name}"]) for name in ("v10", "v11")}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "c3d.caffemodel"
    path.write_bytes(GOLDEN["file/c3d.caffemodel"].tobytes())
    return path


def test_blobs_of_five_sizes(weights: Path) -> None:
    read = {layer.name: layer.blobs for layer in read_weights(weights)}
    for key in (key for key in GOLDEN.files if key.startswith("expect/")):
        _, name, number = key.split("/")
        array = read[name][int(number)].array
        assert array.ndim == 5
        np.testing.assert_array_equal(array.ravel(), GOLDEN[key].ravel())


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_the_net_computes_what_its_caffe_computes(text: str, data_format: str, weights: Path) -> None:
    model = keras_caffe.load(text, weights, data_format=data_format)
    assert model.net.fork.name == "c3d"
    last = data_format == "channels_last"
    x = GOLDEN["bottom/data"]
    tops = model.extract(["conv1a", "pool1", "fc"])(np.moveaxis(x, 1, -1) if last else x)
    for name, top in tops.items():
        array = np.moveaxis(top, -1, 1) if last and np.ndim(top) == 5 else np.asarray(top)
        np.testing.assert_allclose(array, GOLDEN[f"top/{name}"], rtol=1e-5, atol=1e-5)


def test_its_old_spelling_becomes_the_new_one() -> None:
    old, new = (read_definition(TEXTS[name]).message for name in ("v10", "v11"))
    params = [[(f.name, v) for f, v in layer.ListFields() if f.name.endswith("3d_param")] for layer in old.layer]
    assert params == [
        [(f.name, v) for f, v in layer.ListFields() if f.name.endswith("3d_param")] for layer in new.layer
    ]
    assert [layer.type for layer in old.layer] == [layer.type for layer in new.layer]
    assert list(old.layer[0].input_param.shape[0].dim) == [1, 2, 5, 7, 6]


def test_a_caffemodel_alone_is_refused_by_name(weights: Path) -> None:
    with pytest.raises(ReadError, match=r"a file of C3D v1\.0.*Load the prototxt"):
        keras_caffe.load(weights, weights)


def test_a_mean_of_five_axes(tmp_path: Path) -> None:
    sizes, values = (1, 3, 2, 4, 5), np.arange(120, dtype="<f4")
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(bytes([8, 1, 16, 3, 24, 2, 32, 4, 40, 5, 0x32, 0xE0, 3]) + values.tobytes())
    np.testing.assert_array_equal(read_mean(path), values.reshape(sizes))


def test_its_fields_in_another_layer_are_named() -> None:
    text = (
        TEXTS["v10"]
        .replace("CONVOLUTION3D", "CONVOLUTION")
        .replace("input_dim: 5 ", "")
        .replace("POOLING3D", "POOLING")
    )
    named = {one.text.split()[0] for one in keras_caffe.check(text) if (one.kind, one.layer) == ("field", "conv1a")}
    assert named == {"convolution_param.kernel_depth", "convolution_param.temporal_pad"}


def test_too_few_sizes_of_an_input_are_refused() -> None:
    with pytest.raises(NetError, match="too few input_dim"):
        keras_caffe.load('input: "a" input: "b" ' + "input_dim: 2 " * 5)
