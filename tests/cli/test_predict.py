"""`keras-caffe predict`."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_caffe
from keras_caffe import proto, pycaffe, samples
from keras_caffe.cli import main
from keras_caffe.cli.images import from_0_to_1, mean_of, of_data_layer
from keras_caffe.cli.predict import read_labels
from keras_caffe.converters.pictures import read_image, resized
from keras_caffe.converters.resize import resize
from keras_caffe.data.images import decode
from keras_caffe.errors import CaffeError

NET, WEIGHTS = str(samples.path("lenet.prototxt")), str(samples.path("lenet.caffemodel"))
SCALED = ["--scale", str(samples.SCALE)]

# Gives back its own input: 2 x 2 pixels of 3 channels.
ECHO = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 2 dim: 2 } } }
layer { name: "out" type: "Power" bottom: "data" top: "out" }
"""
PIXELS = np.arange(10, 130, 10, dtype="uint8").reshape(2, 2, 3)  # red, green, blue


@pytest.fixture
def digits(tmp_path: Path) -> list[str]:
    """Twenty digits as pictures, whose names begin with what they show."""
    images, labels = samples.digits()
    paths = [tmp_path / f"{label}_{number}.png" for number, label in enumerate(labels[:20])]
    for path, image in zip(paths, images, strict=False):
        Image.fromarray(image[0]).save(path)
    return [str(path) for path in paths]


@pytest.fixture
def echo(tmp_path: Path, capsys):
    """Runs `predict` on the net that gives back its input; returns what it printed as (C, H, W) in Caffe's order."""
    (tmp_path / "net.prototxt").write_text(ECHO)
    keras_caffe.load(tmp_path / "net.prototxt").save(tmp_path / "net.keras")
    Image.fromarray(PIXELS).save(tmp_path / "image.png")

    def run(*options: str) -> np.ndarray:
        assert main(["predict", str(tmp_path / "net.keras"), str(tmp_path / "image.png"), "--top", "99", *options]) == 0
        found = {
            int(place): float(score) for score, place in re.findall(r"^  (\S+)  (\d+)", capsys.readouterr().out, re.M)
        }
        return np.array([found[place] for place in range(12)]).reshape(3, 2, 2)

    return run


