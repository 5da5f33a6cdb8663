"""Pictures in the exported graph beside the same steps in NumPy and OpenCV's arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import proto
from keras_caffe.converters.resize import resize as opencv_resize
from keras_caffe.errors import ExportError, ReadError
from keras_caffe.serving import Preprocessing

NET = 'name: "n" layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, %d, %d, %d] } } } '
RELU = 'layer { name: "y" type: "Power" bottom: "data" top: "y" }'


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), "uint8")


def served(shape: tuple[int, int, int], folder: Path, x: np.ndarray, data_format: str = "channels_last", **options):
    """What a net that passes its input on gives for a request, in Caffe's order."""
    model = keras_caffe.load(NET % shape + RELU, data_format=data_format)
    path = keras_caffe.export(model, folder, **options)
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    y = signature(**{name: tf.constant(x)})["y"].numpy()
    return y.transpose(0, 3, 1, 2) if data_format == "channels_last" else y


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_crop_mean_scale_and_order(data_format: str, tmp_path: Path) -> None:
    x = picture(9, 12)
    found = served(
        (3, 6, 6),
        tmp_path,
        x[None].astype("float32"),
        data_format,
        preprocessing={"crop": 6, "mean": [104, 117, 123], "scale": 0.017},
    )
    wanted = (x[1:7, 3:9, ::-1] - np.float32([104, 117, 123])) * np.float32(0.017)
    np.testing.assert_allclose(found[0], wanted.transpose(2, 0, 1), rtol=1e-6, atol=1e-6)


def test_pictures_smaller_than_the_crop_are_refused(tmp_path: Path) -> None:
    how = {"preprocessing": {"crop": 6}}
    with pytest.raises(tf.errors.InvalidArgumentError, match="smaller than the crop"):
        served((3, 6, 6), tmp_path, picture(5, 9)[None].astype("float32"), **how)
    model = keras_caffe.load(NET % (3, 6, 6) + RELU)
    file = keras_caffe.to_onnx(model, tmp_path / "net.onnx", data_format="channels_first", **how)
    session = pytest.importorskip("onnxruntime").InferenceSession(str(file))
    whole = picture(7, 9).astype("float32").transpose(2, 0, 1)[None]
    (found,) = session.run(None, {"data": whole})
    np.testing.assert_array_equal(found, whole[:, ::-1, 0:6, 1:7])
    with pytest.raises(Exception, match="Reshape"):
        session.run(None, {"data": whole[:, :, :5]})


def test_a_report_without_a_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    model = keras_caffe.load(NET % (3, 6, 6) + RELU)
    for write in (keras_caffe.export, keras_caffe.to_onnx, keras_caffe.serving.to_tflite):
        with pytest.raises(ReadError, match="the report cannot be written"):
            write(model, tmp_path / "out", report=tmp_path / "missing" / "report.json")
    assert not list(tmp_path.iterdir())


