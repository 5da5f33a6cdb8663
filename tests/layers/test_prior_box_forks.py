"""PriorBox of TextBoxes, TextBoxes++, FaceBoxes and faceboxes_lqy, against loops written from the forks' sources."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import PriorBox
from tests.layers.layer_case import from_caffe
from tests.onnx_cases import needs_onnx

CELLS, IMAGE = (2, 3), (100, 150)  # height and width
Row = list[float]


def corners(x: float, y: float, width: float, height: float) -> Row:
    return [
        (x - width / 2) / IMAGE[1],
        (y - height / 2) / IMAGE[0],
        (x + width / 2) / IMAGE[1],
        (y + height / 2) / IMAGE[0],
    ]


def cells(steps: tuple[float, float]) -> list[tuple[float, float, float]]:
    """Where the centre of each cell is (x, y), and the lower edge of the cell."""
    return [
        ((w + 0.5) * steps[1], (h + 0.5) * steps[0], (h + 1) * steps[0])
        for h in range(CELLS[0])
        for w in range(CELLS[1])
    ]


def ratios(given: tuple[float, ...], flip: bool) -> list[float]:
    return [r for ratio in given for r in ((ratio, 1 / ratio) if flip else (ratio,))]


def textboxes(least: float, greatest: float | None, given: tuple[float, ...], flip: bool) -> list[Row]:
    rows = []
    for x, y, low in cells((50, 50)):
        sizes = [(least, least)]
        if greatest:
            sizes.append((math.sqrt(least * greatest),) * 2)
        sizes += [(least * math.sqrt(r), least / math.sqrt(r)) for r in ratios(given, flip)]
        for width, height in sizes:
            rows += [corners(x, y, width, height), corners(x, low, width, height)]
    return rows


def faceboxes(sizes: tuple[int, ...], steps: float) -> list[Row]:
    rows = []
    for x, y, _ in cells((steps, steps)):
        for size in sizes:
            if size == 32:
                rows += [corners(x + 8 * j, y + 8 * i, 31, 31) for i in range(-2, 2) for j in range(-2, 2)]
            elif size == 64:
                rows += [corners(x + 16 * j, y + 16 * i, 63, 63) for i in range(-1, 1) for j in range(-1, 1)]
            else:
                rows.append(corners(x, y, size - 1, size - 1))
    return rows


def dense(sizes: tuple[float, ...], densities: tuple[int, ...], given: list[float], fixed: float | None) -> list[Row]:
    rows = []
    for x, y, _ in cells((32, 32)):
        for size, density in zip(sizes, densities, strict=True):
            shift = int(size / density)
            shapes = [(float(int(size)),) * 2, *((size * math.sqrt(r), size / math.sqrt(r)) for r in given)]
            if fixed:
                shapes = [(size * math.sqrt(fixed), size / math.sqrt(fixed))]
            for width, height in shapes:
                for r in range(density):
                    for c in range(density):
                        left, up = (v - int(size) // 2 + shift / 2 for v in (x, y))
                        row = corners(left + c * shift, up + r * shift, width, height)
                        rows.append([max(row[0], 0), max(row[1], 0), min(row[2], 1), min(row[3], 1)])
    return rows


def clipped(rows: list[Row]) -> np.ndarray:
    return np.clip(rows, 0, 1)


BOXES: dict[str, tuple[str | None, str, Any]] = {
    "textboxes": (
        "textboxes",
        "min_size: 20.5 max_size: 41 aspect_ratio: 2 aspect_ratio: 5 flip: false",
        clipped(textboxes(20.5, 41, (2, 5), False)),
    ),
    "textboxes, flipped": ("textboxes", "min_size: 30 aspect_ratio: 3", clipped(textboxes(30, None, (3,), True))),
    "textboxes, not clipped": ("textboxes", "min_size: 90 clip: false", textboxes(90, None, (), True)),
    "textboxes++": (
        None,
        "min_size: 20.9 max_size: 41.5 aspect_ratio: 2 denser_prior_boxes: true",
        textboxes(20, 41, (2,), True),
    ),
    "faceboxes": ("faceboxes", "min_size: [32, 64, 128] step: 32", faceboxes((32, 64, 128), 32)),
    "faceboxes, one size": ("faceboxes", "min_size: 256 step: 64", faceboxes((256,), 64)),
    "faceboxes_lqy": (
        None,
        "fixed_size: [32, 64, 128] density: [4, 2, 1] step: 32",
        dense((32, 64, 128), (4, 2, 1), [], None),
    ),
    "faceboxes_lqy, odd sizes": (
        None,
        "fixed_size: [31.5, 50] density: [3, 2] aspect_ratio: 2 step: 32",
        dense((31.5, 50), (3, 2), [2, 0.5], None),
    ),
    "faceboxes_lqy, fixed ratio": (
        None,
        "fixed_size: [40, 60] density: [3, 1] fixed_ratio: 2.5 step: 32",
        dense((40, 60), (3, 1), [], 2.5),
    ),
}


def net(param: str) -> str:
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ dim: {shape} }} }} }}\n'
        for name, shape in (("map", [1, 4, *CELLS]), ("image", [1, 3, *IMAGE]))
    )
    prior = 'layer { name: "prior" type: "PriorBox" bottom: "map" bottom: "image" top: "prior" prior_box_param {'
    return f"{inputs}{prior} {param} }} }}"


def priors(param: str, fork: str | None) -> np.ndarray:
    model = keras_caffe.load(net(param), fork=fork)
    tops = model([np.zeros((1, *CELLS, 4), "float32"), np.zeros((1, *IMAGE, 3), "float32")])
    return np.array(tops["prior"] if isinstance(tops, dict) else tops)


@pytest.mark.parametrize("name", BOXES)
def test_boxes_are_those_of_a_plain_loop(name: str) -> None:
    fork, param, want = BOXES[name]
    boxes = priors(param, fork)
    assert boxes.shape == (1, 2, 4 * len(want))
    np.testing.assert_allclose(boxes[0, 0].reshape(-1, 4), want, rtol=1e-5, atol=1e-6)


def test_without_their_dialect_the_fields_are_ssds() -> None:
    assert priors("min_size: [32, 64, 128]", None).shape == (1, 2, 4 * 6 * 3)
    assert priors("min_size: 30 aspect_ratio: 3", None).shape == (1, 2, 4 * 6 * 3)


@needs_onnx
@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("name", ["textboxes", "faceboxes", "faceboxes_lqy, odd sizes"])
def test_onnx_has_the_same_boxes(name: str, opened: bool, tmp_path: Path) -> None:
    import onnxruntime

    fork, param, want = BOXES[name]
    file = keras_caffe.to_onnx(keras_caffe.load(net(param), fork=fork), tmp_path / "net.onnx", dynamic=opened)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    feeds = {"map": np.zeros((1, 4, *CELLS), "float32"), "image": np.zeros((1, 3, *IMAGE), "float32")}
    boxes = session.run(None, {one.name: feeds[one.name] for one in session.get_inputs()})[0]
    np.testing.assert_allclose(boxes[0, 0].reshape(-1, 4), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"density": 2, "min_size": 3}, "density and fixed_ratio are for fixed_size"),
        ({"fixed_size": 32, "density": 2, "min_size": 3}, r"received min_size \(3.0,\)"),
        ({"fixed_size": (32, 64), "density": 2}, r"received density \(2.0,\) for 2 sizes"),
        ({"fixed_size": 32, "density": 1.5}, r"received density \(1.5,\), not whole"),
        ({"fixed_size": 32, "density": 1, "fixed_ratio": (1, 2)}, "received 2 of fixed_ratio"),
        ({"fixed_size": 32, "density": 1, "fixed_ratio": 2, "aspect_ratio": 2}, "received fixed_ratio beside"),
        ({"fixed_size": 32, "density": 1, "rule": "textboxes++"}, 'received rule "textboxes'),
        ({"min_size": (3, 4), "rule": "textboxes"}, "TextBoxes has one min_size"),
        ({"min_size": 32, "rule": "faceboxes"}, "16 boxes in the room of 1"),
        ({"fixed_size": (8, 16), "density": (100, 2)}, "at most 10000; received 10004"),
        ({"min_size": (16, 128, 256), "rule": "faceboxes"}, "3 boxes in the room of 21"),
    ],
)
def test_what_the_forks_cannot_write_is_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        PriorBox(**arguments)


def test_twice_as_many_locations_name_textboxes() -> None:
    text = 'type: "DetectionOutput" top: "d" detection_output_param { num_classes: 2 }'
    with pytest.raises(ShapeError, match="expected 8; received 16") as refused:
        from_caffe(text, (1, 16), (1, 8), (1, 2, 8))
    assert "fork='textboxes'" in str(refused.value) and "fork='faceboxes'" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ('type: "DetectionOutput" detection_output_param { num_classes: 2 use_polygon: true }', [(1, 24), (1, 4)]),
        ('type: "MultiBoxLoss" multibox_loss_param { num_classes: 2 use_polygon: false }', [(1, 18), (1, 4)]),
    ],
)
def test_polygons_of_textboxes_plus_plus_are_refused_by_name(text: str, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(LayerError, match="TextBoxes.. has polygons or turned boxes"):
        from_caffe(text, *shapes, (1, 2, 8), (1, 1, 1, 8))
