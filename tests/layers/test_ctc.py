"""The layers of connectionist temporal classification: what their arrays do not show."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError, NetError
from keras_caffe.layers import CTCGreedyDecoder, CTCLoss, CtcLoss, LabelsequenceAccuracy, WarpCTCLoss
from keras_caffe.ops.ctc import ctc_costs, edit_distance
from tests.layers.cases import Case
from tests.layers.layer_case import tops
from tests.random_nets.draft import Draft

BLANK = ({"blank": 0.5}, "blank must be a whole number; received 0.5")
STEPS = (6, None, 3)
CASES = [
    Case("WarpCTCLoss", WarpCTCLoss(), [STEPS, (None, 2)], refused=[BLANK]),
    Case("WarpCTCLoss", WarpCTCLoss(), [STEPS, (None,), (None,), (2, None)]),
    Case(
        "CTCLoss",
        CTCLoss(),
        [STEPS, (6, None), (6, None)],
        refused=[
            BLANK,
            ({"preprocess_collapse_repeated": 2}, "preprocess_collapse_repeated must be True or False; received 2"),
            ({"ctc_merge_repeated": "no"}, "ctc_merge_repeated must be True or False; received 'no'"),
        ],
    ),
    Case(
        "CtcLoss",
        CtcLoss(),
        [STEPS, (None, 2)],
        refused=[
            BLANK,
            ({"alphabet_size": 0}, "alphabet_size must be a whole number of at least 1; received 0"),
            ({"time_step": 0}, "time_step must be a whole number of at least 1; received 0"),
        ],
    ),
    Case(
        "CTCGreedyDecoder",
        CTCGreedyDecoder(),
        [STEPS],
        refused=[BLANK, ({"ctc_merge_repeated": 2}, "ctc_merge_repeated must be True or False; received 2")],
    ),
    Case("CTCGreedyDecoder", CTCGreedyDecoder(), [STEPS, (None, 2)]),
    Case("LabelsequenceAccuracy", LabelsequenceAccuracy(), [(None, 6, 3), (None, 2)], refused=[BLANK]),
]


def labelled(type: str, rows: int, param: str = ""):
    """The part of a layer over scores of sequences, with labels beside them; the batch is on axis `rows`."""

    def part(draft: Draft) -> None:
        scores = draft.bottom(3)
        first, second = scores.shapes
        labels = draft.input((first[rows], 2), (second[rows], 2), "integers", (first[2], second[2]))
        draft.add(type, [scores, labels], param)

    return part


def ctc_loss(draft: Draft) -> None:
    scores = draft.bottom(3)
    first, second = (shape[:2] for shape in scores.shapes)
    indicators = draft.input(first, second, "integers", (2, 2))
    labels = draft.input(first, second, "integers", (scores.shape[2], scores.shapes[1][2]))
    draft.add("CTCLoss", [scores, indicators, labels], f"ctc_loss_param {{ blank_index: {draft.choose((0, -1))} }}")


PARTS = {
    "WarpCTCLoss": labelled("WarpCTCLoss", 1),
    "CTCLoss": ctc_loss,
    "CtcLoss": labelled("CtcLoss", 1),
    "CTCGreedyDecoder": labelled("CTCGreedyDecoder", 1),
    "LabelsequenceAccuracy": labelled("LabelsequenceAccuracy", 0),
}


def spelled(path: tuple[int, ...], merge: bool) -> tuple[int, ...]:
    """What a path spells, blank 0."""
    kept = [c for t, c in enumerate(path) if c and not (merge and t and path[t - 1] == c)]
    return tuple(kept)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("label", [(), (1,), (1, 1), (1, 2), (2, 1, 2)])
def test_a_cost_sums_over_all_paths_that_spell_the_label(label: tuple[int, ...], merge: bool) -> None:
    scores = np.random.default_rng(0).normal(size=(4, 1, 3))
    p = np.exp(scores[:, 0]) / np.exp(scores[:, 0]).sum(-1, keepdims=True)
    paths = [path for path in itertools.product(range(3), repeat=3) if spelled(path, merge) == label]
    want = -np.log(sum(np.prod([p[t, c] for t, c in enumerate(path)]) for path in paths))
    labels = np.int32([[*label, 0, 0, 0][:3]])
    costs = ctc_costs(scores, labels, np.int32([len(label)]), np.int32([3]), blank=0, merge_repeated=merge)
    np.testing.assert_allclose(costs, [want], rtol=1e-12)


def test_long_sequences_run_in_a_loop_and_give_the_same_as_a_library() -> None:
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(50, 3, 5)), random.integers(0, 4, (3, 6)).astype("int32")
    lengths, label_lengths = np.int32([50, 40, 33]), np.int32([6, 4, 1])
    x = tf.constant(scores)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        costs = ctc_costs(x, labels, label_lengths, lengths, blank=4)
        wanted = tf.nn.ctc_loss(labels, tf.cast(x, "float32"), label_lengths, lengths, blank_index=4)
    np.testing.assert_allclose(costs, wanted, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(costs, x), tape.gradient(wanted, x), atol=1e-5)


def test_labels_that_do_not_fit_cost_nothing_or_all_and_have_no_gradient() -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 2, 3)), "float32")
    labels = np.float32([[1, 1], [1, 2]])  # two equal ones need three steps
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        warp, shared = WarpCTCLoss()([x, labels]), CtcLoss()([x, labels])
        other = CTCLoss(0)([x, np.ones((2, 2)), labels.T])
    fits = -tf.math.log_softmax(x)[0, 1, 1] - tf.math.log_softmax(x)[1, 1, 2]
    np.testing.assert_allclose([warp, shared, other], [fits / 2, fits / 2, np.inf], rtol=1e-6)
    for loss in (warp, shared, other):
        slope = tape.gradient(loss, x).numpy()
        assert not slope[:, 0].any() and np.isfinite(slope).all() and slope[:, 1].any()


def test_with_blank_0_the_labels_of_three_bottoms_begin_at_class_1() -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype("float32")
    ends = np.float32([[0, 0], [1, 1], [1, 0], [1, 1]])  # a 0 in the first step ends nothing
    labels = np.float32([[0, 1], [1, -1], [-1, 0], [0, 0]])
    lengths, counts = np.float32([4, 2]), np.float32([2, 1])
    want = WarpCTCLoss()([x, lengths, counts, np.float32([[1, 2], [2, 0]])])
    np.testing.assert_allclose(WarpCTCLoss()([x, ends, labels]), want, rtol=1e-6)
    want = WarpCTCLoss(2)([x, lengths, counts, np.float32([[0, 1], [1, 0]])])
    np.testing.assert_allclose(WarpCTCLoss(2)([x, ends, labels]), want, rtol=1e-6)


def test_a_label_that_is_no_class() -> None:
    x, labels = np.zeros((4, 1, 3), "float32"), np.float32([[1, 3]])
    for layer in (WarpCTCLoss(), CtcLoss()):
        with pytest.raises(LayerError, match="a label is out of range; expected whole numbers from 0 to 2; received 3"):
            layer([x, labels])
        assert np.isnan(tf.function(layer, autograph=False)([tf.constant(x), tf.constant(labels)]))


@pytest.mark.parametrize(
    ("a", "b", "want"), [([], [], 0), ([1, 2], [], 2), ([], [3], 1), ([1, 2, 3], [2, 3, 4], 2), ([1, 2], [3, 1, 2], 1)]
)
def test_edit_distance(a: list[int], b: list[int], want: int) -> None:
    rows = [np.int32([[*x, 9, 9, 9, 9][:4]]) for x in (a, b)]
    assert int(edit_distance(rows[0], np.int32([len(a)]), rows[1], np.int32([len(b)]))[0]) == want


@pytest.mark.parametrize(
    ("text", "shapes", "reason"),
    [
        ('type: "WarpCTCLoss"', [(4, 2), (2, 3)], "must have scores of each class"),
        ('type: "WarpCTCLoss"', [(4, 2, 3, 2), (2, 3)], "must have scores of each class"),
        ('type: "WarpCTCLoss"', [(4, 2, 3), (3, 3)], "the labels need one row for each sequence"),
        (
            'type: "WarpCTCLoss" ctc_loss_param { blank_index: 3 }',
            [(4, 2, 3), (2, 1)],
            "the blank is not one of the classes",
        ),
        ('type: "CTCLoss"', [(4, 2, 3), (4, 2), (3, 2)], "the labels need one value for each step"),
        ('type: "CTCLoss" ctc_loss_param { output_delay: 1 }', [(4, 2, 3), (4, 2), (4, 2)], "no delay of the output"),
        (
            'type: "CtcLoss" ctc_loss_param { time_step: 5 }',
            [(4, 2, 3), (2, 1)],
            "time_step must be the number of steps",
        ),
        (
            'type: "CtcLoss" ctc_loss_param { alphabet_size: 4 }',
            [(4, 2, 3), (2, 1)],
            "alphabet_size must be the number",
        ),
        ('type: "CTCGreedyDecoder"', [(4, 2)], "must have scores of each class"),
        ('type: "LabelsequenceAccuracy"', [(4, 2, 3), (2, 1)], "the labels need one row for each sequence"),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises((LayerError, NetError), match=reason):
        tops(text, *shapes)
