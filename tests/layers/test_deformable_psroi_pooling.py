"""DeformablePSROIPooling against loops over the formula of its fork, and its gradients to map and offsets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import CaffeError
from keras_caffe.layers import DeformablePSROIPooling
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.layers.numbers import gradients
from tests.layers.regions import regions, rounded
from tests.nets import net_with
from tests.onnx_cases import needs_onnx, run

FIELDS = "output_dim: 2 group_size: 2 spatial_scale: 0.5 "
CASES = [
    Case(
        "DeformablePSROIPooling",
        DeformablePSROIPooling(2, 2, 1.0, 3, 2, 0.1),
        [SHAPE, (None, 5), (None, 4, 3, 3)],
        net=net_with(
            "DeformablePSROIPooling",
            (2, 8, 6, 6),
            (3, 5),
            (3, 2, 2, 2),
            param=f"deformable_psroi_pooling_param {{ {FIELDS} part_size: 2 sample_per_part: 2 trans_std: 0.2 }}",
        ),
        values="formula in tests/layers/test_deformable_psroi_pooling.py",
        refused=[
            ({"output_dim": 0}, "output_dim must be a whole number of at least 1; received 0"),
            ({"group_size": 0}, "group_size must be a whole number of at least 1; received 0"),
            ({"spatial_scale": 0}, "spatial_scale must be a number above 0; received 0"),
            ({"part_size": 0}, "part_size must be a whole number of at least 1; received 0"),
            (
                {"sample_per_part": 0, "no_trans": True},
                "sample_per_part must be a whole number of at least 1",
            ),
            ({"trans_std": "x", "no_trans": True}, "trans_std must be a number; received 'x'"),
            ({"no_trans": 2}, "no_trans must be True or False; received 2"),
        ],
    ),
    Case("DeformablePSROIPooling", DeformablePSROIPooling(2, 2, 1.0, no_trans=True), [SHAPE, (None, 5)]),
]


def by_loops(x: np.ndarray, rois: np.ndarray, moves: np.ndarray | None, g: np.ndarray, layer: Any) -> list[np.ndarray]:
    """The top, and the gradients of sum(top g) to x and the offsets, in float64."""
    group, depth, samples, scale = layer.group_size, layer.output_dim, layer.sample_per_part, layer.spatial_scale
    top, back = np.zeros((len(rois), group, group, depth)), np.zeros(x.shape)
    moves = np.zeros((len(rois), 2, 1, 1)) if moves is None else moves
    parts, kinds, shifts = moves.shape[2], moves.shape[1] // 2, np.zeros(moves.shape)
    for r, i, j, d in np.ndindex(*top.shape):
        image, x1, y1, x2, y2 = rois[r]
        start = np.array([rounded(float(y1)), rounded(float(x1))]) * scale - 0.5
        size = np.maximum((np.array([rounded(float(y2)), rounded(float(x2))]) + 1) * scale - 0.5 - start, 0.1)
        channel, kind = (d * group + i) * group + j, d // (depth // kinds)
        cell = (i * parts // group, j * parts // group)
        shift = np.array([moves[(r, 2 * kind + 1, *cell)], moves[(r, 2 * kind, *cell)]]) * layer.trans_std
        first, step = start + np.array([i, j]) * size / group + shift * size, size / group / samples
        places = [first + np.array(s) * step for s in np.ndindex(samples, samples)]
        edge = np.array(x.shape[1:3]) - 1.0
        places = [np.clip(p, 0, edge) for p in places if np.all(p >= -0.5) and np.all(p <= edge + 0.5)]
        for place in places:
            low, high = np.floor(place).astype(int), np.ceil(place).astype(int)
            a, b = place - low
            corners = [(low[0], low[1]), (low[0], high[1]), (high[0], low[1]), (high[0], high[1])]
            weight = g[r, i, j, d] / len(places)
            values = [x[(int(image), *c, channel)] for c in corners]
            shares = [(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b]
            top[r, i, j, d] += sum(s * v for s, v in zip(shares, values, strict=True)) / len(places)
            for corner, part in zip(corners, shares, strict=True):
                back[(int(image), *corner, channel)] += part * weight
            down = (1 - b) * (values[2] - values[0]) + b * (values[3] - values[1])
            across = (1 - a) * (values[1] - values[0]) + a * (values[3] - values[2])
            shifts[(r, 2 * kind + 1, *cell)] += down * layer.trans_std * size[0] * weight
            shifts[(r, 2 * kind, *cell)] += across * layer.trans_std * size[1] * weight
    return [top, back, shifts]


LAYERS = [
    (DeformablePSROIPooling(4, 3, 0.5, 3, 4, 0.1), 2),
    (DeformablePSROIPooling(2, 2, 1.0, 5, 2, 0.7), 1),
    (DeformablePSROIPooling(3, 3, 0.37, 2, 1, 0.3), 3),
    (DeformablePSROIPooling(2, 3, 0.5, sample_per_part=3, no_trans=True), 0),
]
"""(layer, number of parts that move by themselves)"""


def bottoms_of(layer: Any, kinds: int) -> list[np.ndarray]:
    random = np.random.default_rng(kinds)
    channels = layer.output_dim * layer.group_size**2
    x = random.normal(size=(2, 9, 11, channels)).astype("float32")
    rois = regions(6, 2, 11 / layer.spatial_scale, seed=kinds)
    rois[2:, 3:] = rois[2:, 1:3] + random.uniform(0, 9, (4, 2)).astype("float32") / np.float32(layer.spatial_scale)
    moves = random.normal(size=(6, 2 * kinds, layer.part_size, layer.part_size)).astype("float32")
    return [x, rois, moves] if kinds else [x, rois]


@pytest.mark.parametrize(("layer", "kinds"), LAYERS)
def test_values_and_gradients(layer: Any, kinds: int) -> None:
    bottoms = bottoms_of(layer, kinds)
    x, rois, *moves = bottoms
    random = np.random.default_rng(kinds + 1)
    g = random.normal(size=(6, layer.group_size, layer.group_size, layer.output_dim)).astype("float32")
    top, back, shifts = by_loops(x, rois, moves[0] if kinds else None, g, layer)
    np.testing.assert_allclose(layer(bottoms), top, rtol=1e-3, atol=1e-4)
    got = gradients(layer, bottoms, g)
    np.testing.assert_allclose(got[0], back, rtol=1e-3, atol=1e-4)
    if kinds:
        np.testing.assert_allclose(got[2], shifts, rtol=1e-3, atol=1e-3)
        assert np.abs(shifts).max() > 0
    assert math.isclose(float(np.sum(got[0] * x)), float(np.sum(top * g)), rel_tol=1e-3, abs_tol=1e-3)


@needs_onnx
@pytest.mark.parametrize(("layer", "kinds"), LAYERS)
def test_the_onnx_file_says_the_formula(layer: Any, kinds: int, tmp_path: Path) -> None:
    bottoms = bottoms_of(layer, kinds)
    names = ["x", "rois", "moves"][: len(bottoms)]
    shapes = [
        (array.transpose(0, 3, 1, 2) if array.ndim == 4 and not i else array).shape for i, array in enumerate(bottoms)
    ]
    given = [
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ dim: {list(shape)} }} }} }}'
        for name, shape in zip(names, shapes, strict=True)
    ]
    fields = f"""output_dim: {layer.output_dim} group_size: {layer.group_size} spatial_scale: {layer.spatial_scale}
        part_size: {layer.part_size} sample_per_part: {layer.sample_per_part} trans_std: {layer.trans_std}
        no_trans: {str(layer.no_trans).lower()}"""
    read = " ".join(f'bottom: "{name}"' for name in names)
    pool = f'name: "y" type: "DeformablePSROIPooling" {read} top: "y" deformable_psroi_pooling_param {{ {fields} }}'
    keras_caffe.to_onnx("\n".join([*given, f"layer {{ {pool} }}"]), tmp_path / "net.onnx")
    fed = {name: array.reshape(shape) for name, array, shape in zip(names, bottoms, shapes, strict=True)}
    fed["x"] = np.ascontiguousarray(bottoms[0].transpose(0, 3, 1, 2))
    (found,) = run(tmp_path / "net.onnx", fed, ["y"])
    moves = bottoms[2] if kinds else None
    g = np.zeros((6, layer.group_size, layer.group_size, layer.output_dim), "float32")
    top, _, _ = by_loops(bottoms[0], bottoms[1], moves, g, layer)
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1), top, rtol=1e-3, atol=1e-4)


def test_files() -> None:
    """`pooled_size` changes nothing, as in the fork; unread offsets may be there."""
    text = f'type: "DeformablePSROIPooling" deformable_psroi_pooling_param {{ {FIELDS} %s }}'
    x, rois = (1, 8, 9, 9), (3, 5)
    assert tops(text % "pooled_size: 7 no_trans: true", x, rois) == [(3, 2, 2, 2)]
    assert tops(text % "no_trans: true", x, rois, (1, 1)) == [(3, 2, 2, 2)]
    assert tops(text % "part_size: 3", x, rois, (3, 4, 3, 3)) == [(3, 2, 2, 2)]
    for fields, moves, match in [
        ("part_size: 3", [], "without offsets no bin can be moved; expected no_trans: true, or three bottoms"),
        ("", [(3, 4, 1, 1)], "part_size must be a whole number of at least 1; received 0"),
        ("part_size: 3", [(3, 4, 3, 2)], "offsets must be part_size high and wide; expected 3; received 2"),
        ("part_size: 3", [(3, 6, 3, 3)], "not two for each of equal parts.*received 6"),
        ("part_size: 3", [(3, 3, 3, 3)], "not two for each of equal parts.*received 3"),
        ("part_size: 3", [(3, 36)], "the offsets need 4 axes"),
    ]:
        with pytest.raises(CaffeError, match=match):
            tops(text % fields, x, rois, *moves)
    with pytest.raises(CaffeError, match="number of channels is not"):
        tops(text % "no_trans: true", (1, 9, 9, 9), rois)
