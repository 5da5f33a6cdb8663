"""MarginInnerProduct and LargeMarginInnerProduct: what their arrays do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError
from keras_caffe.layers import LargeMarginInnerProduct, MarginInnerProduct
from tests.layers.cases import Case
from tests.layers.layer_case import tops
from tests.random_nets.draft import Draft
from tests.random_nets.parts_losses import row_labels

TYPES: dict[str, Any] = {"MarginInnerProduct": MarginInnerProduct, "LargeMarginInnerProduct": LargeMarginInnerProduct}
FIELDS = {
    "MarginInnerProduct": "margin_inner_product_param",
    "LargeMarginInnerProduct": "largemargin_inner_product_param",
}
REFUSED = [
    ({"num_output": 0}, "num_output must be a whole number of at least 1; received 0"),
    ({"type": "FIVEFOLD"}, "unknown type; expected one of SINGLE, DOUBLE, TRIPLE, QUADRUPLE; received 'FIVEFOLD'"),
    ({"axis": 0}, "the features cannot include the batch axis; .*; received 0"),
    *(({name: "1"}, f"{name} must be a number; received '1'") for name in ("base", "gamma", "power", "lambda_min")),
    ({"iteration": -1}, "iteration must be a whole number of at least 0; received -1"),
    ({"weight_filler": "gausian"}, r"unknown filler type of weight_filler; .*Did you mean 'gaussian'\?"),
]
CASES = [
    Case(name, cls(4, "DOUBLE", weight_filler={"type": "xavier", "seed": 0}), [(None, 3), (None,)], refused=REFUSED)
    for name, cls in TYPES.items()
]


def margin(type: str) -> Any:
    def part(draft: Draft) -> None:
        x = draft.bottom(2)
        kind = draft.fields(type=("DOUBLE", "TRIPLE", "QUADRUPLE", None), lambda_min=(5, None))
        filled = f'num_output: 3 {kind} weight_filler {{ type: "gaussian" std: 0.5 }}'
        draft.add(type, [x, row_labels(draft, x, 3)], f"{FIELDS[type]} {{ {filled} }}", 2)

    return part


PARTS = {name: margin(name) for name in TYPES}
X = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
LABELS = np.float32([0, 1, 2, 3] * 16)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(("margin", "times"), [("DOUBLE", 2), ("TRIPLE", 3), ("QUADRUPLE", 4)])
def test_psi_is_the_cosine_of_a_multiple_that_falls_on(name: str, margin: str, times: int) -> None:
    layer = TYPES[name](4, margin, base=0.0, weight_filler="xavier")
    scores, _ = layer([X, LABELS])
    w = np.array(layer.kernel)[LABELS.astype(int)]
    lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(w, axis=1)
    angle = np.arccos((X * w).sum(1) / lengths)
    part = np.floor(angle * times / np.pi)
    want = lengths * ((-1) ** part * np.cos(times * angle) - 2 * part)
    np.testing.assert_allclose(np.array(scores)[range(64), LABELS.astype(int)], want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TYPES)
def test_lambda_falls_with_the_passes_of_both_phases(name: str) -> None:
    layer = TYPES[name](4, base=8.0, gamma=1.0, lambda_min=1.5, iteration=1, weight_filler="xavier")
    run = tf.function(lambda training: layer([X, LABELS], training=training)[1], autograph=False)
    assert [float(run(training)[0]) for training in (True, False, True, True)] == pytest.approx([8 / 3, 2, 1.6, 1.5])


def test_a_pass_leaves_unit_vectors_behind() -> None:
    layer = MarginInnerProduct(4, weight_filler={"type": "gaussian", "std": 3})
    layer([X, LABELS])
    np.testing.assert_allclose(np.linalg.norm(layer.kernel, axis=1), np.ones(4), rtol=1e-6)


@pytest.mark.parametrize("name", TYPES)
def test_axes_before_the_features_stay(name: str) -> None:
    layer = TYPES[name](4, "TRIPLE", axis=2, weight_filler={"type": "gaussian", "seed": 0})
    x, labels = X[:6].reshape(2, 3, 5), LABELS[:6]
    scores, _ = layer([x, labels])
    assert scores.shape == layer.compute_output_shape([x.shape, labels.shape])[0] == (2, 3, 4)
    flat = TYPES[name](4, "TRIPLE")
    flat.build([(6, 5), (6,)])
    flat.set_weights(layer.get_weights()[:1] + flat.get_weights()[1:])
    np.testing.assert_allclose(scores, np.reshape(flat([X[:6], labels])[0], (2, 3, 4)), rtol=1e-5)


def test_features_of_0_have_a_gradient() -> None:
    layer, x = LargeMarginInnerProduct(4, "QUADRUPLE", weight_filler="xavier"), tf.zeros((2, 5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores, _ = layer([x, LABELS[:2]])
    assert np.isfinite(tape.gradient(scores, x)).all()


@pytest.mark.parametrize("name", TYPES)
def test_refused(name: str) -> None:
    with pytest.raises(LayerError, match="num_output is missing"):
        tops(f'type: "{name}"', (2, 3), (2,))
    with pytest.raises(LayerError, match="one label for every sample; expected 2; received 3"):
        tops(f'type: "{name}" {FIELDS[name]} {{ num_output: 4 }}', (2, 3), (3,))
