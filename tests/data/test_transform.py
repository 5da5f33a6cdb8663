"""The transformation as a Keras layer: Caffe's numbers, inside a model and an export."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.data import Transform, dataset
from keras_caffe.errors import DataError
from tests.data.golden_data import DATA, case

PLAIN = [
    "lmdb_mean_file_crop",
    "lmdb_mean_file_scale",
    "lmdb_mean_value3_crop_scale",
    "lmdb_mean_value1",
    "lmdb_crop_odd",
]


def images() -> np.ndarray:
    """The records of rgb_lmdb, (N, C, H, W)."""
    return next(
        dataset(case("lmdb_plain")[0]["prototxt"], base_dir=DATA, data_format="channels_first").as_numpy_iterator()
    )["data"]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", PLAIN)
def test_values_are_caffes(name: str, data_format: str) -> None:
    meta, arrays = case(name)
    layer = Transform.from_prototxt(meta["prototxt"], "TEST", base_dir=DATA, data_format=data_format)
    wanted = arrays["f0/data"]
    x = images()[: len(wanted)]
    if data_format == "channels_last":
        found = np.asarray(layer(x.transpose(0, 2, 3, 1).astype("uint8"))).transpose(0, 3, 1, 2)
    else:
        found = np.asarray(layer(x.astype("uint8")))
    np.testing.assert_array_equal(found, wanted)


def test_rgb_images_are_turned_around() -> None:
    x = images().transpose(0, 2, 3, 1)
    layer = Transform(mean_value=(1, 2, 3), rgb=True, data_format="channels_last")
    np.testing.assert_array_equal(np.asarray(layer(x)), x[..., ::-1] - np.array([1, 2, 3], "float32"))


def test_training_draws_windows_of_the_centred_image() -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 9, 8, 3)).astype("float32")
    layer = Transform(5, True, 0.5, mean_value=7, phase="TRAIN", data_format="channels_last", seed=1)
    found = np.asarray(layer(x, training=True))
    seen = set()
    for image, got in zip((x - 7) * np.float32(0.5), found, strict=True):
        places = {
            (top, left, mirror): image[top : top + 5, left : left + 5][:, :: -1 if mirror else 1]
            for top in range(5)
            for left in range(4)
            for mirror in (False, True)
        }
        seen |= {place for place, window in places.items() if np.array_equal(window, got)}
    assert {top for top, _, _ in seen} == set(range(5)) and {left for _, left, _ in seen} == set(range(4))
    assert {mirror for _, _, mirror in seen} == {False, True}
    np.testing.assert_array_equal(np.asarray(layer(x, training=False)), (x[:, 2:7, 1:6] - 7) * np.float32(0.5))


def test_it_is_saved_with_its_mean_and_exported(tmp_path) -> None:
    meta, _ = case("lmdb_mean_file_crop")
    inputs = keras.Input((10, 12, 3), dtype="uint8")
    layer = Transform.from_prototxt(meta["prototxt"], base_dir=DATA, data_format="channels_last")
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, 6, 6, 3)
    x = images().transpose(0, 2, 3, 1).astype("uint8")
    wanted = np.asarray(model(x))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(keras.models.load_model(tmp_path / "model.keras")(x)), wanted)
    model.export(str(tmp_path / "served"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_array_equal(served.serve(x).numpy(), wanted)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="smaller than the crop"):
        Transform(20, data_format="channels_last")(np.zeros((1, 10, 12, 3)))
    with pytest.raises(DataError, match="the mean does not fit"):
        Transform(mean_value=(1, 2), data_format="channels_last")(np.zeros((1, 10, 12, 3)))
    with pytest.raises(DataError, match="the mean does not fit"):  # as far as sizes are known
        Transform(mean_value=(1, 2), data_format="channels_last")(keras.Input((None, None, 3)))
    with pytest.raises(DataError, match="no such data layer"):
        Transform.from_prototxt(case("lmdb_plain")[0]["prototxt"], layer="x")


@pytest.mark.parametrize(
    ("layer", "later", "says"),
    [
        (Transform(14, data_format="channels_last"), (1, 10, 10, 1), "smaller than the crop"),
        (Transform(mean_value=(1, 2, 3), data_format="channels_last"), (1, 20, 20, 1), "the mean does not fit"),
    ],
)
def test_images_of_later_calls_are_checked(layer: Transform, later: tuple[int, ...], says: str) -> None:
    layer(np.zeros((1, 20, 20, 3)))
    with pytest.raises(DataError, match=says):
        layer(np.zeros(later))
