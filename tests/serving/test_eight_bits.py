"""TensorFlow Lite files of 8 bits, run by LiteRT: what keeps its range, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import ExportError


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


def test_layers_that_choose_from_one_blob_keep_their_ranges_in_eight_bits(tmp_path: Path) -> None:
    """TensorFlow Lite makes one of equal copies, and gives a choice the scale of what it chooses from."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    chosen = [
        "PReLU",
        "ReLU relu_param { negative_slope: 0.2 }",
        "ELU",
        "SeLu",
        "Clip clip_param { min: -1 max: 2 }",
    ]
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 3, 8, 8] } } }'
    for layer in chosen:
        kind, _, settings = layer.partition(" ")
        text += f'layer {{ name: "{kind}" type: "{kind}" bottom: "x" top: "{kind}" {settings} }}'
    x = np.random.default_rng(0).uniform(-4, 4, (20, 8, 8, 3)).astype("float32")
    _, file = in_eight_bits(text, x, tmp_path)
    found = interpreter(model_path=str(file)).get_signature_runner("serving_default")(x=x[:1])
    for layer in chosen:
        wanted = ACTIVATIONS[layer](x[:1].astype(float))
        top = found[layer.partition(" ")[0]]
        np.testing.assert_allclose(top, wanted, rtol=0, atol=0.03 * np.abs(wanted).max(), err_msg=layer)


@pytest.mark.parametrize(
    ("net", "calibration"),
    [
        ('layer { name: "x" type: "Parameter" top: "x" parameter_param { shape { dim: [1, 3] } } }', {}),
        ('layer { name: "x" type: "Input" top: "x" input_param { shape { } } }', {"x": np.float32(2)}),
    ],
    ids=["nothing", "a number"],
)
def test_calibration_data_without_rows(net: str, calibration: Any, tmp_path: Path) -> None:
    _, file = in_eight_bits(f'{net} layer {{ name: "y" type: "Exp" bottom: "x" top: "y" }}', [calibration], tmp_path)
    assert file.exists()


def test_boxes_are_not_calibrated(tmp_path: Path) -> None:
    """TensorFlow's calibration ends the process with a signal."""
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 8, 1, 1] } } }
        layer { name: "s" type: "Input" top: "s" input_param { shape { dim: [1, 4] } } }
        layer { name: "p" type: "Input" top: "p" input_param { shape { dim: [1, 2, 8] } } }
        layer { name: "l" type: "Flatten" bottom: "x" top: "l" }
        layer { name: "boxes" type: "DetectionOutput" bottom: "l" bottom: "s" bottom: "p" top: "boxes"
          detection_output_param { num_classes: 2 nms_param { nms_threshold: 0.4 } keep_top_k: 2 } }"""
    fed = {name: np.zeros(shape, "float32") for name, shape in (("x", (1, 1, 1, 8)), ("s", (1, 4)), ("p", (1, 2, 8)))}
    with pytest.raises(ExportError, match=r"boxes, regions and volumes: layer 'boxes' \(DetectionOutput\)"):
        in_eight_bits(text, fed, tmp_path)
    keras_caffe.serving.to_tflite(
        keras_caffe.load(text), tmp_path / "net.tflite", kind="int8", calibration=fed, outputs="l"
    )


@pytest.mark.parametrize(
    ("shapes", "layer", "says"),
    [
        (
            {"x": (1, 2, 8, 8), "r": (1, 5)},
            'type: "ROIPooling" bottom: "r" roi_pooling_param { pooled_w: 2 pooled_h: 2 }',
            "ROIPooling",
        ),
        (
            {"x": (1, 2, 4, 4, 4)},
            'type: "Pooling3D" pooling3d_param { pool: MAX kernel_size: 2 kernel_depth: 2 }',
            "Pooling3D",
        ),
    ],
)
def test_regions_and_volumes_are_not_calibrated(shapes: Any, layer: str, says: str, tmp_path: Path) -> None:
    text = f'layer {{ name: "y" bottom: "x" top: "y" {layer} }}'
    fed = {}
    for name, shape in reversed(shapes.items()):
        sizes = f"input_param {{ shape {{ dim: {list(shape)} }} }}"
        text = f'layer {{ name: "{name}" type: "Input" top: "{name}" {sizes} }}' + text
        fed[name] = np.moveaxis(np.zeros(shape), 1, -1) if len(shape) > 3 else np.zeros(shape)
    with pytest.raises(ExportError, match=rf"cannot calibrate .* layer 'y' \({says}\)"):
        in_eight_bits(text, fed, tmp_path)
