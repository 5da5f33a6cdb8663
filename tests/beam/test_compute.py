"""What a worker computes, without Apache Beam."""

from __future__ import annotations

import importlib.util
import pickle
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import beam, samples
from keras_caffe.beam.compute import Computer
from keras_caffe.data.datum import feature_datum, parse
from keras_caffe.errors import DataError, ExportError, NetError

FILES = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
SCALED = {"scale": samples.SCALE}


def digits(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)


def lenet(**options: Any) -> Computer:
    return Computer(*FILES, ("ip1", "prob"), SCALED, {"name": "onnxruntime", **options})


def test_it_gives_what_the_net_gives() -> None:
    pictures = digits(5)
    computer = lenet()
    png = tf.io.encode_png(pictures[0].transpose(1, 2, 0)).numpy()
    found = computer([computer.prepare(picture) for picture in [png, *pictures[1:]]])
    model = keras_caffe.load(*FILES, data_format="channels_first").extract(["ip1", "prob"])
    wanted = model.predict_on_batch(pictures.astype("float32") * np.float32(samples.SCALE))
    for blob in ("ip1", "prob"):
        np.testing.assert_allclose([one[blob] for one in found], wanted[blob], rtol=1e-4, atol=1e-5)


def computed_like(computer: Computer, count: int) -> bool:
    found = computer([computer.prepare(picture) for picture in digits(count)])
    return len(found) == count and all(one["prob"].shape == (10,) for one in found)


def test_it_is_sent_to_workers_without_the_net() -> None:
    computer = lenet()
    assert computed_like(computer, 2)
    sent = pickle.dumps(computer)
    assert len(sent) < 2000
    assert computed_like(pickle.loads(sent), 2)


def test_colours_are_caffes_unless_asked_otherwise() -> None:
    net = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } } }
    layer { name: "y" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }"""
    red = np.zeros((6, 7, 3), np.uint8)
    red[..., 0] = 200
    png = tf.io.encode_png(red).numpy()
    for bgr, channel in ((True, 2), (False, 0)):
        ways = {"resize": (4, 5), "mean": [1.0, 2.0, 3.0], "bgr": bgr}
        computer = Computer(net, [], ("y",), ways, {"name": "tensorflow"})
        wanted = -np.array([1.0, 2.0, 3.0], "float32")
        wanted[channel] += 200
        for picture in (png, red[..., ::-1].transpose(2, 0, 1)):
            np.testing.assert_array_equal(computer.prepare(picture)[:, 0, 0], wanted)
        found = computer([computer.prepare(png)] * 3)
        assert len(found) == 3
        np.testing.assert_array_equal(found[2]["y"][:, 3, 4], 2 * wanted)


def test_pictures_of_several_sizes_are_computed_by_size_and_keep_their_order() -> None:
    net = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 1 dim: 4 dim: 4 } } }
             layer { name: "y" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }"""
    model = keras_caffe.load(net, input_shapes={"x": (None, 1, None, None)}, data_format="channels_first")
    computer = Computer(model, None, ("y",), {}, {"name": "tensorflow"})
    sizes = [(4, 4), (3, 5), (4, 4), (4, 4)]
    inputs = [np.full((1, *size), index, "float32") for index, size in enumerate(sizes)]
    for index, (found, one) in enumerate(zip(computer(inputs), inputs, strict=True)):
        np.testing.assert_array_equal(found["y"], 2 * one, err_msg=str(index))


def test_a_function_may_prepare() -> None:
    computer = Computer(*FILES, ("prob",), lambda picture: np.full((1, 28, 28), len(picture), "float32"), {})
    assert computer.prepare(b"abc")[0, 0, 0] == 3


def test_what_is_no_picture_and_a_net_of_two_inputs_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be decoded"):
        lenet().prepare(b"no picture")
    net = 'layer { name: "x" type: "Input" top: "x" top: "y" input_param { shape { dim: 1 dim: 2 } } }'
    both = net + 'layer { name: "z" type: "Eltwise" bottom: "x" bottom: "y" top: "z" }'
    with pytest.raises(NetError, match="the net does not take pictures alone; expected one input; received x, y"):
        _ = Computer(both, [], ("z",), {}, {"name": "onnxruntime"}).engine


def test_features_are_records() -> None:
    values = np.arange(6, dtype="float32").reshape(1, 2, 3)
    datum = parse(feature_datum("fc", values))
    np.testing.assert_array_equal(datum.pixels(), values)
    with pytest.raises(DataError, match="'fc' does not fit a Datum"):
        feature_datum("fc", np.zeros((1, 2, 3, 4)))


@pytest.mark.skipif(importlib.util.find_spec("apache_beam") is not None, reason="Apache Beam is installed")
def test_without_beam_the_extra_is_named() -> None:
    for make in (lambda: beam.Read("x"), lambda: beam.Predict("x", outputs=["y"]), lambda: beam.Write("x", "y")):
        with pytest.raises(ExportError, match=r"Apache Beam is needed and not installed.*keras-caffe\[beam\]"):
            make()


@pytest.mark.parametrize(("shape", "says"), [((1, 20, 28), "smaller than the crop"), ((3, 28, 28), "3 channels")])
def test_pictures_that_do_not_fit_are_refused_one_by_one(shape: tuple[int, ...], says: str) -> None:
    computer = Computer(*FILES, ("prob",), {"crop": 28}, {"name": "onnxruntime"})
    with pytest.raises(DataError, match=says):
        computer.prepare(np.zeros(shape, np.uint8))
