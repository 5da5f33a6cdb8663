"""TensorFlow Lite files, run by their own engine beside the Keras model, and the command that exports."""

from __future__ import annotations

import json
from collections.abc import Callable
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


def in_eight_bits(text: str, calibration: Any, tmp_path: Path) -> tuple[Any, Path]:
    model = keras_caffe.load(text)
    return model, keras_caffe.serving.to_tflite(model, tmp_path / "net.tflite", kind="int8", calibration=calibration)


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 2, 1), (2, 2, 0), (5, 3, 2), (3, 2, 0)])
def test_a_maximum_beyond_the_edges_keeps_its_range_in_eight_bits(
    kernel: int, stride: int, pad: int, tmp_path: Path
) -> None:
    """Caffe's last windows reach beyond the padding; the numbers are far from 0, where no padding would be noticed."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    text = f"""layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: [1, 2, 24, 23] }} }} }}
        layer {{ name: "y" type: "Pooling" bottom: "x" top: "y"
          pooling_param {{ pool: MAX kernel_size: {kernel} stride: {stride} pad: {pad} }} }}"""
    x = np.random.default_rng(0).uniform(-9, -3, (1, 24, 23, 2)).astype("float32")
    _, file = in_eight_bits(text, x, tmp_path)
    found = interpreter(model_path=str(file)).get_signature_runner("serving_default")(x=x)["y"]
    wanted = np.empty(found.shape)
    for i, j in np.ndindex(*found.shape[1:3]):
        top, left = (max(0, at * stride - pad) for at in (i, j))
        bottom, right = (at * stride - pad + kernel for at in (i, j))
        wanted[0, i, j] = x[0, top:bottom, left:right].max((0, 1))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0.1)


def within(x: np.ndarray, size: int, alpha: float, beta: float) -> np.ndarray:
    """LRN of each channel for itself: over the mean of squares of a window, zeros outside."""
    pad, (high, wide) = size // 2, x.shape[1:3]
    squares = np.pad(x**2, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    sums = sum(squares[:, i : i + high, j : j + wide] for i in range(size) for j in range(size))
    return x / (1 + alpha * sums / size**2) ** beta


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ReLU": lambda x: np.maximum(x, 0),
    "ReLU relu_param { negative_slope: 0.2 }": lambda x: np.where(x > 0, x, 0.2 * x),
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "PReLU": lambda x: np.where(x > 0, x, 0.25 * x),
    "ELU": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "SeLu": lambda x: 1.050701 * np.where(x > 0, x, 1.6732632 * (np.exp(x) - 1)),
    "BNLL": lambda x: np.log(1 + np.exp(x)),
    "Clip clip_param { min: -1 max: 2 }": lambda x: np.clip(x, -1, 2),
    "HardSwish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Swish": lambda x: x / (1 + np.exp(-x)),
    "TanH": np.tanh,
    "AbsVal": np.abs,
    "MVN": lambda x: (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True),
    "LRN": lambda x: x / (1 + np.stack([(x**2).sum(-1)] * 3, -1) / 5) ** 0.75,  # 3 channels: each window has all
    "LRN lrn_param { norm_region: WITHIN_CHANNEL }": lambda x: within(x, 5, 1, 0.75),
    "LRN lrn_param { norm_region: WITHIN_CHANNEL alpha: 50 local_size: 7 }": lambda x: within(x, 7, 50, 0.75),
    "LRN lrn_param { norm_region: WITHIN_CHANNEL alpha: 5 local_size: 3 beta: 1 }": lambda x: within(x, 3, 5, 1),
    "Pooling pooling_param { pool: MAX global_pooling: true }": lambda x: x.max((1, 2), keepdims=True),
    'Eltwise bottom: "x" bottom: "half" eltwise_param { operation: MAX }': lambda x: np.maximum(x, x / 2),
}


@pytest.mark.parametrize("layer", ACTIVATIONS)
def test_activations_in_eight_bits(layer: str, tmp_path: Path) -> None:
    """Also where another layer reads what the activation does."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    kind, _, settings = layer.partition(" ")
    text = f"""layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: [1, 3, 8, 8] }} }} }}
        layer {{ name: "half" type: "Power" bottom: "x" top: "half" power_param {{ scale: 0.5 }} }}
        layer {{ name: "y" type: "{kind}" {settings if "bottom" in settings else 'bottom: "x" ' + settings} top: "y" }}
        layer {{ name: "z" type: "Power" bottom: "x" top: "z" power_param {{ scale: 2 }} }}"""
    x = np.random.default_rng(0).uniform(-4, 4, (20, 8, 8, 3)).astype("float32")
    _, file = in_eight_bits(text, x, tmp_path)
    found = interpreter(model_path=str(file)).get_signature_runner("serving_default")(x=x[:1])
    wanted = ACTIVATIONS[layer](x[:1].astype(float))
    np.testing.assert_allclose(found["y"], wanted, rtol=0, atol=0.03 * np.abs(wanted).max())
    np.testing.assert_allclose(found["z"], 2 * x[:1], rtol=0, atol=0.03 * 8)


def test_boxes_are_not_calibrated(tmp_path: Path) -> None:
    """TensorFlow's calibration ends the process with a signal."""
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 8, 1, 1] } } }
        layer { name: "s" type: "Input" top: "s" input_param { shape { dim: [1, 4] } } }
        layer { name: "p" type: "Input" top: "p" input_param { shape { dim: [1, 2, 8] } } }
        layer { name: "l" type: "Flatten" bottom: "x" top: "l" }
        layer { name: "boxes" type: "DetectionOutput" bottom: "l" bottom: "s" bottom: "p" top: "boxes"
          detection_output_param { num_classes: 2 nms_param { nms_threshold: 0.4 } keep_top_k: 2 } }"""
    fed = {name: np.zeros(shape, "float32") for name, shape in (("x", (1, 1, 1, 8)), ("s", (1, 4)), ("p", (1, 2, 8)))}
    with pytest.raises(
        ExportError, match=r"cannot calibrate layers that suppress boxes: layer 'boxes' \(DetectionOutput\)"
    ):
        in_eight_bits(text, fed, tmp_path)
    keras_caffe.serving.to_tflite(
        keras_caffe.load(text), tmp_path / "net.tflite", kind="int8", calibration=fed, outputs="l"
    )


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
