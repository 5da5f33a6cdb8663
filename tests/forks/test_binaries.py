"""A caffemodel alone, as each fork writes it: numbers that forks gave to different fields mean what they mean there."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import proto
from keras_caffe.converters.read_binary import varint_bytes
from keras_caffe.errors import CaffeError
from tests.layers.numbers import numbers


def number(field: int, value: int) -> bytes:
    return varint_bytes(field << 3) + varint_bytes(value)


def decimal(field: int, value: float) -> bytes:
    return varint_bytes(field << 3 | 5) + struct.pack("<f", value)


def message(field: int, *content: bytes | str) -> bytes:
    whole = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in content)
    return varint_bytes(field << 3 | 2) + varint_bytes(len(whole)) + whole


def blob(array: np.ndarray) -> bytes:
    return message(7, message(7, message(1, *map(varint_bytes, array.shape))), message(5, array.tobytes()))


def old_blob(array: np.ndarray) -> bytes:
    sizes = (1,) * (4 - array.ndim) + array.shape
    return message(6, *(number(i, size) for i, size in enumerate(sizes, 1)), message(5, array.tobytes()))


def layer(kind: str, *more: bytes) -> bytes:
    return message(100, message(1, "l"), message(2, kind), message(3, "x"), message(4, "y"), *more)


def old_layer(kind: int, bottom: str, top: str, *more: bytes) -> bytes:
    return message(2, message(4, top), number(5, kind), message(2, bottom), message(3, top), *more)


INPUT = message(3, "x") + message(8, message(1, *map(varint_bytes, (1, 2, 8, 8))))
X = numbers(0, (1, 2, 8, 8))
WIDE = (1, 2, 1, 1)
ONE, TWO, THREE, FOUR = (numbers(seed, WIDE) for seed in range(1, 5))
FOUR = np.abs(FOUR)
CONVOLVED = number(1, 3) + number(3, 2) + number(4, 3)  # 3 outputs, pad 2, kernel 3
WEIGHTS, BIASES = numbers(5, (3, 2, 3, 3)), numbers(6, (3,))


def loaded(folder: Path, content: bytes, **kwargs: Any) -> Any:
    file = folder / "net.caffemodel"
    file.write_bytes(content)
    assert not [one.text for one in keras_caffe.check(file, file, **kwargs) if one.severity != "note"]
    return keras_caffe.load(file, file, data_format="channels_first", **kwargs)


@pytest.mark.parametrize("mode", [0, 1], ids=["LEARN", "INFERENCE"])
def test_segnets_bn(tmp_path: Path, mode: int) -> None:
    model = loaded(tmp_path, INPUT + layer("BN", message(45, number(3, mode)), blob(ONE), blob(TWO)))
    assert model.net.fork.name == "segnet"
    mean, variance = (f((0, 2, 3), keepdims=True) for f in (X.mean, X.var))
    normalized = X if mode else (X - mean) / np.sqrt(variance + 1e-9)
    np.testing.assert_allclose(model(X), ONE * normalized + TWO, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("field", [137, 152, 200, 201], ids=["TSN", "PSPNet", "happynear", "LargeMargin"])
def test_pspnets_bn(tmp_path: Path, field: int) -> None:
    """137 is embed_param here, 152 box_annotator_ohem_param, 200 annotated_data_param, 201 multibox_loss_param."""
    frozen = message(field, decimal(4, 0.1), number(5, 1))
    model = loaded(tmp_path, INPUT + layer("BN", frozen, *map(blob, (ONE, TWO, THREE, FOUR))))
    assert model.net.fork.name == "pspnet"
    np.testing.assert_allclose(model(X), ONE * (X - THREE) / np.sqrt(FOUR + 0.1) + TWO, rtol=1e-4, atol=1e-5)


def test_nvcaffes_batch_norm(tmp_path: Path) -> None:
    blobs = (ONE.ravel(), FOUR.ravel(), np.ones(1, "float32"), THREE.ravel(), TWO.ravel())
    model = loaded(tmp_path, INPUT + layer("BatchNorm", message(139, number(7, 1)), *map(blob, blobs)))
    assert model.net.fork.name == "nvcaffe"
    np.testing.assert_allclose(model(X), (X - ONE) / np.sqrt(FOUR + 1e-5) * THREE + TWO, rtol=1e-4, atol=1e-5)


def test_ssds_and_happynears_normalize(tmp_path: Path) -> None:
    scaled = message(206, number(1, 0), number(3, 0))
    model = loaded(tmp_path, INPUT + layer("Normalize", scaled, blob(ONE.ravel())))
    assert model.net.fork.name == "ssd"
    np.testing.assert_allclose(model(X), ONE * X / np.sqrt((X**2).sum(1, keepdims=True)), rtol=1e-5)
    model = loaded(tmp_path, INPUT + layer("Normalize", message(214, message(1, "L1"))))
    assert model.net.fork.name == "happynear"
    np.testing.assert_allclose(model(X), X / (np.abs(X).sum(1, keepdims=True) + 1e-6), rtol=1e-5)


def deeplab(*holes: bytes, more: bytes = b"") -> bytes:
    sizes = b"".join(number(4, size) for size in (1, 2, 8, 8))
    blobs = old_blob(WEIGHTS), old_blob(BIASES)
    return message(3, "x") + sizes + old_layer(4, "x", "y", message(10, CONVOLVED, *holes), *blobs) + more


@pytest.mark.parametrize(
    ("holes", "dilation"),
    [((number(17, 2),), (2, 2)), ((number(18, 1), number(19, 3)), (1, 3))],
    ids=["hole", "hole_h hole_w"],
)
def test_deeplabs_holes(tmp_path: Path, holes: tuple[bytes, ...], dilation: tuple[int, int]) -> None:
    """17 is force_nd_im2col here, 18 dilation."""
    model = loaded(tmp_path, deeplab(*holes))
    assert model.net.fork.name == "deeplab"
    assert model.caffe_layers["y"].dilation == dilation
    param = f"num_output: 3 pad: 2 kernel_size: 3 dilation: [{dilation[0]}, {dilation[1]}]"
    text = f"""layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: [1, 2, 8, 8] }} }} }}
        layer {{ name: "y" type: "Convolution" bottom: "x" top: "y" convolution_param {{ {param} }} }}"""
    same = keras_caffe.load(text, data_format="channels_first")
    same.set_caffe_params({"y": [WEIGHTS, BIASES]})
    np.testing.assert_allclose(model(X), same(X), rtol=1e-5, atol=1e-5)


def test_a_flag_and_a_dilation_of_caffes_own_are_no_holes(tmp_path: Path) -> None:
    model = loaded(tmp_path, deeplab(number(17, 1), number(18, 2)))
    assert model.net.fork.name == "bvlc"
    assert model.caffe_layers["y"].dilation == (2, 2)
    model = keras_caffe.load(tmp_path / "net.caffemodel", fork="bvlc")
    assert model.caffe_layers["y"].dilation == (2, 2)


def test_deeplabs_accuracy(tmp_path: Path) -> None:
    """40 is no type of Caffe's, and its field 42 there is loss_param, in which 2 is a flag."""
    ignored = message(42, number(2, 1), number(2, 255))
    label = message(3, "label") + b"".join(number(4, size) for size in (1, 1, 8, 8))
    file = deeplab(number(17, 2), more=label + old_layer(40, "y", "accuracy", message(2, "label"), ignored))
    model = loaded(tmp_path, file)
    assert model.caffe_layers["accuracy"].ignore_label == (1, 255)


