"""TensorFlow Lite files, run by their own engine beside the Keras model, and the command that exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.errors import ExportError
from keras_caffe.serving import to_tflite
from keras_caffe.serving.difference import saved_model_difference, tflite_difference
from tests.onnx_cases import needs_onnx

FILES = [str(samples.path(name)) for name in ("lenet.prototxt", "lenet.caffemodel")]
BLOCK = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [2, 3, 9, 9] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 6 kernel_size: 3
  stride: 2 pad: 1 group: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "PReLU" bottom: "conv" top: "conv" }
layer { name: "pool/max" type: "Pooling" bottom: "conv" top: "pool/max" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "pool/max" top: "norm" }
layer { name: "prob" type: "Softmax" bottom: "norm" top: "prob" }
"""

ignore_converter = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


@pytest.fixture(params=["channels_last", "channels_first"])
def block(request: pytest.FixtureRequest) -> keras_caffe.CaffeModel:
    model = keras_caffe.load(BLOCK, data_format=request.param)
    rng = np.random.default_rng(0)
    model.set_caffe_params({"bn": [rng.standard_normal(6), rng.uniform(1, 2, 6), np.ones(1)]})
    return model


@pytest.fixture(scope="module")
def lenet() -> keras_caffe.CaffeModel:
    return keras_caffe.load(*FILES, data_format="channels_last")


def digits(count: int) -> np.ndarray:
    images, _ = samples.digits()
    return (np.asarray(images[:count]) * samples.SCALE).astype("float32").reshape(-1, 28, 28, 1)


@ignore_converter
@pytest.mark.parametrize(("kind", "limit"), [("float32", 1e-5), ("float16", 2e-3)])
def test_tflite(block: Any, kind: str, limit: float, tmp_path: Path) -> None:
    model = keras_caffe.load(BLOCK.replace("dim: [2,", "dim: [1,"), data_format=block.data_format)
    model.set_caffe_params(block.get_caffe_params())
    assert tflite_difference(model, to_tflite(model, tmp_path / "net.tflite", kind=kind)).relative < limit


@ignore_converter
def test_tflite_in_8_bits(lenet: Any, tmp_path: Path) -> None:
    path = to_tflite(lenet, tmp_path / "net.tflite", kind="int8", calibration=[digits(100)])
    assert path.stat().st_size < 500_000  # 431,080 parameters
    assert tflite_difference(lenet, path, inputs={"data": digits(1)}).relative < 0.05


def test_int8_needs_calibration(lenet: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="calibration"):
        to_tflite(lenet, tmp_path / "net.tflite", kind="int8")
    with pytest.raises(ExportError, match="float32 or float16 or int8"):
        to_tflite(lenet, tmp_path / "net.tflite", kind="int4")
    assert not list(tmp_path.iterdir())


@ignore_converter
@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (["--format", "savedmodel"], 1e-5),
        (["--format", "savedmodel", "--no-fold", "--static"], 1e-5),
        pytest.param(["--format", "onnx"], 1e-5, marks=needs_onnx),
        pytest.param(["--format", "onnx", "--no-fold", "--dynamic"], 1e-5, marks=needs_onnx),
        (["--format", "tflite"], 1e-5),
        (["--format", "tflite", "--kind", "float16"], 1e-3),
        (["--format", "tflite", "--kind", "int8"], 0.05),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_prints_the_difference(options: list[str], limit: float, tmp_path: Path, capfd: Any) -> None:
    if "int8" in options:
        np.save(tmp_path / "digits.npy", digits(100))
        options = [*options, "--calibration", str(tmp_path / "digits.npy")]
    out = tmp_path / "out"
    assert main(["export", *FILES, "-o", str(out), *options]) == 0
    text = capfd.readouterr().out
    assert f"wrote {out}" in text
    line = next(line for line in text.splitlines() if line.startswith("largest difference from the Keras model: "))
    assert float(line.split("(")[1].split()[0]) < limit


def test_the_command_bakes_pictures_in(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    command = ["export", *FILES, "-o", str(tmp_path / "net"), "--image-bytes", "--scale", str(samples.SCALE)]
    command += [
        "--labels",
        str(tmp_path / "labels.txt"),
        "--top",
        "2",
        "--signature",
        "features=ip1,pool2",
        "--version",
        "5",
    ]
    assert main(command) == 0
    card = json.loads((tmp_path / "net" / "5" / "model_card.json").read_text())
    assert set(card["signatures"]) == {"serving_default", "classify", "features"}
    assert card["signatures"]["classify"]["outputs"]["scores"]["shape"] == [None, 2]


def test_the_command_reports_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net").write_text("mine")
    assert main(["export", *FILES, "-o", str(tmp_path / "net")]) == 1
    assert "error: " in (said := capsys.readouterr().err) and "there is a file" in said


def test_saved_models_are_compared(lenet: Any, tmp_path: Path) -> None:
    path = keras_caffe.export(lenet, tmp_path)
    assert saved_model_difference(lenet, path).relative < 1e-5
