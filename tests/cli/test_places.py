"""Files that commands need: data that starts elsewhere (`--root-dir`), and a caffemodel without its prototxt."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main

WEIGHTS = str(samples.path("lenet.caffemodel"))
DATA = str(samples.path("lenet.prototxt").parent)  # its data layers name db/mnist_test_lmdb


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """LeNet with data layers whose sources are neither here nor beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    return str(shutil.copy(samples.path("lenet_train_test.prototxt"), "nets/net.prototxt"))


def test_a_command_finds_data_that_start_elsewhere(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--model", net, "--weights", WEIGHTS, "--iterations", "10", "--root-dir", DATA]) == 0
    assert "accuracy = 0.961" in capsys.readouterr().out
    extract = ["extract", net, WEIGHTS, "--blobs", "label", "-o", "labels.npz", "--iterations", "1"]
    assert main([*extract, "--root-dir", DATA]) == 0
    assert (np.load("labels.npz")["label"] == samples.digits()[1][:100]).all()
    assert main(["summary", net, "--root-dir", DATA]) == 0
    assert "100x1x28x28" in capsys.readouterr().out.replace(" ", "")


def test_the_error_about_a_missing_source_names_the_flag(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--model", net, "--weights", WEIGHTS]) == 1
    assert "Pass --root-dir DIR to let names start elsewhere." in capsys.readouterr().err


def test_check_misses_no_file_that_starts_elsewhere(net: str) -> None:
    assert "missing source" in [one.kind for one in keras_caffe.check(net)]
    assert "missing source" not in [one.kind for one in keras_caffe.check(net, base_dir=DATA)]


def test_python_takes_the_folder_too(net: str, tmp_path: Path) -> None:
    model = keras_caffe.load(net, base_dir=DATA, data_format="channels_first")
    assert model.caffe_shapes["data"] == (100, 1, 28, 28)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path / net}" test_iter: 10 test_interval: 10 base_lr: 0.01 lr_policy: "fixed"'
    )
    train = [{"data": np.zeros((64, 28, 28, 1)), "label": np.zeros(64)}]  # the samples lack the LMDB to train on
    solver = keras_caffe.load_solver("solver.prototxt", weights=WEIGHTS, train_data=train, base_dir=DATA)
    assert solver.test()["accuracy"] == pytest.approx(0.961, abs=5e-4)


def test_the_mean_of_a_transform_starts_there_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("means").mkdir()
    mean = keras_caffe.pycaffe.io.array_to_blobproto(np.full((1, 1, 28, 28), 20.0))
    Path("means/mean.binaryproto").write_bytes(mean.SerializeToString())
    Path("t.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "data" transform_param { mean_file: "mean.binaryproto" } }'
    )
    Image.fromarray(np.full((28, 28), 30, "uint8")).save("grey.png")
    net = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 28 dim: 28 } } }'
    net += (
        'layer { name: "sum" type: "Reduction" bottom: "data" top: "sum" reduction_param { axis: 1 operation: MEAN } }'
    )
    keras_caffe.load(net, data_format="channels_first").save("net.keras")
    command = ["predict", "net.keras", "grey.png", "--transform", "t.prototxt", "-o", "out.npz"]
    assert main(command) == 1
    assert main([*command, "--root-dir", "means"]) == 0
    assert np.load("out.npz")["sum"].tolist() == [10.0]


@pytest.mark.parametrize(
    "command",
    [
        ["predict", WEIGHTS, "digit.png"],
        ["predict", WEIGHTS],
        ["export", WEIGHTS, "-o", "net.onnx", "--format", "onnx"],
        ["evaluate", WEIGHTS, "--data", "digits.npz"],
        ["compare", WEIGHTS, "--reference", "blobs.npz"],
        ["extract", WEIGHTS, "--blobs", "ip1", "-o", "features.npz"],
    ],
    ids=lambda command: " ".join(command[:1] + command[2:3]),
)
def test_a_caffemodel_alone_is_told_what_belongs_in_front_of_it(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 1
    said = capsys.readouterr().err
    assert f"error: {WEIGHTS}: this caffemodel was given without a prototxt; expected the prototxt of the net" in said
    assert "A caffemodel holds the net that was trained" in said
    assert ("Pass --input-shape data=N,C,H,W and give the file twice" in said) == (command[0] != "extract")


@pytest.mark.parametrize("command", [["summary"], ["convert", "-o", "net.keras"], ["time"], ["code", "-o", "net.py"]])
def test_a_caffemodel_as_a_net_says_that_it_holds_the_net_that_was_trained(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, WEIGHTS]) == 1
    said = capsys.readouterr().err
    assert "A caffemodel holds the net that was trained: give the prototxt of the net to load" in said
    assert "Pass --input-shape data=N,C,H,W" in said


def test_a_prototxt_without_weights_is_a_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["predict", str(samples.path("lenet.prototxt")), "digit.png"])
    assert "the following arguments are required: WEIGHTS" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["net.onnx", "picture.jpg", "net.tflite"])
def test_another_binary_file_without_weights_is_a_wrong_usage(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(b"\x08\x07\x00\xff" * 8)
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / name), "-o", str(tmp_path / "out")])
    assert end.value.code == 2
    assert "the following arguments are required: WEIGHTS" in capsys.readouterr().err
