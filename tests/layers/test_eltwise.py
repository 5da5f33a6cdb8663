"""Eltwise: ties, products of zeros, open sizes and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Eltwise
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make, tops

CASES = [
    Case(
        "Eltwise",
        Eltwise("SUM", [2, -1]),
        [SHAPE, SHAPE],
        refused=[
            ({"operation": "ADD"}, "unknown operation; expected one of SUM, PROD, MAX; received 'ADD'"),
            ({"coeff": "1"}, "coeff must be a number; received '1'"),
            ({"operation": "PROD", "coeff": (1, 2)}, r"PROD takes no coefficients; received \(1.0, 2.0\)"),
        ],
    ),
]


def text(param: str = "") -> str:
    return f'type: "Eltwise" eltwise_param {{ {param} }}'


def gradients(layer: Eltwise, *values: float) -> list[float]:
    inputs = [tf.constant([value]) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        top = layer(inputs)
    return [float(g[0]) for g in tape.gradient(top, inputs)]


def test_a_tie_goes_to_the_second_bottom_or_stays_with_the_earlier() -> None:
    assert gradients(Eltwise("MAX"), 1.0, 1.0) == [0, 1]
    assert gradients(Eltwise("MAX"), 1.0, 1.0, 1.0) == [0, 1, 0]
    assert gradients(Eltwise("MAX"), 2.0, 1.0, 2.0) == [1, 0, 0]


@pytest.mark.parametrize("stable", ["true", "false"])
def test_the_gradient_of_a_product_is_the_product_of_the_others(stable: str) -> None:
    layer, _ = make(text(f"operation: PROD stable_prod_grad: {stable}"), (1,), (1,), (1,))
    assert gradients(layer, 0.0, 3.0, 2.0) == [6, 0, 0]


def test_max_ignores_coefficients() -> None:
    layer, _ = make(text("operation: MAX coeff: 5 coeff: -1"), (1,), (1,))
    assert float(layer([np.ones(1, "float32"), np.zeros(1, "float32")])[0]) == 1


def test_open_sizes() -> None:
    assert Eltwise().top_shapes((None, 3), (2, None)) == [(2, 3)]


@pytest.mark.parametrize(
    ("param", "shapes", "error", "reason"),
    [
        ("coeff: 1", [(2,), (2,)], LayerError, "coeff must be given once per bottom"),
        ("operation: PROD coeff: 1 coeff: 1", [(2,), (2,)], LayerError, "PROD takes no coefficients"),
        ("", [(2, 1), (2, 3)], ShapeError, "must have one shape"),  # no broadcasting
        ("", [(2,), (2, 1)], ShapeError, "must have one shape"),
    ],
)
def test_refused(param: str, shapes: list[tuple[int, ...]], error: type[LayerError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(text(param), *shapes)
