"""Proposal against plain loops, its anchors against the published ones, and as py-faster-rcnn's Python layer."""

from __future__ import annotations

import sys
import types
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import layers
from keras_caffe.errors import CaffeError, CaffeWarning, LayerError, ShapeError, UnknownLayerError
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.layers.proposal_text import from_text
from keras_caffe.ops.proposals import anchors
from tests.layers.cases import Case
from tests.layers.layer_case import make, tops
from tests.nets import net_with

CASES = [
    Case(
        "Proposal",
        reason="it needs scores of anchors, and values decide the number of rows",
        net=net_with(
            "Proposal", (1, 4, 3, 3), (1, 8, 3, 3), (1, 3), param="proposal_param { ratio: 1 scale: 2 scale: 4 }"
        ),
    ),
]

IMAGE = np.float32([[90, 120, 1.5]])
SMALL = {"ratio": (0.5, 2), "scale": (1, 3), "min_size": 8}


def test_the_published_anchors() -> None:
    found = anchors(16, (0.5, 1, 2), (8, 16, 32), np.round)
    assert found[[0, 4, 8]].tolist() == [[-84, -40, 99, 55], [-120, -120, 135, 135], [-168, -344, 183, 359]]


def inputs(seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.permutation(5 * 7 * 8).reshape(1, 5, 7, 8) / 280
    return [scores.astype("float32"), random.normal(0, 0.4, (1, 5, 7, 16)).astype("float32"), IMAGE]


def loop(scores: np.ndarray, deltas: np.ndarray, keep_small: bool, post: int) -> tuple[np.ndarray, np.ndarray]:
    boxes = []
    for row, column, k in np.ndindex(5, 7, 4):
        x1, y1, x2, y2 = anchors(16, (0.5, 2), (1, 3), np.round)[k] + np.float32([column, row] * 2) * 16
        w, h, (dx, dy, dw, dh) = x2 - x1 + 1, y2 - y1 + 1, deltas[0, row, column, 4 * k : 4 * k + 4]
        x, y, w, h = x1 + w / 2 + dx * w, y1 + h / 2 + dy * h, np.exp(dw) * w, np.exp(dh) * h
        corners = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, [119, 89] * 2)
        large = (corners[2:] - corners[:2] + 1 >= 8 * 1.5).all()
        if large or keep_small:
            boxes.append((scores[0, row, column, 4 + k] * large, *corners))
    kept: list[Any] = []
    for box in sorted(boxes, key=lambda box: -box[0]):
        if all(overlap(box[1:], other[1:]) <= 0.6 for other in kept):
            kept.append(box)
    found = np.array(kept[:post])
    return found[:, 1:], found[:, 0]


def overlap(a: Any, b: Any) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    common = max(w, 0) * max(h, 0)
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return common / (sum(areas) - common)


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(("python", "post"), [(True, 1000), (True, 20), (False, 20)])
def test_against_loops(python: bool, post: int, graph: bool) -> None:
    layer = layers.Proposal(**SMALL, nms_thresh=0.6, post_nms_topn=post, python=python, scores=True)
    arrays = inputs()
    specs = [tf.TensorSpec((1, None, None, 8)), tf.TensorSpec((1, None, None, 16)), tf.TensorSpec((1, 3))]
    run = tf.function(lambda *x: layer(list(x)), input_signature=specs) if graph else lambda *x: layer(list(x))
    regions, scores = run(*arrays)
    want, want_scores = loop(*arrays[:2], keep_small=not python, post=post)
    np.testing.assert_allclose(scores[:, 0], want_scores, rtol=1e-6)
    np.testing.assert_allclose(regions, np.column_stack([np.zeros(len(want)), want]), rtol=1e-4, atol=1e-3)


NET = """
layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 1 dim: 18 dim: 4 dim: 4 } } }
layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 36 dim: 4 dim: 4 } } }
layer { name: "i" type: "Input" top: "i" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "p" type: "Python" bottom: "s" bottom: "d" bottom: "i" top: "rois"
  python_param { module: "rpn.proposal_layer" layer: "ProposalLayer" param_str: "'feat_stride': 32" } }
"""


def test_as_a_python_layer() -> None:
    model = keras_caffe.load(NET)
    layer = model.caffe_layers["p"]
    assert isinstance(layer, layers.Proposal)
    assert (layer.feat_stride, layer.pre_nms_topn, layer.post_nms_topn) == (32, 6000, 300)
    random = np.random.default_rng(0)
    found = model({"s": random.random((1, 4, 4, 18)), "d": random.random((1, 4, 4, 36)), "i": IMAGE})
    assert found.shape[1] == 5


class Own:
    """A class of the caller's under the well-known name: it counts its bottoms."""

    def setup(self, bottom: Any, top: Any) -> None: ...

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(1)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = len(bottom)


NAME = "rpn.proposal_layer.ProposalLayer"
ELEVEN = NET.replace('bottom: "i" top', 'bottom: "i" ' + 'bottom: "s" ' * 8 + "top")
FED = {"s": np.zeros((1, 4, 4, 18)), "d": np.zeros((1, 4, 4, 36)), "i": IMAGE}


