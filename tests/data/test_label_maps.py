"""Images with maps of their labels, as DeepLab, SegNet and HED read them: both go the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import keras_caffe
from keras_caffe import pycaffe as caffe
from keras_caffe.converters.resize import resize
from keras_caffe.data import dataset
from keras_caffe.errors import CaffeError, CaffeWarning, DataError, LayerError
from tests.nets import layer

MEAN = np.float32([104.008, 116.669, 122.675]).reshape(-1, 1, 1)
MEANS = "mean_value: 104.008 mean_value: 116.669 mean_value: 122.675"
SIZES = [(7, 9), (8, 6)]


@pytest.fixture
def pictures(tmp_path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two files with maps of their labels and a list of them; (C, H, W) blue-green-red and (H, W)."""
    random, found = np.random.default_rng(4), []
    for number, size in enumerate(SIZES):
        image, labels = random.integers(0, 256, (*size, 3), "uint8"), random.integers(0, 21, size, "uint8")
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        Image.fromarray(labels).save(tmp_path / f"map{number}.png")
        found.append((image[..., ::-1].transpose(2, 0, 1), labels))
    (tmp_path / "list").write_text("0.png map0.png\n\n1.png map1.png\n")
    return found


def net(folder: Path, kind: str, fields: str = "", transform: str = "", tops: str = "data label") -> str:
    message = "dense_image_data_param" if kind == "DenseImageData" else "image_data_param"
    more = f'{message} {{ source: "{folder}/list" root_folder: "{folder}/" {fields} }}'
    return layer("d", kind, tops=tops, more=f"transform_param {{ {transform} }} {more}")


def read(text: str, count: int = 1, phase: str = "TEST", **kwargs: Any) -> list[dict[str, np.ndarray]]:
    data = dataset(text, phase, seed=3, data_format="channels_first", **kwargs)
    return list(data.take(count).as_numpy_iterator())


def test_deeplab_pads_at_the_ends_to_the_crop(tmp_path: Path, pictures: list) -> None:
    fields = "batch_size: 2 label_type: PIXEL ignore_label: 250"
    (batch,) = read(net(tmp_path, "ImageSegData", fields, f"crop_size: 8 scale: 0.5 {MEANS}", "data label dim"))
    for (image, labels), data, label, dim in zip(pictures, *(batch[top] for top in batch), strict=True):
        high, wide = (min(size, 8) for size in labels.shape)
        left = max(labels.shape[1] - 8, 0) // 2
        wanted, wanted_label = np.zeros((3, 8, 8), "float32"), np.full((1, 8, 8), 250, "float32")
        wanted[:, :high, :wide] = (image[:, :, left : left + wide] - MEAN) * np.float32(0.5)
        wanted_label[0, :high, :wide] = labels[:, left : left + wide]
        np.testing.assert_array_equal(data, wanted)
        np.testing.assert_array_equal(label, wanted_label)
        np.testing.assert_array_equal(dim, [[[high, wide]]])


@pytest.mark.parametrize(
    ("kind", "fields", "transform"),
    [
        ("ImageSegData", "label_type: PIXEL", "crop_size: 4 mirror: true"),
        ("ImageSegData", "label_type: PIXEL", "crop_height: 4 crop_width: 5 mirror: true scale_factors: 1"),
        ("DenseImageData", "crop_height: 4 crop_width: 5 mirror: true", ""),
    ],
)
def test_image_and_map_are_cropped_and_mirrored_together(
    tmp_path: Path, pictures: list, kind: str, fields: str, transform: str
) -> None:
    for number, (image, _) in enumerate(pictures):  # a map that is its image's blue, so that both can be compared
        Image.fromarray(image[0]).save(tmp_path / f"map{number}.png")
    batches = read(net(tmp_path, kind, f"batch_size: 2 {fields}", transform), 6, "TRAIN")
    for batch in batches:
        np.testing.assert_array_equal(batch["data"][:, :1], batch["label"])
    windows = {window.tobytes() for batch in batches for window in batch["data"]}
    assert len(windows) > 6


def test_deeplab_scales_by_a_factor_that_is_drawn(tmp_path: Path, pictures: list) -> None:
    text = net(tmp_path, "ImageSegData", "label_type: PIXEL", "scale_factors: 0.5 scale_factors: 1.5")
    wanted = {tuple(int(side * factor) for side in size) for size in SIZES for factor in (0.5, 1.5)}
    batches = read(text, 16)
    assert {batch["data"].shape[2:] for batch in batches} == wanted == {b["label"].shape[2:] for b in batches}
    image, labels = pictures[0]
    small = next(batch for batch in batches if batch["data"].shape[2:] == (3, 4))
    np.testing.assert_array_equal(small["data"][0].transpose(1, 2, 0), resize(image.transpose(1, 2, 0), 3, 4))
    rows, columns = (np.arange(3) * 7 // 3)[:, None], np.arange(4) * 9 // 4
    np.testing.assert_array_equal(small["label"][0, 0], labels[rows, columns])


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    ("fields", "label"),
    [("label_type: NONE ignore_label: 300", 255), ("has_label: false", 255), ("", 7), ("label_type: IMAGE", 7)],
)
def test_deeplab_labels_without_a_map(tmp_path: Path, fields: str, label: int) -> None:
    (tmp_path / "list").write_text("0.png 7\n")
    (batch,) = read(net(tmp_path, "ImageSegData", fields))
    np.testing.assert_array_equal(batch["label"], np.full((1, 1, *SIZES[0]), label, "float32"))
    assert read(net(tmp_path, "ImageSegData", fields, tops="data"))[0]["data"].shape == (1, 3, *SIZES[0])


