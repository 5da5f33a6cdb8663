"""Classifier and Detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import DataError

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
SETTINGS = {"mean": np.array([0.1, 0.2, 0.3]), "raw_scale": 2.0, "channel_swap": (2, 1, 0)}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    caffe.set_random_seed(1)
    (tmp_path / "net.prototxt").write_text(NET)
    caffe.Net(NET, caffe.TEST).save(tmp_path / "net.caffemodel")
    return str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")


def prepared(image: np.ndarray) -> np.ndarray:
    return image.transpose(2, 0, 1)[::-1] * 2 - SETTINGS["mean"][:, None, None]


def scores(files: tuple[str, str], images: list[np.ndarray]) -> np.ndarray:
    net = caffe.Net(*files, caffe.TEST)
    return net.forward_all(data=np.stack([prepared(image) for image in images]))["prob"]


def test_predict_on_the_centre(files: tuple[str, str]) -> None:
    images = list(np.random.default_rng(0).random((3, 8, 10, 3), "float32"))
    net = caffe.Classifier(*files, image_dims=(8, 10), **SETTINGS)
    found = net.predict(images, oversample=False)
    np.testing.assert_allclose(found, scores(files, [image[1:7, 2:8] for image in images]), rtol=1e-4)


def test_predict_is_the_mean_of_ten_crops(files: tuple[str, str]) -> None:
    images = list(np.random.default_rng(0).random((2, 8, 10, 3), "float32"))
    found = caffe.Classifier(*files, image_dims=(8, 10), **SETTINGS).predict(images)
    crops = list(caffe.io.oversample(images, (6, 6)))
    np.testing.assert_allclose(found, scores(files, crops).reshape(2, 10, 2).mean(1), rtol=1e-4)


def test_images_are_resized_to_the_nets_input_by_default(files: tuple[str, str]) -> None:
    image = np.random.default_rng(0).random((12, 12, 3), "float32")
    found = caffe.Classifier(*files, **SETTINGS).predict([image], oversample=False)
    np.testing.assert_allclose(found, scores(files, [caffe.io.resize_image(image, (6, 6))]), rtol=1e-4)


@pytest.fixture
def picture(tmp_path: Path) -> tuple[str, np.ndarray]:
    pixels = (np.random.default_rng(0).random((20, 24, 3)) * 255).astype(np.uint8)
    (tmp_path / "p.png").write_bytes(tf.io.encode_png(pixels).numpy())
    return str(tmp_path / "p.png"), pixels.astype("float32") / 255


def test_detect_windows(files: tuple[str, str], picture: tuple[str, np.ndarray]) -> None:
    file, image = picture
    windows = [(0, 0, 6, 6), (3, 4, 15, 16)]
    found = caffe.Detector(*files, **SETTINGS).detect_windows([(file, windows)])
    assert [d["filename"] for d in found] == [file] * 2
    crops = [image[0:6, 0:6], caffe.io.resize_image(image[3:15, 4:16], (6, 6))]
    np.testing.assert_allclose([d["prediction"] for d in found], scores(files, crops), rtol=1e-4)
    np.testing.assert_array_equal(found[1]["window"], windows[1])


def test_context_shows_the_surroundings_and_the_mean_outside(
    files: tuple[str, str], picture: tuple[str, np.ndarray]
) -> None:
    net = caffe.Detector(*files, context_pad=1, **SETTINGS)
    inside = net.crop(picture[1], np.array([6, 6, 13, 13]))
    assert inside.shape == (6, 6, 3)
    outside = net.crop(np.ones((20, 24, 3)), np.array([0, 0, 7, 7]))
    np.testing.assert_allclose(outside[0, 0], SETTINGS["mean"][::-1] / 2, rtol=1e-6)
    assert (outside[2:-1, 2:-1] > 0.9).all()
    assert net.transformer.preprocess("data", outside)[:, 0, 0] == pytest.approx(0, abs=1e-6)


def test_selective_search_is_refused(files: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="detect_windows"):
        caffe.Detector(*files).detect_selective_search(["a.png"])
