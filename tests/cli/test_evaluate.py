"""`keras-caffe evaluate`: the same digits in every form in which people have them, and what a precision costs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
NET, WEIGHTS = str(samples.path("lenet.prototxt")), str(samples.path("lenet.caffemodel"))
TRAINED = str(samples.path("lenet_train_test.prototxt"))
SCALE = "0.00390625"


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 1, 28, 28) and labels of the sample database."""
    (batch, *_) = keras_caffe.dataset(TRAINED, "TEST", epochs=1, data_format="channels_first")
    return np.rint(batch["data"].numpy() * 256).astype("uint8"), batch["label"].numpy().astype("int64")


@pytest.fixture(scope="module")
def accuracy(digits: Any) -> float:
    model = keras_caffe.load(NET, WEIGHTS, data_format="channels_first")
    return float((model.predict_on_batch(digits[0].astype("float32") / 256).argmax(1) == digits[1]).mean())


def evaluated(capsys: Any, *arguments: str) -> list[dict[str, Any]]:
    assert main(["evaluate", *arguments, "--json", "--no-cache"]) == 0
    return json.loads(capsys.readouterr().out)["precisions"]


def test_the_price_of_each_precision(digits: Any, accuracy: float, tmp_path: Path, capsys: Any) -> None:
    np.savez(tmp_path / "digits.npz", images=digits[0], labels=digits[1])
    data = ("--data", str(tmp_path / "digits.npz"), "--scale", SCALE)
    exact, half, bytes_ = evaluated(capsys, NET, WEIGHTS, *data)
    assert [row["precision"] for row in (exact, half, bytes_)] == ["float32", "bfloat16", "int8"]
    assert exact["accuracy"] == accuracy and exact["images"] == len(digits[0])
    assert 0 <= exact["mean_error"] <= exact["largest_error"] < 1e-4 < bytes_["largest_error"] < 0.5
    assert half["largest_error"] < 0.05
    assert abs(half["accuracy"] - accuracy) <= 0.01 and abs(bytes_["accuracy"] - accuracy) <= 0.02
    assert all(row["milliseconds"] > 0 for row in (exact, half, bytes_))


def test_all_forms_of_data_say_the_same(digits: Any, tmp_path: Path, capsys: Any) -> None:
    from PIL import Image

    images, labels = digits[0][:20], digits[1][:20]
    names = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        names.append(tmp_path / "classes" / f"{label}" / f"{number:02}.png")
        names[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(names[-1])
    for label in range(10):
        (tmp_path / "classes" / f"{label}").mkdir(exist_ok=True)
    (tmp_path / "classes" / ".cache").mkdir()  # no class
    (tmp_path / "classes" / "0" / ".DS_Store").write_bytes(b"no picture")
    listed = [f"{name.relative_to(tmp_path)} {label}\n" for name, label in zip(names, labels, strict=True)]
    (tmp_path / "list.txt").write_text("".join(listed))
    np.savez(tmp_path / "last.npz", images=images.transpose(0, 2, 3, 1), labels=labels[:, None])
    np.savez(tmp_path / "grey.npz", data=images[:, 0], label=labels)
    rest = (NET, WEIGHTS, "--scale", SCALE, "--precision", "float32", "--engine", "onnxruntime")
    files = ("last.npz", "grey.npz", "classes", "list.txt")
    found = [evaluated(capsys, *rest, "--data", str(tmp_path / name)) for name in files]
    assert len({row["accuracy"] for (row,) in found}) == 1
    assert all(row["images"] == 20 for (row,) in found)


def test_databases_and_data_layers(digits: Any, accuracy: float, capsys: Any) -> None:
    rest = ("--precision", "float32", "--engine", "onnxruntime")
    database = str(samples.path("lenet.prototxt").parent / "db" / "mnist_test_lmdb")
    (of_database,) = evaluated(capsys, NET, WEIGHTS, *rest, "--data", database, "--scale", SCALE)
    (of_layer,) = evaluated(capsys, NET, WEIGHTS, *rest, "--data", TRAINED)
    shape = ("--input-shape", "data=100,1,28,28")
    (of_itself,) = evaluated(capsys, TRAINED, WEIGHTS, *rest, "--data", TRAINED, *shape)
    assert of_database["accuracy"] == of_layer["accuracy"] == of_itself["accuracy"]
    assert of_layer["images"] >= len(digits[0])


def test_a_table_for_people(digits: Any, tmp_path: Path, capsys: Any) -> None:
    np.savez(tmp_path / "digits.npz", images=digits[0][:5], labels=digits[1][:5])
    data = ("--data", str(tmp_path / "digits.npz"), "--scale", SCALE, "--engine", "onnxruntime", "--threads", "1")
    assert main(["evaluate", NET, WEIGHTS, *data, "--precision", "float32", "bfloat16"]) == 0
    said = capsys.readouterr().out
    assert "accuracy" in said and "1.0000" in said and "5 images" in said
    assert "bfloat16: ONNX Runtime does not compute bfloat16" in said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.npz", "there is no such file"),
        ("other.npz", "images and labels, or data and label; received x"),
        ("small.npz", "(1, 28, 28)"),
        ("short.npz", "a label for each image"),
        ("wild.npz", "0 to 9"),
        ("names.npz", "numbers"),
        ("empty", "one for each class"),
        ("list.txt", "list.txt:1: this is not an image and its label"),
    ],
)
def test_bad_data(name: str, says: str, tmp_path: Path, capsys: Any) -> None:
    images = np.zeros((3, 1, 28, 28), "uint8")
    np.savez(tmp_path / "other.npz", x=images)
    np.savez(tmp_path / "small.npz", images=images[..., :9], labels=np.zeros(3))
    np.savez(tmp_path / "short.npz", images=images, labels=np.zeros(2))
    np.savez(tmp_path / "wild.npz", images=images, labels=np.array([0, 1, 10]))
    np.savez(tmp_path / "names.npz", images=images, labels=["cat", "dog", "cat"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("b.png\n")
    rest = ("--precision", "float32", "--engine", "onnxruntime")
    assert main(["evaluate", NET, WEIGHTS, "--data", str(tmp_path / name), *rest]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error:") and says in said


def test_precisions_may_be_named_one_by_one(digits: Any, tmp_path: Path, capsys: Any) -> None:
    np.savez(tmp_path / "digits.npz", images=digits[0][:4], labels=digits[1][:4])
    one_by_one = ("--precision", "int8", "--precision", "float32", "--precision", "int8")
    rows = evaluated(capsys, NET, WEIGHTS, "--data", str(tmp_path / "digits.npz"), "--scale", SCALE, *one_by_one)
    assert [row["precision"] for row in rows] == ["int8", "float32"]


def test_names_of_a_list_start_at_the_root_folder(digits: Any, tmp_path: Path, capsys: Any) -> None:
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    Image.fromarray(digits[0][0, 0]).save(tmp_path / "pictures" / "0.png")
    (tmp_path / "list.txt").write_text("0.png 7\n")
    rest = (NET, WEIGHTS, "--data", str(tmp_path / "list.txt"), "--scale", SCALE, "--precision", "float32")
    assert main(["evaluate", *rest]) == 1
    assert re.search(r"list\.txt:1: there is no image '0\.png'.*--root-dir", capsys.readouterr().err)
    (row,) = evaluated(capsys, *rest, "--root-dir", str(tmp_path / "pictures"))
    assert row["images"] == 1
