"""Engines behind the commands and pycaffe, and OpenVINO's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.runtimes.apart import Apart

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("openvino", reason="the extra openvino is not installed")
FILES = [str(samples.path(name)) for name in ("lenet.prototxt", "lenet.caffemodel")]
COLOURS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 8, 8] } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4
  weight_filler { type: "xavier" } } }
"""
TIES = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 60] } } }
layer { name: "power" type: "Power" bottom: "data" top: "power" power_param { scale: 2 } }
layer { name: "best" type: "ArgMax" bottom: "power" top: "best" argmax_param { top_k: 60 } }
"""
LRN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 6, 9, 8] } } }
layer { name: "lrn" type: "LRN" bottom: "data" top: "lrn" lrn_param { local_size: 3 alpha: 0.5 beta: 0.9 k: 2.5 } }
"""
DIGITS = np.random.default_rng(0).random((3, 28, 28, 1))


@pytest.fixture
def picture(tmp_path: Path) -> str:
    from PIL import Image

    Image.fromarray(np.uint8(255 * DIGITS[0, :, :, 0])).save(tmp_path / "digit.png")
    return str(tmp_path / "digit.png")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "auto"])
def test_predict(name: str, picture: str, capsys: Any) -> None:
    arguments = ["predict", *FILES, picture, "--scale", "0.00390625"]
    assert main(arguments) == 0
    wanted = capsys.readouterr().out
    assert main([*arguments, "--engine", name, "--threads", "1", "--no-cache"]) == 0
    assert capsys.readouterr().out == wanted


def test_time(capsys: Any) -> None:
    assert main(["time", *FILES, "--iterations", "2", "--engine", "onnxruntime"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line[:4] == ["the", "whole", "net", "onnxruntime"]]
    assert float(line[4]) > 0 and line[5] == "-"


def test_extract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(samples.path("lenet.prototxt").parent)
    net = [str(samples.path("lenet_train_test.prototxt")), FILES[1], "--blobs", "ip1", "--iterations", "1"]
    assert main(["extract", *net, "-o", str(tmp_path / "keras.npz")]) == 0
    assert main(["extract", *net, "-o", str(tmp_path / "engine.npz"), "--engine", "openvino"]) == 0
    wanted, found = (np.load(tmp_path / f"{name}.npz")["ip1"] for name in ("keras", "engine"))
    assert found.shape == wanted.shape == (100, 500)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["openvino", "auto"])
def test_classifier_and_detector(name: str, picture: str) -> None:
    from keras_caffe import pycaffe

    files = [str(Path(picture).with_name(name)) for name in ("net.prototxt", "net.caffemodel")]
    keras_caffe.save(keras_caffe.load(COLOURS), *files)
    windows = [(picture, [[0, 0, 8, 8], [8, 8, 16, 16]])]
    detectors = (pycaffe.Detector(*files), pycaffe.Detector(*files, engine=name))
    wanted, found = (net.detect_windows(windows) for net in detectors)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one["prediction"], other["prediction"], atol=1e-5)
    for oversample in (True, False):
        wanted, found = (
            pycaffe.Classifier(*FILES, **more).predict(DIGITS, oversample) for more in ({}, {"engine": name})
        )
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_export_writes_openvinos_files(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "net.xml"
    assert main(["export", *FILES, "--format", "openvino", "-o", str(file)]) == 0
    said = capsys.readouterr().out
    assert f"wrote {file}" in said and "largest difference" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.bin", "net.xml"]
    model = keras_caffe.load(*FILES, data_format="channels_first")
    x = DIGITS.transpose(0, 3, 1, 2).astype("float32")
    np.testing.assert_allclose(keras_caffe.engine(file)(x), model.predict_on_batch(x), atol=1e-5)


def written_for_openvino(net: str, folder: Path) -> Path:
    (folder / "net.prototxt").write_text(net)
    keras_caffe.save(keras_caffe.load(net), None, folder / "net.caffemodel")
    files = [str(folder / name) for name in ("net.prototxt", "net.caffemodel")]
    assert main(["export", *files, "--format", "openvino", "-o", str(folder / "net.xml")]) == 0
    return folder / "net.xml"


def test_openvinos_files_order_equal_values(tmp_path: Path) -> None:
    """OpenVINO leaves their order open in what it reads from ONNX; Caffe has the last one first."""
    import openvino

    compiled = openvino.Core().compile_model(str(written_for_openvino(TIES, tmp_path)), "CPU")
    (best,) = compiled({"data": np.zeros((1, 60), "float32")}).values()
    assert best.ravel().tolist() == list(range(59, -1, -1))


def test_openvino_takes_fractional_offsets(tmp_path: Path) -> None:
    """Its own normalisation cuts them to whole numbers; the command compares what it computes."""
    assert written_for_openvino(LRN, tmp_path).exists()


def test_what_openvino_computes_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    whole = Apart.run
    monkeypatch.setattr(Apart, "run", lambda self, fed: {n: x + 0.01 for n, x in whole(self, fed).items()})
    (tmp_path / "net.xml").write_text("old")
    assert main(["export", *FILES, "--format", "openvino", "-o", str(tmp_path / "net.xml")]) == 1
    assert "blob 'prob'" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.xml", "old")]
    assert main(["export", *FILES, "--format", "openvino", "-o", str(tmp_path / "net.onnx")]) == 1
    assert ".xml" in capsys.readouterr().err
