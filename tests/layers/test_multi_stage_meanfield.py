"""MultiStageMeanfield: what its arrays do not show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_caffe import layers, load
from keras_caffe.errors import DataError, LayerError, ShapeError
from tests.layers.cases import Case
from tests.nets import net_with

MADE = {"num_iterations": 2, "theta_alpha": 20, "theta_beta": 3, "theta_gamma": 3}
SIZE = (1, 3, 4, 2)
CASES = [
    Case(
        "MultiStageMeanfield",
        layers.MultiStageMeanfield(**MADE),
        [SIZE, SIZE, (1, 3, 4, 3)],
        refused=[
            (MADE | {"num_iterations": 1}, "num_iterations must be a whole number of at least 2; received 1"),
            *((MADE | {name: 0}, f"{name} must be .*above 0") for name in ("theta_alpha", "theta_beta", "theta_gamma")),
            *((MADE | {name: "a"}, name) for name in ("spatial_weight", "bilateral_weight")),
        ],
    ),
]
PARAM = (
    "multi_stage_meanfield_param { num_iterations: 2 theta_alpha: 20 theta_beta: 3 theta_gamma: 3 "
    "spatial_filter_weight: 3 bilateral_filter_weight: 5 }"
)
TEXT = net_with("MultiStageMeanfield", (1, 2, 3, 4), (1, 2, 3, 4), (1, 3, 3, 4), param=PARAM)


def diagonals() -> list[list[float]]:
    return [np.diag(blob[0, 0]).tolist() for blob in load(TEXT).get_caffe_params()["layer"]]


def test_new_weights_are_those_of_the_files_or_of_the_message(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert diagonals() == [[3, 3], [5, 5], [-1, -1]]
    Path("spatial.par").write_text("1.5 2\n")
    Path("bilateral.par").write_text("4\n2.5\n")
    assert diagonals() == [[1.5, 2], [4, 2.5], [-1, -1]]
    Path("spatial.par").write_text("1.5")
    with pytest.raises(DataError, match="spatial.par.*too few weights; expected 2 numbers; received 1"):
        load(TEXT)


def test_a_file_is_read_as_far_as_it_is_needed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spatial.par").write_text("1.5 2 as learned")
    assert diagonals()[0] == [1.5, 2]
    Path("spatial.par").write_text("1.5 two")
    with pytest.raises(DataError, match="spatial.par.*a weight is not a number; expected 2 numbers; received .*two"):
        load(TEXT)
    Path("spatial.par").unlink()
    Path("spatial.par").mkdir()
    with pytest.raises(OSError, match="spatial.par"):
        load(TEXT)


def test_weights_for_another_number_of_classes_are_refused() -> None:
    with pytest.raises(LayerError, match="a weight is given once, or for each class; expected 3; received"):
        layers.MultiStageMeanfield(**MADE, spatial_weight=(1, 2))([np.ones((1, 2, 2, 3), "float32")] * 3)


def test_a_mixed_policy_does_not_reach_the_places() -> None:
    random = np.random.default_rng(0)
    unary, first = random.normal(size=(2, 1, 2, 300, 2)).astype("float32")
    image = random.uniform(0, 9, (1, 2, 300, 3)).astype("float32")
    wanted = layers.MultiStageMeanfield(**MADE)([unary, first, image])
    half = layers.MultiStageMeanfield(**MADE, dtype="mixed_bfloat16")([unary, first, image])
    np.testing.assert_allclose(half, wanted, rtol=1e-5)


def test_the_images_of_a_batch_do_not_mix() -> None:
    random = np.random.default_rng(0)
    unary, first = random.normal(size=(2, 2, 3, 5, 2)).astype("float32")
    image = random.uniform(0, 9, (2, 3, 5, 3)).astype("float32")
    layer = layers.MultiStageMeanfield(**MADE)
    both = layer([unary, first, image])
    for n in range(2):
        np.testing.assert_allclose(both[n], layer([x[n : n + 1] for x in (unary, first, image)])[0], rtol=1e-5)


def test_equal_pixels_far_apart_are_neighbours_of_nobody() -> None:
    """With a lattice of their own each pixel is its only neighbour: S = B = P."""
    random = np.random.default_rng(0)
    unary, first = random.normal(size=(2, 1, 2, 2, 2)).astype("float32")
    far = {"num_iterations": 2, "theta_alpha": 1e-2, "theta_beta": 1, "theta_gamma": 1e-2}
    y, want = layers.MultiStageMeanfield(**far)([unary, first, np.zeros((1, 2, 2, 3))]), first
    for _ in range(2):
        p = np.exp(want) / np.exp(want).sum(-1, keepdims=True)
        want = unary + 2 * p
    np.testing.assert_allclose(y, want, rtol=1e-4)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (((1, 2, 3, 4), (1, 2, 3, 5), (1, 3, 3, 4)), "must have one shape"),
        (((1, 2, 3, 4), (1, 2, 3, 4), (1, 3, 4, 4)), "the size of the unary terms"),
        (((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4)), "an image of colours; expected 3 channels"),
    ],
)
def test_other_bottoms_are_refused(shapes: tuple[tuple[int, ...], ...], reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        load(net_with("MultiStageMeanfield", *shapes, param=PARAM))
