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
from keras_caffe.converters.proof import Engine
from keras_caffe.errors import ExportError
from keras_caffe.runtimes import apart
from keras_caffe.runtimes.apart import Apart
from keras_caffe.runtimes.litert import LiteRt
from keras_caffe.runtimes.tensorflow import TensorFlow
from keras_caffe.serving import to_tflite
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

MULTIPLES = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 2, 8, 8] } } }
layer { name: "down" type: "Pooling" bottom: "data" top: "down" pooling_param { pool: AVE kernel_size: 4 stride: 4 } }
layer { name: "up" type: "Deconvolution" bottom: "down" top: "up" convolution_param { num_output: 2 group: 2
  kernel_size: 4 stride: 4 bias_term: false weight_filler { type: "constant" value: 1 } } }
layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "up" top: "sum" }
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
    to_tflite(model, tmp_path / "net.tflite", kind=kind, tolerance=limit, report=tmp_path / "report.json")
    (row,) = json.loads((tmp_path / "report.json").read_text())
    assert (row["blob"], row["type"]) == ("prob", "Softmax")
    assert 0 <= row["relative"] <= limit


@ignore_converter
@pytest.mark.parametrize(
    ("param", "scale"),
    [("norm_param { across_spatial: false }", 1e-5), ("normalize_param { normalize_type: 'L2' }", 1e-3)],
)
def test_tflite_keeps_what_is_added_to_small_norms(param: str, scale: float, tmp_path: Path) -> None:
    """Of a sum of squares its converter makes a norm of its own, to which nothing is added."""
    net = f"""
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: [1, 8, 5, 5] }} }} }}
layer {{ name: "small" type: "Power" bottom: "data" top: "small" power_param {{ scale: {scale} }} }}
layer {{ name: "norm" type: "Normalize" bottom: "small" top: "norm" {param} }}
"""
    model = keras_caffe.load(net)
    assert to_tflite(model, tmp_path / "net.tflite", tolerance=1e-4).exists()


@pytest.mark.parametrize("more", ["", 'bottom: "x"'])
def test_tflite_keeps_the_batch_of_data_that_the_net_has(more: str, tmp_path: Path) -> None:
    net = f"""
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: [2, 3] }} }} }}
layer {{ name: "d" type: "DummyData" top: "d" dummy_data_param {{ shape {{ dim: [2, 3] }}
  data_filler {{ type: "constant" value: 0.3 }} }} }}
layer {{ name: "y" type: "Eltwise" bottom: "d" {more or 'bottom: "d"'} top: "y" }}
layer {{ name: "end" type: "Silence" bottom: "x" }}
"""
    file = to_tflite(keras_caffe.load(net), tmp_path / "net.tflite", tolerance=1e-6)
    x = np.ones((2, 3), "float32")
    (found,) = LiteRt(file).run({"x": x}).values()
    np.testing.assert_allclose(found, np.full((2, 3), 1.3 if more else 0.6), rtol=1e-6)


def test_tflite_in_8_bits(lenet: Any, tmp_path: Path) -> None:
    path = to_tflite(lenet, tmp_path / "net.tflite", kind="int8", calibration=digits(100), tolerance=0.05)
    assert path.stat().st_size < 500_000  # 431,080 parameters


def test_int8_needs_calibration(lenet: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="calibration"):
        to_tflite(lenet, tmp_path / "net.tflite", kind="int8")
    with pytest.raises(ExportError, match="needs calibration"):
        to_tflite(lenet, tmp_path / "net.tflite", kind="int8", calibration=[])
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
    keras_caffe.export(lenet, tmp_path, tolerance=1e-5, report=tmp_path / "report.json")
    (row,) = json.loads((tmp_path / "report.json").read_text())
    assert (row["blob"], row["problem"]) == ("prob", None)


