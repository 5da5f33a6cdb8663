"""DataAugmentation: crops, the mean of the first passes, and what is left out of it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import CaffeWarning, LayerError, ShapeError
from keras_caffe.layers import DataAugmentation
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.nets import net_with
from tests.random_nets.draft import Draft

CASES = [
    Case(
        "DataAugmentation",
        DataAugmentation((3, 2), mean=range(8)),
        [SHAPE],
        refused=[
            ({"crop": 0}, r"crop \(height, width\) must be a whole number of at least 1; received 0"),
            ({"recompute_mean": -1}, "recompute_mean must be a whole number of at least 0; received -1"),
            ({"mean_per_pixel": 2}, "mean_per_pixel must be True or False; received 2"),
            ({"mean": "1"}, "mean must be a number; received '1'"),
            ({"mean": 1, "recompute_mean": 1}, "the mean is either given or computed"),
        ],
    )
]


def augmentation(draft: Draft) -> None:
    image = draft.bottom(4)
    high, wide = (draft.choose(range(1, size + 1)) for size in image.shape[2:])
    crop = draft.choose(("", f"crop_height: {high} crop_width: {wide}"))
    mean = "mean_per_pixel: false mean: 1 mean: 2 mean: 0.5" if image.shape[1] == 3 else ""
    draft.add("DataAugmentation", [image], f"augmentation_param {{ {crop} {mean} }}")


PARTS = {"DataAugmentation": augmentation}
TEXT = 'type: "DataAugmentation" augmentation_param { %s }'


def load(param: str, shape: tuple[int, ...] = (2, 3, 4, 4), phase: str = "TEST") -> Any:
    text = net_with("DataAugmentation", shape, param=f"augmentation_param {{ {param} }}")
    return keras_caffe.load(text, phase=phase, data_format="channels_first")


def test_an_odd_difference_blends_two_pixels() -> None:
    x = np.float32([1, 2, 4, 8, 16])[None, None, :, None]
    np.testing.assert_allclose(np.ravel(DataAugmentation((1, 2))(x)), [3, 6], rtol=1e-6)
    np.testing.assert_allclose(np.ravel(DataAugmentation((1, 3))(x)), [2, 4, 8], rtol=1e-6)
    np.testing.assert_allclose(np.ravel(DataAugmentation((1, 5))(x)), [1, 2, 4, 8, 15.6], rtol=1e-6)


@pytest.mark.parametrize("per_pixel", ["true", "false"])
def test_the_first_passes_estimate_the_mean(per_pixel: str) -> None:
    model = load(f"recompute_mean: 2 mean_per_pixel: {per_pixel}")
    batches = np.random.default_rng(0).normal(size=(3, 2, 3, 4, 4)).astype("float32")
    for n, batch in enumerate(batches, 1):
        image = batches[: min(n, 2)].mean(axis=(0, 1))
        mean = image if per_pixel == "true" else image.mean(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(model(batch), batch - mean, rtol=1e-5, atol=1e-6)
    counter, image, channels = next(iter(model.get_caffe_params().values()))
    assert counter.ravel() == [3]
    np.testing.assert_allclose(channels[0], image[0].mean(axis=(1, 2), keepdims=True), rtol=1e-5, atol=1e-6)


def test_a_trained_net_only_subtracts() -> None:
    model = load("recompute_mean: 1000 mean_per_pixel: false")
    ((name, (counter, image, channels)),) = model.get_caffe_params().items()
    model.set_caffe_params({name: [counter + 1000, image + 5, channels + 0.25]})
    x = np.ones((2, 3, 4, 4), "float32")
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(x, verbose=0), x - 0.25)


@pytest.mark.parametrize(
    ("param", "phase", "named"),
    [
        ("mirror { prob: 0.5 } rotate { spread: 0.4 }", "TRAIN", "mirror, rotate"),
        ("noise { spread: 0.4 } augment_during_test: true", "TEST", "noise"),
        ("mirror { prob: 0.5 }", "TEST", ""),
        ("augment_during_test: true", "TEST", ""),
    ],
)
def test_random_transforms_are_named(param: str, phase: str, named: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(param, phase=phase)
    found = [str(w.message) for w in caught if issubclass(w.category, CaffeWarning) and "at random" in str(w.message)]
    assert len(found) == bool(named)
    assert all(text.endswith(f"not changed at random by {named}") for text in found)


@pytest.mark.parametrize(
    ("param", "shape", "error", "reason"),
    [
        ("crop_width: 5 crop_height: 4", (2, 3, 4, 4), ShapeError, "the crop is larger than the image"),
        ("mean: 1 mean: 2", (2, 3, 4, 4), LayerError, "mean is that of three channels"),
        ("mean_per_pixel: false mean: 1 mean: 2 mean: 3", (2, 4, 4, 4), ShapeError, "number of means does not match"),
        ("", (2, 3), ShapeError, "DataAugmentation needs bottoms with 4 axes"),
    ],
)
def test_refused(param: str, shape: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(TEXT % param, shape)


def test_a_crop_needs_both_sizes() -> None:
    assert tops(TEXT % "crop_width: 2", (2, 3, 4, 4)) == [(2, 3, 4, 4)]
