"""Transpose, Reverse, ReverseTime and Flip: what their arrays do not show."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError
from keras_caffe.layers import Flip, Reverse, ReverseTime, Transpose
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.random_nets.draft import Draft
from tests.random_nets.parts_simple import FLAG, simple

CASES = [
    Case("Transpose", Transpose((0, 3, 1, 2)), [SHAPE], refused=[({"order": (0, 0)}, "order names an axis twice")]),
    Case("Reverse", Reverse(1), [SHAPE], refused=[({"axis": 0.5}, "axis must be a whole number; received 0.5")]),
    Case(
        "ReverseTime",
        ReverseTime(),
        [(4, None, 5), (None,)],
        refused=[({"copy_remaining": "no"}, "copy_remaining must be True or False; received 'no'")],
    ),
    Case("ReverseTime", ReverseTime(copy_remaining=True), [(4, None), (None, 1)]),
    Case("Flip", Flip((1, 2)), [SHAPE], refused=[({"axes": (1, -3)}, r"axes names an axis twice; received \(1, 1\)")]),
]


def transpose(draft: Draft) -> None:
    bottom = draft.bottom(2, 3, 4)
    rest = list(range(1, len(bottom.shape)))
    order = [0, *draft.choose((rest, rest[::-1], [*rest[1:], rest[0]]))]
    draft.add("Transpose", [bottom], f"transpose_param {{ {' '.join(f'dim: {axis}' for axis in order)} }}")


def reverse(draft: Draft) -> None:
    bottom = draft.bottom(1, 2, 3, 4)
    draft.add("Reverse", [bottom], f"reverse_param {{ axis: {draft.choose(range(len(bottom.shape)))} }}")


def reverse_time(draft: Draft) -> None:
    x = draft.bottom(2, 3, 4)
    lengths = draft.input((x.shape[1],), (x.shapes[1][1],), "integers", (x.shape[0] + 1, x.shapes[1][0] + 1))
    draft.add("ReverseTime", [x, lengths], f"reverse_time_param {{ {draft.fields(copy_remaining=FLAG)} }}")


PARTS = {
    "Transpose": transpose,
    "Reverse": reverse,
    "ReverseTime": reverse_time,
    "Flip": simple("Flip", "flip_param", (4,), False, flip_width=FLAG, flip_height=FLAG),
}

X = np.arange(1, 13, dtype="float32").reshape(4, 3)


@pytest.mark.parametrize("copied", [False, True])
def test_what_lies_behind_a_sequence_stays_or_is_0(copied: bool) -> None:
    want = np.float32([[4, 2, 12], [1, 0, 9], [0, 0, 6], [0, 0, 3]])
    behind = np.where(want == 0, X, 0) if copied else 0
    layer, lengths = ReverseTime(copied), np.float32([2, 1, 9])  # the last one ends with the steps there are
    for run in (layer, tf.function(layer, autograph=False)):
        np.testing.assert_array_equal(run([X, lengths]), want + behind)
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer([x, lengths])
    np.testing.assert_array_equal(tape.gradient(y, x, X), ReverseTime(copied)([X, lengths]))


def test_a_flip_of_nothing_is_a_copy() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    np.testing.assert_array_equal(Flip(())(x), x)
    np.testing.assert_array_equal(Flip()(x), x[:, :, ::-1])


@pytest.mark.parametrize(
    ("text", "shapes", "reason"),
    [
        (
            'type: "Transpose" transpose_param { dim: 1 dim: 0 }',
            [(2, 3, 4)],
            "dim must name every axis; expected 0 to 2",
        ),
        ('type: "Transpose"', [(2, 3)], "dim must name every axis"),
        ('type: "Reverse" reverse_param { axis: -1 }', [(2, 3)], "axis counts from the front; .* received -1"),
        ('type: "Reverse" reverse_param { axis: 2 }', [(2, 3)], "axis is out of range"),
        ('type: "ReverseTime"', [(4,), (1,)], "needs 2 axes"),
        ('type: "ReverseTime"', [(4, 3), (2,)], "one length for every sequence; expected 3; received 2"),
        ('type: "Flip"', [(2, 3, 4)], "needs a bottom with 4 axes"),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        tops(text, *shapes)