def test_open_sizes_are_compared_at_three_sizes(block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, whole = [], Engine.run
    monkeypatch.setattr(Engine, "run", lambda self, fed: sizes.append(fed["data"].shape) or whole(self, fed))
    other = {"channels_last": "channels_first", "channels_first": "channels_last"}[block.data_format]
    keras_caffe.export(block, tmp_path, data_format=other, outputs=["pool/max", "prob"], tolerance=1e-4)
    assert [size[2:] for size in sizes] == [(9, 9), (9, 9), (14, 14), (7, 7)]
    assert {size[0] for size in sizes} == {2, 4}


def test_sizes_that_the_net_refuses_are_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, whole = [], Engine.run
    monkeypatch.setattr(Engine, "run", lambda self, fed: sizes.append(fed["data"].shape) or whole(self, fed))
    keras_caffe.export(keras_caffe.load(MULTIPLES), tmp_path, tolerance=1e-5)
    assert [size[2:] for size in sizes] == [(8, 8), (8, 8), (16, 16)]


@ignore_converter
@pytest.mark.parametrize("format", ["savedmodel", "tflite"])
@pytest.mark.parametrize(("wrong", "says"), [(0.001, "received 0.0"), (np.nan, "received diverges")])
def test_what_computes_something_else_is_refused_and_nothing_stays(
    format: str, wrong: float, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    engine, out = {"savedmodel": TensorFlow, "tflite": Apart}[format], tmp_path / "out"
    assert main(["export", *FILES, "-o", str(out), "--format", format]) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    whole = engine.run
    monkeypatch.setattr(engine, "run", lambda self, fed: {n: x + wrong for n, x in whole(self, fed).items()})
    assert main(["export", *FILES, "-o", str(out), "--format", format]) == 1
    said = capsys.readouterr().err
    assert "blob 'prob'" in said and "'prob' (Softmax)" in said and says in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert main(["export", *FILES, "-o", str(out), "--format", format, "--tolerance", "0.1"]) == (wrong != 0.001)


@ignore_converter
@pytest.mark.parametrize("format", ["savedmodel", "tflite"])
def test_an_engine_that_fails_is_an_error_in_its_words(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    engine = {"savedmodel": TensorFlow, "tflite": LiteRt}[format]

    def call(self: Any, asked: Any) -> Any:
        raise RuntimeError("no kernel for Conv\nmore")

    monkeypatch.setattr(engine, "call", call)
    throw = "def call(self, fed): raise RuntimeError('no kernel for Conv\\nmore')"
    child = f"{apart.CHILD.removesuffix('serve()')}\nfrom keras_caffe.runtimes import litert\n{throw}\n"
    monkeypatch.setattr(apart, "CHILD", f"{child}litert.LiteRt.call = call\nserve()")
    assert main(["export", *FILES, "-o", str(tmp_path / "out"), "--format", format]) == 1
    said = capsys.readouterr().err
    assert f"{engine.title} cannot run the export; received no kernel for Conv" in said and "more" not in said
    assert not list(tmp_path.iterdir())


def test_the_command_calibrates_several_inputs(tmp_path: Path) -> None:
    text = """layer { name: "a" type: "Input" top: "a" input_param { shape { dim: [1, 3] } } }
        layer { name: "b" type: "Input" top: "b" input_param { shape { dim: [1, 3] } } }
        layer { name: "ip" type: "InnerProduct" bottom: "a" top: "ip" inner_product_param { num_output: 3 } }
        layer { name: "y" type: "Eltwise" bottom: "ip" bottom: "b" top: "y" }"""
    (tmp_path / "net.prototxt").write_text(text)
    keras_caffe.save(keras_caffe.load(text), caffemodel=tmp_path / "net.caffemodel")
    np.savez(tmp_path / "fed.npz", a=np.ones((4, 3), "float32"), b=np.ones((4, 3), "float32"))
    files = [str(tmp_path / name) for name in ("net.prototxt", "net.caffemodel")]
    command = ["export", *files, "--format", "tflite", "--kind", "int8", "-o", str(tmp_path / "net.tflite")]
    assert main([*command, "--calibration", str(tmp_path / "fed.npz")]) == 0
    assert (tmp_path / "net.tflite").exists()