def best(text: str) -> list[str]:
    """The first line below each picture's name."""
    return re.findall(r"^\S.*\n  (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_digits(digits: list[str], data_format: str, capsys) -> None:
    assert main(["predict", NET, WEIGHTS, *digits, "--data-format", data_format, *SCALED]) == 0
    said = capsys.readouterr().out
    assert re.findall(r"^\S.*$", said, re.MULTILINE) == digits
    assert said.count("\n") == 20 * 6
    right = [line.split()[-1] == Path(file).name[0] for line, file in zip(best(said), digits, strict=True)]
    assert sum(right) >= 18


def test_a_keras_file_says_the_same(digits: list[str], tmp_path: Path, capsys) -> None:
    model = str(tmp_path / "lenet.keras")
    assert main(["predict", NET, WEIGHTS, *digits, *SCALED]) == 0
    expected = capsys.readouterr().out
    assert main(["convert", NET, WEIGHTS, "-o", model]) == 0
    capsys.readouterr()
    assert main(["predict", model, *digits, *SCALED]) == 0
    assert capsys.readouterr().out == expected


def test_labels_and_top(digits: list[str], tmp_path: Path, capsys) -> None:
    labels = tmp_path / "words.txt"
    labels.write_text("".join(f"n0000{n} digit {n}, figure\n" for n in range(10)))
    assert main(["predict", NET, WEIGHTS, digits[0], "--labels", str(labels), "--top", "2", *SCALED]) == 0
    name, first, second = capsys.readouterr().out.splitlines()
    place = Path(name).name[0]
    assert re.fullmatch(rf"  0\.\d{{4}}  {place}  n0000{place} digit {place}, figure", first)
    assert float(first.split()[0]) > float(second.split()[0])
    labels.write_text("one\ntwo\n")
    assert main(["predict", NET, WEIGHTS, digits[0], "--labels", str(labels)]) == 1
    assert "expected 10 labels; received 2" in capsys.readouterr().err


def test_another_blob_is_numbered_as_in_caffe(digits: list[str], capsys) -> None:
    assert main(["predict", NET, WEIGHTS, digits[0], "--output", "pool2", "--top", "1", *SCALED]) == 0
    model = keras_caffe.load(NET, WEIGHTS, data_format="channels_first")
    images, _ = samples.digits()
    values = np.asarray(model.extract("pool2")(images[:1] * np.float32(samples.SCALE))["pool2"]).ravel()
    assert best(capsys.readouterr().out) == [f"{values.max():.4f}  {values.argmax()}"]


def test_a_net_with_a_fixed_batch_takes_any_number(digits: list[str], tmp_path: Path, capsys) -> None:
    net = tmp_path / "net.prototxt"
    fixed = (
        'layer { name: "fixed" type: "Reshape" bottom: "prob" top: "out" reshape_param { shape { dim: 8 dim: 10 } } }'
    )
    net.write_text(Path(NET).read_text() + fixed)
    options = ["--input-shape", "data=8,1,28,28", *SCALED]
    assert main(["predict", NET, WEIGHTS, *digits, *SCALED]) == 0
    expected = capsys.readouterr().out
    assert main(["predict", str(net), WEIGHTS, *digits, *options]) == 0
    assert capsys.readouterr().out == expected


def test_channels_are_blue_green_red(echo) -> None:
    np.testing.assert_array_equal(echo(), PIXELS[:, :, ::-1].transpose(2, 0, 1))


def test_mean_and_scale(echo, tmp_path: Path) -> None:
    pixels = PIXELS[:, :, ::-1].transpose(2, 0, 1).astype("float32")
    np.testing.assert_allclose(echo("--mean", "10", "--scale", "0.5"), (pixels - 10) * 0.5)
    np.testing.assert_allclose(echo("--mean", "1,2.5,-3"), pixels - np.reshape([1, 2.5, -3], (3, 1, 1)))
    mean = np.random.default_rng(0).integers(0, 9, (3, 2, 2)).astype("float32")
    np.save(tmp_path / "mean.npy", mean)
    np.testing.assert_allclose(echo("--mean", str(tmp_path / "mean.npy")), pixels - mean)
    blob = proto.BlobProto(num=1, channels=3, height=2, width=2, data=mean.ravel())
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    np.testing.assert_allclose(echo("--mean", str(tmp_path / "mean.binaryproto")), pixels - mean)


def test_a_mean_picture_of_another_size_gives_its_channels_means(tmp_path: Path) -> None:
    mean = np.random.default_rng(0).random((3, 5, 4)).astype("float32")
    np.save(tmp_path / "mean.npy", mean)
    found = mean_of(str(tmp_path / "mean.npy"), (3, 2, 2))
    np.testing.assert_allclose(found, mean.mean((1, 2), keepdims=True), rtol=1e-6)


def test_means_with_spaces() -> None:
    np.testing.assert_array_equal(mean_of("104, 117, 123", (3, 2, 2)).ravel(), [104, 117, 123])


def test_a_labelmap_of_large_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.prototxt").write_text('item { name: "x" label: 30000000 }')
    with pytest.raises(CaffeError, match="a label is too large; expected at most 1000000; received 30000000"):
        read_labels(str(tmp_path / "map.prototxt"))


def test_bad_means(tmp_path: Path) -> None:
    np.save(tmp_path / "grey.npy", np.zeros((1, 2, 2)))
    (tmp_path / "text.npy").write_text("text")
    np.save(tmp_path / "words.npy", np.array(["a", "b", "c"]))
    np.save(tmp_path / "complex.npy", np.zeros(3, "complex64"))
    for mean, reason in (
        ("1,2", r"does not fit.* received \(2,\)"),
        (str(tmp_path / "grey.npy"), r"does not fit.* received \(1, 2, 2\)"),
        (str(tmp_path / "text.npy"), "not a NumPy array"),
        (str(tmp_path / "none"), "no such file"),
        ("1.2.3", "no such file"),
        (str(tmp_path / "words.npy"), "not an array of real numbers; received <U1"),
        (str(tmp_path / "complex.npy"), "not an array of real numbers; received complex64"),
    ):
        with pytest.raises(CaffeError, match=reason):
            mean_of(mean, (3, 2, 2))


@pytest.mark.parametrize("file", ["image.png", "image.jpg", "image.bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_those_of_the_data_layers_and_of_pycaffe(file: str, channels: int, tmp_path: Path) -> None:
    """The whole numbers of Caffe's decoder and cv::resize; pycaffe weighs the colours of grey nets in another way."""
    pixels = np.random.default_rng(0).integers(0, 256, (37, 31, 3), "uint8")
    path = str(tmp_path / file)
    Image.fromarray(pixels).save(path)
    found = resized(read_image(path, channels), (20, 24))
    np.testing.assert_array_equal(found, resize(decode(Path(path).read_bytes(), channels), 20, 24))
    expected = pycaffe.io.load_image(path, color=channels == 3)[:, :, ::-1]
    np.testing.assert_array_equal(from_0_to_1(path, channels), expected)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
def test_pictures_of_16_bits_are_those_of_a_data_layer(shape: tuple[int, ...], tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 1 << 16, shape).astype("uint16")
    content = tf.io.encode_png(wide.reshape(3, 4, -1)).numpy()
    (tmp_path / "image.png").write_bytes(content)
    np.testing.assert_array_equal(read_image(str(tmp_path / "image.png"), 3), decode(content, 3))


def test_transform_resizes_as_ssds_resize_param_says(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "d" type: "AnnotatedData" top: "data" transform_param { crop_size: 2 resize_param {'
        " resize_mode: WARP height: 3 width: 5 interp_mode: LINEAR } } }"
    )
    assert of_data_layer(str(tmp_path / "net.prototxt"), (3, 2, 2), None).resize == (3, 5)
    other = (tmp_path / "net.prototxt").read_text().replace("WARP", "FIT_SMALL_SIZE")
    (tmp_path / "net.prototxt").write_text(other)
    with pytest.raises(CaffeError, match="resize_param is not supported"):
        of_data_layer(str(tmp_path / "net.prototxt"), (3, 2, 2), None)


def test_transparent_and_turned_pictures(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(PIXELS).convert("RGBA").save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(read_image(str(tmp_path / "image.png"), 3), PIXELS[::-1, ::-1, ::-1])


def test_resizing_is_bilinear_between_pixel_centres() -> None:
    ramp = np.tile(np.array([0, 80, 160, 240], "uint8")[None, :, None], (1, 1, 3))
    np.testing.assert_array_equal(resized(ramp, (2, 2))[:, :, 0], [[40, 200]] * 2)
    np.testing.assert_array_equal(resized(ramp, (1, 8))[0, :, 1], [0, 20, 60, 100, 140, 180, 220, 240])
    far = np.zeros((9, 9, 1), "uint8")
    far[0] = 255
    np.testing.assert_array_equal(resized(far, (3, 3)), 0)  # what lies between the samples has no part


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no such file"), (b"", "the picture cannot be read"), (b"\x89PNG\r\n\x1a\nxx", "cannot be read")],
)
def test_bad_pictures(content: bytes | None, said: str, tmp_path: Path, capsys) -> None:
    image = tmp_path / "image.png"
    if content is not None:
        image.write_bytes(content)
    assert main(["predict", NET, WEIGHTS, str(image)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {image}: ")
    assert said in error
    assert error.count("\n") == 1


def test_without_pillow_the_error_says_what_to_install(digits: list[str], monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert main(["predict", NET, WEIGHTS, digits[0]]) == 1
    assert "pip install 'keras-caffe[images]'" in capsys.readouterr().err


def test_no_keras_model(digits: list[str], tmp_path: Path, capsys) -> None:
    (tmp_path / "bad.keras").write_bytes(b"nothing")
    for name, said in (("bad.keras", "this is not a Keras model"), ("missing.keras", "there is no such file")):
        assert main(["predict", str(tmp_path / name), digits[0]]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ('layer { name: "s" type: "Split" bottom: "data" top: "x" top: "y" }', "Name one with --output: x, y."),
        ('layer { name: "r" type: "Reduction" bottom: "data" top: "x" }', "no row for each picture"),
    ],
)
def test_nets_that_say_nothing_of_pictures(layers: str, said: str, digits: list[str], tmp_path: Path, capsys) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text("\n".join([*ECHO.splitlines()[:2], layers]))
    assert main(["predict", str(net), WEIGHTS, digits[0]]) == 1
    assert said in capsys.readouterr().err


def test_an_unknown_blob(digits: list[str], capsys) -> None:
    assert main(["predict", NET, WEIGHTS, digits[0], "--output", "pool9"]) == 1
    assert "the net has no blob 'pool9'" in capsys.readouterr().err


# Finds one box in the middle of a picture, with a score that is its brightness.
DETECTOR = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "prior" type: "PriorBox" bottom: "pool" bottom: "data" top: "prior" prior_box_param { min_size: 2
  variance: 0.1 } }
layer { name: "loc" type: "InnerProduct" bottom: "pool" top: "loc" inner_product_param { num_output: 4 } }
layer { name: "conf" type: "InnerProduct" bottom: "pool" top: "conf" inner_product_param { num_output: 4
  weight_filler { type: "constant" value: 0.001 } } }
layer { name: "out" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "out"
  detection_output_param { num_classes: 4 confidence_threshold: 0.3 nms_param { nms_threshold: 0.5 } } }
"""


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_what_a_detector_found_is_listed(tmp_path: Path, capsys, data_format: str) -> None:
    (tmp_path / "net.prototxt").write_text(DETECTOR)
    keras_caffe.load(tmp_path / "net.prototxt", data_format=data_format).save(tmp_path / "net.keras")
    images = {"dark": 10, "bright": 200, "white": 255}
    for name, value in images.items():
        Image.new("RGB", (40, 20), (value,) * 3).save(tmp_path / f"{name}.png")
    (tmp_path / "labelmap.prototxt").write_text(
        'item { name: "none" label: 0 display_name: "background" }\nitem { name: "n3" label: 3 display_name: "cat" }'
    )
    files = [str(tmp_path / f"{name}.png") for name in images]
    options = ["--labels", str(tmp_path / "labelmap.prototxt"), "--top", "3"]
    assert main(["predict", str(tmp_path / "net.keras"), *files, *options]) == 0
    said = capsys.readouterr().out.splitlines()
    box = "left 10, top 5, right 30, bottom 15"
    assert said == [
        *[files[0], "  nothing found"],
        *[files[1], *(f"  0.6000  {label}  {box}" for label in ("1", "2", "3 cat"))],
        *[files[2], *(f"  0.7650  {label}  {box}" for label in ("1", "2", "3 cat"))],
    ]


@pytest.mark.parametrize("recipe", ["resize", "transform"])
def test_boxes_of_the_crop_are_those_of_the_picture(recipe: str, tmp_path: Path, capsys) -> None:
    """The net sees the middle half of 40 x 20 pixels, from (10, 5) to (30, 15); its box is the middle half of that."""
    (tmp_path / "net.prototxt").write_text(DETECTOR)
    keras_caffe.load(tmp_path / "net.prototxt").save(tmp_path / "net.keras")
    (tmp_path / "data.prototxt").write_text(
        'layer { name: "d" type: "ImageData" top: "data" transform_param { crop_size: 4 }'
        " image_data_param { new_height: 8 new_width: 8 } }"
    )
    Image.new("RGB", (40, 20), (255,) * 3).save(tmp_path / "white.png")
    options = {
        "resize": ["--resize", "8", "--raw-scale", "255"],
        "transform": ["--transform", str(tmp_path / "data.prototxt")],
    }
    command = ["predict", str(tmp_path / "net.keras"), str(tmp_path / "white.png"), "--top", "1", "--json"]
    assert main([*command, *options[recipe]]) == 0
    ((box,),) = [found["predictions"] for found in json.loads(capsys.readouterr().out)]
    assert [box[side] for side in ("left", "top", "right", "bottom")] == [15, 8, 25, 12]  # 7.5 and 12.5 to even


@pytest.mark.parametrize("blob", ["file", "a/b", "images"])
def test_blobs_of_any_name_are_written(blob: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "net.prototxt").write_text(ECHO.replace('top: "out"', f'top: "{blob}"'))
    keras_caffe.load(tmp_path / "net.prototxt").save(tmp_path / "net.keras")
    Image.fromarray(PIXELS).save(tmp_path / "image.png")
    out = tmp_path / "out.npz"
    done = main(["predict", str(tmp_path / "net.keras"), str(tmp_path / "image.png"), "-o", str(out)])
    if blob == "images":  # which has the pictures' names
        assert done == 1
        assert "blob 'images' cannot be written beside it" in capsys.readouterr().err
        return
    with np.load(out) as arrays:
        assert sorted(arrays) == sorted(["images", blob])
        np.testing.assert_array_equal(arrays[blob][0], PIXELS[:, :, ::-1].transpose(2, 0, 1))


def test_pictures_prepared_as_pycaffe_does(digits: list[str], tmp_path: Path, capsys) -> None:
    """--resize, --raw-scale and --oversample give the scores of pycaffe's Classifier."""
    options = ["--mean", "20", "--scale", "0.01", "--raw-scale", "200"]
    for crops, oversample in (([], False), (["--oversample"], True)):
        command = ["predict", NET, WEIGHTS, *digits[:3], "--resize", "40,36", "--json", "--top", "10", *options, *crops]
        assert main(command) == 0
        found = json.loads(capsys.readouterr().out)
        net = pycaffe.Classifier(
            NET, WEIGHTS, image_dims=[40, 36], mean=np.float32([20]), input_scale=0.01, raw_scale=200
        )
        scores = net.predict([pycaffe.io.load_image(file, color=False) for file in digits[:3]], oversample)
        for picture, expected in zip(found, scores, strict=True):
            values = {entry["index"]: entry["score"] for entry in picture["predictions"]}
            np.testing.assert_allclose([values[n] for n in range(10)], expected, rtol=1e-5, atol=1e-7)


def test_a_mean_picture_is_resized_as_pycaffe_does(digits: list[str], tmp_path: Path) -> None:
    mean = np.random.default_rng(0).integers(0, 99, (1, 40, 36)).astype("float32")
    np.save(tmp_path / "mean.npy", mean)
    out = tmp_path / "out.npz"
    command = ["predict", NET, WEIGHTS, digits[0], "--resize", "40,36", "--mean", str(tmp_path / "mean.npy")]
    assert main([*command, "--output", "data", "-o", str(out)]) == 0
    transformer = pycaffe.io.Transformer({"data": (1, 1, 28, 28)})
    transformer.set_mean("data", mean)
    picture = pycaffe.io.resize_image(pycaffe.io.load_image(digits[0], color=False), (40, 36))[6:34, 4:32] * 255
    with np.load(out) as arrays:
        np.testing.assert_allclose(arrays["data"][0], picture.transpose(2, 0, 1) - transformer.mean["data"], atol=1e-4)


def test_pictures_prepared_as_a_data_layer_does(tmp_path: Path, capsys) -> None:
    mean = np.random.default_rng(0).integers(0, 9, (3, 4, 6)).astype("float32")
    blob = proto.BlobProto(num=1, channels=3, height=4, width=6, data=mean.ravel())
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    (tmp_path / "train_val.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "data" include { phase: TRAIN } transform_param { scale: 9 } }'
        'layer { name: "d" type: "Data" top: "data" include { phase: TEST } transform_param { scale: 0.5 crop_size: 2 '
        f'mean_file: "{tmp_path}/mean.binaryproto" }} }}'
    )
    (tmp_path / "net.prototxt").write_text(ECHO)
    keras_caffe.load(tmp_path / "net.prototxt").save(tmp_path / "net.keras")
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "image.png")
    features = tmp_path / "features.npz"
    command = ["predict", str(tmp_path / "net.keras"), str(tmp_path / "image.png"), "-o", str(features)]
    assert main([*command, "--transform", str(tmp_path / "train_val.prototxt")]) == 0
    expected = (pixels[:, :, ::-1].transpose(2, 0, 1) - mean)[None, :, 1:3, 2:4] * np.float32(0.5)
    with np.load(features) as arrays:
        np.testing.assert_array_equal(arrays["out"], expected)
        assert arrays["images"].tolist() == [str(tmp_path / "image.png")]
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--transform", str(tmp_path / "train_val.prototxt"), "--scale", "2"])
    assert "--transform already says" in capsys.readouterr().err


def test_folders_patterns_and_rows(digits: list[str], capsys) -> None:
    folder = str(Path(digits[0]).parent)
    for names in ([folder], [f"{folder}/*.png"], sorted(digits)):
        assert main(["predict", NET, WEIGHTS, *names, "--csv", "--top", "2", *SCALED]) == 0
        rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
        assert [row["image"] for row in rows[::2]] == sorted(digits)
        assert [row["rank"] for row in rows[:2]] == ["1", "2"]
        assert sum(row["index"] == Path(row["image"]).name[0] for row in rows[::2]) >= 18


def test_two_means_in_a_data_layer_are_refused(digits: list[str], tmp_path: Path, capsys) -> None:
    layer = 'layer { name: "d" type: "Data" top: "data" transform_param { mean_value: 1 mean_file: "m" } }'
    (tmp_path / "net.prototxt").write_text(layer)
    assert main(["predict", NET, WEIGHTS, digits[0], "--transform", str(tmp_path / "net.prototxt")]) == 1
    assert "layer 'd': mean_file and mean_value contradict each other; expected one of them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--crop", "20"], "the crop is not the size of the net's input; expected (28, 28); received (20, 20)"),
        (["--resize", "20"], "pictures become smaller than the net's input"),
        (["--transform", NET], "no layer of phase TEST has a transform_param"),
    ],
)
def test_recipes_that_do_not_fit(options: list[str], said: str, digits: list[str], capsys) -> None:
    assert main(["predict", NET, WEIGHTS, digits[0], *options]) == 1
    assert said in capsys.readouterr().err


def test_a_folder_without_pictures(tmp_path: Path, capsys) -> None:
    assert main(["predict", NET, WEIGHTS, str(tmp_path)]) == 1
    assert "there are no pictures in this folder" in capsys.readouterr().err