def test_another_layer_of_that_name_needs_its_own_class() -> None:
    with pytest.raises(UnknownLayerError) as caught:
        keras_caffe.load(ELEVEN)
    assert str(caught.value) == (
        f"<text>:5: layer 'p' (Python): no class for the Python layer '{NAME}': this package's own class of that name "
        f"has another number of bottoms; expected 3; received 11. Pass python_layers={{'{NAME}': ...}} with the class. "
        "Pass allow_python_imports=True to import the module, if you trust the file."
    )
    with pytest.raises(ShapeError, match=f"does not fit 9 anchors.*Pass python_layers=.*{NAME}"):
        keras_caffe.load(NET.replace("dim: 18", "dim: 6"))


@pytest.mark.parametrize("net", [NET, ELEVEN])
def test_a_class_of_the_callers_comes_before_the_packages_own(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = net.count("bottom")
    assert keras_caffe.load(net, python_layers={NAME: Own})(FED).numpy().tolist() == [count]
    with keras.saving.custom_object_scope({NAME: Own}):
        assert keras_caffe.load(net)(FED).numpy().tolist() == [count]
    module = types.ModuleType("rpn.proposal_layer")
    module.ProposalLayer = Own
    monkeypatch.setitem(sys.modules, "rpn", types.ModuleType("rpn"))
    monkeypatch.setitem(sys.modules, "rpn.proposal_layer", module)
    assert keras_caffe.load(net, allow_python_imports=True)(FED).numpy().tolist() == [count]


def test_the_packages_own_stands_in_where_the_module_cannot_be_imported() -> None:
    with pytest.warns(CaffeWarning, match=f"{NAME}' cannot be imported.*No module named 'rpn'"):
        model = keras_caffe.load(NET, allow_python_imports=True)
    assert isinstance(model.caffe_layers["p"], layers.Proposal)


def test_the_registry_points_to_the_argument_that_replaces_the_class() -> None:
    with pytest.raises(CaffeError, match="already registered by .*Pass python_layers=.*for one call instead"):
        keras_caffe.register_layer(NAME)(Own)


def test_several_images_are_refused_when_the_layer_runs() -> None:
    """Caffe's layer has an empty Reshape: a script may size the input after the net is built."""
    layer = layers.Proposal()
    arrays = [np.zeros((2, 4, 4, 18), "float32"), np.zeros((2, 4, 4, 36), "float32"), IMAGE]
    assert layer.compute_output_shape([array.shape for array in arrays]) == (None, 5)
    with pytest.raises(ShapeError, match="one image at a time; expected a batch of 1; received 2"):
        layer(arrays)


def test_settings_in_a_text() -> None:
    assert from_text("{'feat_stride': 8,'scales': [1,2.5], 'ratios':[1,]}") == {
        "feat_stride": 8,
        "scale": [1, 2.5],
        "ratio": [1],
    }
    assert from_text("") == {}


TEXT = 'name: "p" type: "Proposal" proposal_param {{ {} }}'
SHAPES = (1, 4, 5, 7), (1, 8, 5, 7), (1, 3)


def test_shapes_and_refusals() -> None:
    assert tops(TEXT.format("ratio: 1 scale: 2 scale: 4"), *SHAPES) == [(None, 5)]
    with pytest.raises(LayerError, match="no anchors"):
        make(TEXT.format("ratio: 1"), *SHAPES)
    with pytest.raises(ShapeError, match="does not fit 1 anchors"):
        tops(TEXT.format("ratio: 1 scale: 2"), *SHAPES)


@pytest.mark.parametrize(
    ("scales", "fork", "side"),
    [((32,), "happynear", 32), ((2, 32), None, 32), ((32,), "intel", 16 * 32), ((3,), "happynear", 3)],
)
def test_scales_are_pixels_in_one_fork(scales: tuple[int, ...], fork: str | None, side: int) -> None:
    text = TEXT.format("ratio: 1" + "".join(f" scale: {scale}" for scale in scales))
    with loading(LoadContext(fork=fork)):
        layer, _ = make(text, (1, 2 * len(scales), 5, 7), (1, 4 * len(scales), 5, 7), (1, 3))
    x1, _, x2, _ = layer.anchors[0]
    assert x2 - x1 + 1 == (side if len(scales) == 1 else 16 * 2)


@pytest.mark.parametrize("fork", [None, "bvlc"])
def test_scales_of_no_known_fork_are_pixels_if_they_are_large_and_the_caller_is_told(fork: str | None) -> None:
    told = r"\[32.0\], are taken for pixels, .* fork='happynear' to say so. Pass fork='rcnn' for units of base_size"
    with loading(LoadContext(fork=fork)), pytest.warns(CaffeWarning, match=told):
        assert make(TEXT.format("ratio: 1 scale: 32"), *SHAPES)[0].pixels