@pytest.mark.parametrize(("field", "said"), [(number(24, 1), "use_polygon"), (decimal(24, 0.3), None)])
def test_textboxes_flag_has_the_number_of_refinedets_score(tmp_path: Path, field: bytes, said: str | None) -> None:
    sizes = {"loc": (1, 8), "conf": (1, 4), "prior": (1, 2, 8), "truth": (1, 1, 3, 8)}
    net = proto.NetParameter(layer=[{"name": n, "type": "Input", "top": [n]} for n in sizes])
    for one in net.layer:
        one.input_param.shape.add(dim=sizes[one.name])
    kind = message(1, "loss") + message(2, "MultiBoxLoss") + b"".join(message(3, name) for name in sizes)
    param = proto.LayerParameter.DESCRIPTOR.fields_by_name["multibox_loss_param"].number
    file = tmp_path / "net.caffemodel"
    rules = proto.MultiBoxLossParameter(num_classes=2).SerializeToString()
    file.write_bytes(net.SerializeToString() + message(100, kind, message(4, "y"), message(param, rules, field)))
    if said is not None:
        with pytest.raises(CaffeError, match=said):
            keras_caffe.load(file)
    else:
        model = keras_caffe.load(file)
        assert model.caffe_layers["loss"].rules.objectness_score == pytest.approx(0.3)
        assert model.net.fork.name == "refinedet"


def test_deeplabs_types(tmp_path: Path) -> None:
    """39 is DECONVOLUTION here, 41 and 42 are unknown."""
    more = old_layer(41, "y", "up", message(43, number(3, 2))) + old_layer(42, "up", "cut", message(45, number(1, 1)))
    model = loaded(tmp_path, deeplab(number(17, 2), more=more))
    assert [type(one).__name__ for one in model.caffe_layers.values()] == ["Convolution", "Interp", "Padding"]
    assert model.output_shape[2:] == (16, 16)
    model = loaded(tmp_path, deeplab(more=more), fork="deeplab")
    assert model.caffe_layers["cut"].pad_beg == 1
    with pytest.raises(CaffeError, match=r"unknown layer types '41' \(layer 'up' at .*, '42' \(layer 'cut' at "):
        keras_caffe.load(tmp_path / "net.caffemodel")
