"""Pictures in the exported graph beside the same steps in NumPy and OpenCV's arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import proto, samples
from keras_caffe.cli import main
from keras_caffe.converters import proof
from keras_caffe.converters.preprocessing import prepared
from keras_caffe.converters.resize import resize as opencv_resize
from keras_caffe.engines.ir import write_openvino
from keras_caffe.errors import ExportError, ReadError
from keras_caffe.onnx.export import Settings
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


CONVOLUTION = """layer { name: "y" type: "Convolution" bottom: "data" top: "y"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "gaussian" std: 0.1 } } }"""
MEAN = [104.0, 117.0, 123.0]


def blue_green_red(x: np.ndarray) -> np.ndarray:
    """(H, W, C) red-green-blue -> (1, C, H, W) as a Caffe script feeds it."""
    y = np.empty((1, 3, *x.shape[:2]), "float32")
    for channel, mean in enumerate(MEAN):
        y[0, channel] = (x[:, :, 2 - channel] - np.float32(mean)) * np.float32(0.017)
    return y


def run_lite(file: Path, x: np.ndarray) -> np.ndarray:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_path=str(file))
    runner = interpreter.get_signature_runner("serving_default")
    assert runner.get_input_details()["data"]["shape"].tolist() == [1, 9, 12, 3]
    return runner(data=x[None].astype("float32"))["y"]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_pictures_in_a_tensorflow_lite_file(data_format: str, tmp_path: Path) -> None:
    model = keras_caffe.load(NET % (3, 9, 12) + CONVOLUTION, data_format=data_format)
    x, how = picture(9, 12), {"mean": MEAN, "scale": 0.017}
    fed = blue_green_red(x)
    wanted = np.asarray(model(fed if data_format == "channels_first" else fed.transpose(0, 2, 3, 1)))
    file = keras_caffe.serving.to_tflite(model, tmp_path / "net.tflite", preprocessing=how, tolerance=1e-4)
    np.testing.assert_allclose(run_lite(file, x), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    calibration = np.stack([picture(9, 12), 255 - picture(9, 12)]).astype("float32")
    keras_caffe.serving.to_tflite(model, file, preprocessing=how, kind="int8", calibration=calibration)
    np.testing.assert_allclose(run_lite(file, x), wanted, rtol=0, atol=0.05 * np.abs(wanted).max())


@pytest.mark.parametrize("how", [{"resize": 9}, {"crop": (9, 12)}])
def test_a_tensorflow_lite_file_takes_pictures_of_one_size(how: dict, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="have the size of the net's input"):
        keras_caffe.serving.to_tflite(
            keras_caffe.load(NET % (3, 9, 12) + RELU), tmp_path / "net.tflite", preprocessing=how
        )


@pytest.mark.parametrize("format", ["openvino", "tflite"])
def test_the_command_puts_mean_and_scale_into_every_format(format: str, tmp_path: Path, capsys) -> None:
    pytest.importorskip({"tflite": "ai_edge_litert"}.get(format, format))
    files = [str(samples.path(name)) for name in ("lenet.prototxt", "lenet.caffemodel")]
    out = tmp_path / ("net.xml" if format == "openvino" else "net.tflite")
    assert not main(["export", *files, "--format", format, "-o", str(out), "--mean", "33", "--scale", "0.01"])
    assert "largest difference from the Keras model: " in capsys.readouterr().out
    x = picture(28, 28, 1)[None].astype("float32")
    wanted = np.asarray(keras_caffe.load(*files)((x - np.float32(33)) * np.float32(0.01)))
    if format == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        found = Interpreter(model_path=str(out)).get_signature_runner("serving_default")(data=x)["prob"]
    else:
        import openvino

        net = openvino.Core().compile_model(str(out), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        (found,) = net({"data": x.transpose(0, 3, 1, 2)}).values()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * wanted.max())


HOWS = [
    {"mean": MEAN, "scale": 0.017},
    {"resize": (13, 11), "crop": (6, 5), "mean": MEAN},
    {"resize": (6, 5), "bgr": False},
    {"crop": (6, 5), "scale": 0.5},
]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("format", ["savedmodel", "onnx", "openvino"])
def test_an_export_that_takes_pictures_is_compared(format: str, how: dict, tmp_path: Path, monkeypatch) -> None:
    model = keras_caffe.load(NET % (3, 6, 5) + CONVOLUTION.replace("kernel_size: 3", "kernel_size: 3 pad: 1"))

    def write() -> None:
        if format == "savedmodel":
            keras_caffe.export(model, tmp_path / "saved", preprocessing=how, tolerance=1e-4)
        elif format == "onnx":
            keras_caffe.to_onnx(model, tmp_path / "net.onnx", preprocessing=how, tolerance=1e-4)
        else:
            write_openvino(model, tmp_path / "net.xml", Settings(preprocessing=how), 1e-4)

    pytest.importorskip({"savedmodel": "tensorflow", "onnx": "onnxruntime"}.get(format, format))
    write()
    monkeypatch.setattr(proof, "prepared", lambda fitted, x: 1.01 * prepared(fitted, x))
    with pytest.raises(ExportError, match="computes something else than the net: blob 'y'"):
        write()


def test_what_pictures_are_compared_with_is_a_loop() -> None:
    """Of a picture in the size 13 x 11, the middle 6 x 5, blue-green-red, less the mean, times the scale."""
    x = picture(9, 12)
    fitted = Preprocessing((13, 11), (6, 5), MEAN, 0.5).fitted((1, 3, 6, 5))
    wanted = np.zeros((1, 3, 6, 5))
    for c, i, j in np.ndindex(3, 6, 5):
        row, column = ((at + 0.5) * old / new - 0.5 for at, old, new in ((i + 3, 9, 13), (j + 3, 12, 11)))
        for h, w in np.ndindex(9, 12):
            wanted[0, c, i, j] += x[h, w, 2 - c] * max(0, 1 - abs(row - h)) * max(0, 1 - abs(column - w))
    wanted = (wanted - np.reshape(MEAN, (1, 3, 1, 1))) * 0.5
    found = prepared(fitted, x.transpose(2, 0, 1)[None].astype("float32"))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