def test_a_mean_picture_is_cut_like_the_picture(tmp_path: Path) -> None:
    x, mean = picture(8, 10), np.random.default_rng(1).uniform(0, 255, (3, 8, 10)).astype("float32")
    np.save(tmp_path / "mean.npy", mean)
    for given in (mean, mean[None], str(tmp_path / "mean.npy"), tmp_path / "mean.npy"):
        found = served(
            (3, 6, 6),
            tmp_path / "m",
            x[None].astype("float32"),
            preprocessing={"resize": (8, 10), "crop": (6, 6), "mean": given, "bgr": False},
        )
        wanted = x.transpose(2, 0, 1).astype("float32") - mean
        np.testing.assert_allclose(found[0], wanted[:, 1:7, 2:8], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("size", [(7, 5), (20, 31), (12, 12), (24, 24), (24, 31), (1, 1), (2, 300), (511, 13)])
def test_resized_as_opencv(size: tuple[int, int], tmp_path: Path) -> None:
    x = picture(*size)
    data = np.array([tf.io.encode_png(x).numpy()], object)
    found = served((3, 12, 12), tmp_path, data.tolist(), inputs="image_bytes")
    wanted = opencv_resize(x[:, :, ::-1], 12, 12).transpose(2, 0, 1)
    np.testing.assert_array_equal(found[0], wanted)


def test_grey_pictures(tmp_path: Path) -> None:
    x = picture(5, 5, 1)
    found = served((1, 5, 5), tmp_path, [tf.io.encode_png(x).numpy()], inputs="image_bytes", preprocessing={"mean": 10})
    np.testing.assert_array_equal(found[0, 0], x[:, :, 0] - np.float32(10))


def test_jpeg_is_decoded_as_by_pillow(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not there")
    import io

    file = io.BytesIO()
    smooth = np.add.outer(np.arange(16) * 8, np.arange(16) * 7)[:, :, None].repeat(3, 2).astype("uint8")
    pillow.fromarray(smooth).save(file, "jpeg", quality=90)
    found = served((3, 16, 16), tmp_path, [file.getvalue()], inputs="image_bytes", preprocessing={"bgr": False})
    wanted = np.asarray(pillow.open(io.BytesIO(file.getvalue()))).transpose(2, 0, 1)
    assert np.abs(found[0] - wanted).max() <= 1


def test_caffes_own_message() -> None:
    message = proto.TransformationParameter(crop_size=6, mean_value=[1, 2, 3], scale=0.5)
    assert Preprocessing.of(message) == Preprocessing(crop=6, mean=[1, 2, 3], scale=0.5)
    assert Preprocessing.of(Preprocessing()) == Preprocessing.of({})


def test_sizes_are_any_whole_numbers() -> None:
    sizes = [(np.int64(6), np.int64(5)), np.array([6, 5]), [6, 5]]
    assert [Preprocessing(resize=size).fitted((1, 3, 6, 5)).resize for size in sizes] == [(6, 5)] * 3


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"crop": 7}, "do not get the size"),
        ({"resize": (5, 5)}, "do not get the size"),
        ({"resize": 4, "crop": 6}, "larger than the picture"),
        ({"resize": "big"}, "not a size"),
        ({"crop": 0}, "not a size"),
        ({"resize": 2.5}, "not a size"),
        ({"scale": "abc"}, "the scale is no number"),
        ({"mean": ["a", "b", "c"]}, "the mean is no array of real numbers"),
        ({"mean": [[1], [2, 3]]}, "the mean is no array of real numbers"),
        ({"mean": 1j}, "the mean is no array of real numbers"),
        ({"mean": [1, 2]}, "mean does not fit"),
        ({"mean": np.zeros((3, 5, 5))}, "mean does not fit"),
        ({"mirror": True}, "not understood"),
        (3, "not understood"),
    ],
)
def test_what_does_not_fit_is_refused(given: object, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=problem):
        served((3, 6, 6), tmp_path / "m", picture(6, 6)[None], preprocessing=given)
    assert not (tmp_path / "m").exists()


def test_a_broken_mean_file_is_named(tmp_path: Path) -> None:
    for name in ("mean.npy", "mean.binaryproto"):
        (tmp_path / name).write_bytes(b"no mean")
        with pytest.raises(ReadError, match=name):
            served((3, 6, 6), tmp_path / "m", picture(6, 6)[None], preprocessing={"mean": str(tmp_path / name)})


@pytest.mark.parametrize("shape", ["1, 2, 6, 6", "1, 3"])
def test_other_inputs_are_no_pictures(shape: str, tmp_path: Path) -> None:
    text = (NET % (3, 6, 6)).replace("1, 3, 6, 6", shape) + RELU
    with pytest.raises(ExportError, match="something other than pictures"):
        keras_caffe.export(keras_caffe.load(text), tmp_path, inputs="image_bytes")


def test_a_mean_file_tells_the_size_before_the_crop(tmp_path: Path) -> None:
    values = np.random.default_rng(1).uniform(90, 130, (3, 8, 10)).astype("float32")
    mean = proto.BlobProto(channels=3, height=8, width=10, num=1, data=values.ravel().tolist())
    (tmp_path / "mean.binaryproto").write_bytes(mean.SerializeToString())
    param = proto.TransformationParameter(crop_size=6, mean_file=str(tmp_path / "mean.binaryproto"), scale=0.5)
    x = picture(8, 10)
    found = served((3, 6, 6), tmp_path / "net", x[None].astype("float32"), preprocessing=param)
    wanted = (x[1:7, 2:8, ::-1].transpose(2, 0, 1) - values[:, 1:7, 2:8]) * np.float32(0.5)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-6, atol=1e-6)
