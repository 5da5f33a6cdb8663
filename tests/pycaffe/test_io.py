"""pycaffe.io: images, preprocessing, arrays in messages."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import CaffeError, DataError, NetError, ReadError, ShapeError


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, "float32")


def write(path: Path, pixels: np.ndarray) -> str:
    path.write_bytes(tf.io.encode_png(pixels).numpy())
    return str(path)


def test_load_image_is_red_green_blue_from_0_to_1(tmp_path: Path) -> None:
    pixels = (random(4, 5, 3) * 255).astype(np.uint8)
    file = write(tmp_path / "a.png", pixels)
    image = caffe.io.load_image(file)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, pixels / 255, rtol=1e-6)
    with Path(file).open("rb") as stream:
        np.testing.assert_array_equal(caffe.io.load_image(stream), image)
    np.testing.assert_array_equal(caffe.io.load_image(BytesIO(Path(file).read_bytes())), image)
    grey = caffe.io.load_image(file, color=False)
    assert grey.shape == (4, 5, 1)
    np.testing.assert_allclose(grey[..., 0], pixels @ [0.2125, 0.7154, 0.0721] / 255, rtol=1e-5)


def test_load_image_of_grey_and_of_transparent_files(tmp_path: Path) -> None:
    grey = (random(4, 5, 1) * 255).astype(np.uint8)
    image = caffe.io.load_image(write(tmp_path / "g.png", grey))
    np.testing.assert_allclose(image, np.repeat(grey, 3, 2) / 255, rtol=1e-6)
    colour = (random(4, 5, 4) * 255).astype(np.uint8)
    np.testing.assert_allclose(caffe.io.load_image(write(tmp_path / "c.png", colour)), colour[..., :3] / 255, rtol=1e-6)
    with pytest.raises(ReadError, match="there is no such file"):
        caffe.io.load_image(str(tmp_path / "none.png"))
    (tmp_path / "no.png").write_bytes(b"no image")
    with pytest.raises(CaffeError, match="image cannot be decoded"):
        caffe.io.load_image(tmp_path / "no.png")


def test_resize_by_whole_factors() -> None:
    image = random(4, 6, 3)
    half = caffe.io.resize_image(image, (2, 3))
    np.testing.assert_allclose(half, image.reshape(2, 2, 3, 2, 3).mean((1, 3)), rtol=1e-5)
    np.testing.assert_allclose(caffe.io.resize_image(image, (4, 6)), image, rtol=1e-6)


def test_resize_blends_the_border_with_the_smallest_value() -> None:
    image = np.array([[1.0, 2.0, 3.0]])[..., np.newaxis]
    wide = caffe.io.resize_image(image, (1, 6))[0, :, 0]
    np.testing.assert_allclose(wide, [1, 1.25, 1.75, 2.25, 2.75, 2.5], rtol=1e-6)


def test_resize_of_other_channel_numbers_keeps_the_corners() -> None:
    image = random(3, 5, 2)
    large = caffe.io.resize_image(image, (5, 9))
    np.testing.assert_allclose(large[::2, ::2], image, rtol=1e-6)
    np.testing.assert_allclose(large[0, 1], (image[0, 0] + image[0, 1]) / 2, rtol=1e-6)


def test_resize_of_a_constant_and_by_nearest_pixels() -> None:
    assert (caffe.io.resize_image(np.full((3, 3, 3), 7.0), (8, 2)) == 7).all()
    nearest = caffe.io.resize_image(random(2, 2, 3), (4, 4), interp_order=0)
    np.testing.assert_array_equal(nearest, np.repeat(np.repeat(random(2, 2, 3), 2, 0), 2, 1))
    with pytest.raises(ShapeError, match=r"images \(H, W, C\)"):
        caffe.io.resize_image(random(2, 2), (4, 4))


def test_oversample_takes_corners_centre_and_mirrors() -> None:
    images = random(2, 7, 9, 3)
    crops = caffe.io.oversample(images, (4, 5))
    assert crops.shape == (20, 4, 5, 3)
    expected = [images[1, y : y + 4, x : x + 5] for y, x in [(0, 0), (0, 4), (3, 0), (3, 4), (1, 2)]]
    np.testing.assert_array_equal(crops[10:15], expected)
    np.testing.assert_array_equal(crops[15:], np.stack(expected)[:, :, ::-1])


@pytest.mark.parametrize("mean", [np.array([1.0, 2, 3]), np.arange(36.0).reshape(3, 3, 4)], ids=["colour", "image"])
def test_a_clip_is_prepared_image_by_image(mean: np.ndarray) -> None:
    clip = np.random.default_rng(0).random((8, 9, 3, 2), np.float32)
    whole = caffe.io.Transformer({"data": (1, 3, 2, 5, 4)})
    single = caffe.io.Transformer({"data": (1, 3, 5, 4)})
    for transformer, order in ((whole, (2, 3, 0, 1)), (single, (2, 0, 1))):
        transformer.set_transpose("data", order)
        transformer.set_mean("data", mean)
        transformer.set_raw_scale("data", 255)
        transformer.set_channel_swap("data", (2, 1, 0))
    images = [single.preprocess("data", clip[..., number]) for number in range(2)]
    np.testing.assert_array_equal(whole.preprocess("data", clip), np.stack(images, axis=1))


def test_optical_flow_turns_round_in_mirror_images() -> None:
    flow = np.random.default_rng(0).random((5, 6, 3), np.float32)
    mirrored = caffe.io.flip_image(flow, 1, True)
    np.testing.assert_array_equal(mirrored[:, :, 0], 1 - flow[:, ::-1, 0])
    np.testing.assert_array_equal(mirrored[:, :, 1:], flow[:, ::-1, 1:])
    np.testing.assert_array_equal(caffe.io.flip_image(flow), flow[:, ::-1])
    np.testing.assert_array_equal(caffe.io.oversample([flow], (5, 6), flow=True)[[4, 9]], [flow, mirrored])
    transformer = caffe.io.Transformer({"data": (1, 3, 5, 6)})
    transformer.set_is_flow("data", True)
    np.testing.assert_array_equal(transformer.preprocess("data", flow), flow)


def transformer() -> caffe.io.Transformer:
    made = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    made.set_transpose("data", (2, 0, 1))
    made.set_channel_swap("data", (2, 1, 0))
    made.set_raw_scale("data", 255)
    made.set_mean("data", np.array([104, 117, 123]))
    made.set_input_scale("data", 0.5)
    return made


def test_preprocess_in_caffes_order_and_back() -> None:
    image = random(4, 5, 3)
    before = image.copy()
    prepared = transformer().preprocess("data", image)
    swapped = image.transpose(2, 0, 1)[::-1]
    expected = (swapped * 255 - np.array([104, 117, 123])[:, None, None]) * 0.5
    np.testing.assert_allclose(prepared, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose(transformer().deprocess("data", prepared[np.newaxis]), image, atol=1e-6)
    assert transformer().preprocess("data", random(9, 9, 3)).shape == (3, 4, 5)


MEANS = {
    "channels": np.array([104.0, 117.0, 123.0]),
    "whole numbers": np.array([104, 117, 123]),
    "fractions": np.array([104.00698793, 116.66876762, 122.67891434]),
    "image": random(3, 4, 5).astype(np.float64) * 255,
    "single": np.array([104.25, 117.5, 123], np.float32),
}


@pytest.mark.parametrize("mean", MEANS.values(), ids=MEANS)
def test_the_means_type_does_not_show(mean: np.ndarray) -> None:
    made = transformer()
    made.set_mean("data", mean)
    image = random(4, 5, 3)
    prepared = made.preprocess("data", image)
    expected = image.transpose(2, 0, 1)[::-1] * np.float32(255)
    expected -= mean if mean.ndim == 3 else mean[:, None, None]  # NumPy subtracts in float64 and rounds the result
    np.testing.assert_array_equal(prepared, expected * np.float32(0.5))
    back = made.deprocess("data", prepared)
    assert (prepared.dtype, back.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(back, image, atol=1e-6)
    assert made.deprocess("data", prepared.astype(np.float64)).dtype == np.float64


@pytest.mark.parametrize(
    "mean", [(104.0, 117.0, 123.0), (0.5, 127.5, 255.0), (103.939, 116.779, 123.68), (104.00698793, 116.66876762, 1e-9)]
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_round_trip_keeps_to_the_range_of_pixels(mean: tuple[float, ...], kind: type) -> None:
    made = caffe.io.Transformer({"data": (1, 3, 2, 128)})
    made.set_transpose("data", (2, 0, 1))
    made.set_raw_scale("data", 255)
    made.set_mean("data", np.array(mean, kind))
    image = np.repeat(np.arange(256, dtype=np.uint8).reshape(2, 128, 1), 3, 2) / np.float32(255)
    back = made.deprocess("data", made.preprocess("data", image))
    assert (back.min(), back.max()) == (0, 1)
    np.testing.assert_allclose(back, image, atol=1e-7)


def test_pixels_in_whole_numbers_can_be_deprocessed() -> None:
    prepared = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    back = transformer().deprocess("data", prepared)
    assert back.dtype == np.float32
    expected = (prepared / 0.5 + np.array([104, 117, 123])[:, None, None]) / 255
    np.testing.assert_allclose(back, expected[::-1].transpose(1, 2, 0), rtol=1e-6)


def test_a_transformer_follows_the_shapes_that_it_was_given() -> None:
    shapes = {"data": [1, 3, 4, 5]}
    made = caffe.io.Transformer(shapes)
    made.set_transpose("data", (2, 0, 1))
    shapes["data"] = [1, 3, 2, 2]
    assert made.preprocess("data", random(4, 5, 3)).shape == (3, 2, 2)


def test_a_swap_that_is_not_its_own_inverse_is_undone() -> None:
    made = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    made.set_transpose("data", (2, 0, 1))
    made.set_channel_swap("data", (1, 2, 0))
    image = random(4, 5, 3)
    np.testing.assert_array_equal(made.deprocess("data", made.preprocess("data", image)), image)


def test_mean_images_are_resized() -> None:
    made = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    mean = random(3, 4, 5)
    made.set_mean("data", mean)
    np.testing.assert_array_equal(made.mean["data"], mean)
    made.set_mean("data", np.ones((3, 8, 10)))
    np.testing.assert_array_equal(made.mean["data"], np.ones((3, 4, 5), np.float32))
    mean = np.float64(random(3, 8, 10)) * 200 + 20
    halved = mean.reshape(3, 4, 2, 5, 2).mean((2, 4))
    low, spread = mean.min(), mean.max() - mean.min()
    made.set_mean("data", mean)
    rounded = ((halved - low) / spread).astype(np.float32) * np.float32(spread) + np.float32(low)
    np.testing.assert_allclose(made.mean["data"], rounded, rtol=1e-7)
    assert made.mean["data"].dtype == np.float32
    for wrong, reason in (
        (np.ones(2), "another number of channels"),
        (np.ones((1, 3, 4, 5)), "the mean is not an image"),
    ):
        with pytest.raises(ShapeError, match=reason):
            made.set_mean("data", wrong)
    with pytest.raises(NetError, match="'nope'"):
        made.set_mean("nope", mean)
    with pytest.raises(ShapeError, match="another number of axes"):
        made.set_transpose("data", (0, 1))


def test_blobprotos_of_both_generations() -> None:
    blob = caffe.io.array_to_blobproto(random(2, 3), diff=random(2, 3) + 1)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob), random(2, 3))
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), random(2, 3) + 1)
    old = caffe.proto.caffe_pb2.BlobProto(num=1, channels=2, height=1, width=3, data=range(6))
    assert caffe.io.blobproto_to_array(old).shape == (1, 2, 1, 3)
    arrays = [random(2), random(1, 4)]
    back = caffe.io.blobprotovector_str_to_arraylist(caffe.io.arraylist_to_blobprotovector_str(arrays))
    assert all((a == b).all() for a, b in zip(arrays, back, strict=True))


def test_datums_hold_bytes_or_floats() -> None:
    pixels = (random(3, 4, 5) * 255).astype(np.uint8)
    datum = caffe.io.array_to_datum(pixels, 7)
    assert (datum.label, len(datum.data), len(datum.float_data)) == (7, 60, 0)
    back = caffe.io.datum_to_array(datum)
    np.testing.assert_array_equal(back, pixels)
    back += 1  # an array of its own
    np.testing.assert_allclose(caffe.io.datum_to_array(caffe.io.array_to_datum(random(1, 2, 3))), random(1, 2, 3))
    with pytest.raises(ShapeError, match="3 axes"):
        caffe.io.array_to_datum(random(2, 3))


def test_caffe_pb2_has_messages_and_phases() -> None:
    pb = caffe.proto.caffe_pb2
    assert (pb.TRAIN, pb.TEST) == (0, 1)
    assert pb.NetParameter(name="n").name == "n"
    with pytest.raises(AttributeError, match="no message 'Nope'"):
        _ = pb.Nope


def test_images_of_16_bits_and_tiffs(tmp_path: Path) -> None:
    wide = np.arange(0, 65536, 5461, dtype=np.uint16)[:12].reshape(3, 4)
    for name in ("wide.png", "wide.tif"):
        Image.fromarray(wide).save(tmp_path / name)
        image = caffe.io.load_image(tmp_path / name)
        assert image.shape == (3, 4, 3) and image.dtype == np.float32
        np.testing.assert_allclose(image[..., 1], wide / 65535, rtol=1e-6)
        np.testing.assert_array_equal(caffe.io.load_image(tmp_path / name, color=False)[..., 0], image[..., 0])
    colours = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    Image.fromarray(colours).save(tmp_path / "colours.tiff")
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / "colours.tiff"), colours / 255, rtol=1e-6)
    Image.fromarray(colours.astype(np.float32)[..., 0] / 40).save(tmp_path / "floats.tif")
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / "floats.tif")[..., 2], colours[..., 0] / 40, rtol=1e-6)


def test_a_cut_off_tiff_is_an_error(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(tmp_path / "a.tif")
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be decoded"):
        caffe.io.load_image(tmp_path / "a.tif")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_orders_of_resize(channels: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy, which makes the splines, is not installed")
    image = np.random.default_rng(0).uniform(-1, 2, (7, 9, channels)).astype(np.float32)
    for order in range(6):
        ours = caffe.io.resize_image(image, (10, 6), order)
        if channels == 4:
            expected = ndimage.zoom(image.astype(float), (10 / 7, 6 / 9, 1), order=order)
        else:  # as scikit-image does it of an image that begins at 0
            lowest = image.min()
            how = {"mode": "grid-constant", "grid_mode": True}
            expected = ndimage.zoom(image.astype(float) - lowest, (10 / 7, 6 / 9, 1), order=order, **how) + lowest
            expected = expected.clip(image.min(), image.max())
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    with pytest.raises(ShapeError, match="interp_order 0 to 5"):
        caffe.io.resize_image(image, (10, 6), 6)