@pytest.mark.usefixtures("pictures")
def test_deeplab_warns_of_a_map_that_is_not_read(tmp_path: Path) -> None:
    with pytest.warns(CaffeWarning, match="label_type is IMAGE, so 'map0.png' makes the label of each pixel 0"):
        (batch,) = read(net(tmp_path, "ImageSegData"))
    assert not batch["label"].any()


def test_segnet_resizes_maps_by_the_nearest_pixel(tmp_path: Path, pictures: list) -> None:
    fields = "batch_size: 2 new_height: 5 new_width: 4"
    (batch,) = read(net(tmp_path, "DenseImageData", fields, f"scale: 2 {MEANS}"))
    for (image, labels), data, label in zip(pictures, batch["data"], batch["label"], strict=True):
        wanted = (resize(image.transpose(1, 2, 0), 5, 4).transpose(2, 0, 1) - MEAN) * np.float32(2)
        np.testing.assert_array_equal(data, wanted)
        rows, columns = (np.arange(5) * labels.shape[0] // 5)[:, None], np.arange(4) * labels.shape[1] // 4
        np.testing.assert_array_equal(label[0], labels[rows, columns])


def test_hed_takes_edges_that_half_of_the_people_draw(tmp_path: Path, pictures: list) -> None:
    drawn = np.resize(np.uint8([0, 1, 51, 127, 128, 255]), SIZES[0])
    Image.fromarray(drawn).save(tmp_path / "map0.png")
    text = net(tmp_path, "ImageLabelmapData", "", MEANS)
    with pytest.warns(CaffeWarning, match="list:1: edges below a half of 255 become 0"):
        (batch,) = read(text)
    np.testing.assert_array_equal(batch["label"][0, 0], drawn >= 128)
    np.testing.assert_array_equal(batch["data"][0], pictures[0][0] - MEAN)


@pytest.mark.filterwarnings("ignore:.*edges below a half")
@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    ("kind", "fields", "transform", "error", "match"),
    [
        ("ImageSegData", "", "mean_file: 'm'", LayerError, "takes no mean_file"),
        ("ImageSegData", "", "crop_size: 3 crop_height: 4 crop_width: 4", LayerError, "crop_size is given with"),
        ("ImageSegData", "", "crop_height: 4", LayerError, "crop_height and crop_width must be set together"),
        ("ImageSegData", "", "scale_factors: 0", LayerError, "scale_factors above 0"),
        ("DenseImageData", "crop_width: 4", "", LayerError, "crop_height and crop_width must be set together"),
        ("DenseImageData", "", "mirror: true", LayerError, "takes no mirror in transform_param"),
        ("DenseImageData", "", "crop_size: 4", LayerError, "crop_height and crop_width, or mirror, in dense_image"),
        ("DenseImageData", "new_width: 4", "", CaffeError, "new_height and new_width must be set together"),
        ("ImageLabelmapData", "batch_size: 2", "", DataError, "the images differ in size"),
        ("ImageLabelmapData", "", "crop_size: 10", DataError, "the image is smaller than the crop"),
    ],
)
def test_refusals(tmp_path: Path, kind: str, fields: str, transform: str, error: type[CaffeError], match: str) -> None:
    fields = fields if "batch_size" in fields else f"batch_size: 1 {fields}"
    with pytest.raises(error, match=match):
        read(net(tmp_path, kind, fields, transform))


def test_maps_that_do_not_fit(tmp_path: Path, pictures: list) -> None:
    (tmp_path / "list").write_text("0.png map1.png\n1.png map1.png\n")
    text = net(tmp_path, "ImageSegData", "label_type: PIXEL")
    with pytest.raises(DataError, match=r"list:1: .*the map of labels has another size; expected \(7, 9\)"):
        read(text)
    data = dataset(text, "TEST", data_format="channels_first", on_error="skip")
    (batch,) = data.take(1).as_numpy_iterator()
    np.testing.assert_array_equal(batch["label"][0, 0], pictures[1][1])
    (tmp_path / "list").write_text("0.png\n")
    with pytest.raises(DataError, match="list:1: .*the line has no label"):
        read(text)


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("kind", ["ImageSegData", "DenseImageData"])
def test_nets_that_read_them(tmp_path: Path, kind: str) -> None:
    fields = "batch_size: 2 new_height: 6 new_width: 5" + ("" if kind == "DenseImageData" else " label_type: PIXEL")
    more = "loss_param { ignore_label: 255 } include { phase: TRAIN }"
    text = net(tmp_path, kind, fields) + layer(
        "c", "Convolution", "data", "c", "convolution_param { num_output: 21 kernel_size: 1 }"
    )
    text += layer("loss", "SoftmaxWithLoss", "c label", "loss", more)
    model = keras_caffe.load(text, phase="TRAIN", data_format="channels_first")
    assert [x.shape for x in model.inputs] == [(None, 3, 6, 5), (None, 1, 6, 5)]
    solver = keras_caffe.load_solver(f"net_param {{ {text} }} base_lr: 1e-5 lr_policy: 'fixed' solver_mode: CPU")
    assert np.isfinite(solver.step(2)).all()
    blobs = caffe.Net(text, caffe.TRAIN)
    blobs.forward()
    np.testing.assert_array_equal(
        blobs.blobs["label"].data, read(net(tmp_path, kind, fields), phase="TRAIN")[0]["label"]
    )
