"""Losses, accuracy, and layers over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.random_nets.draft import Blob, Draft
from tests.random_nets.parts_simple import FLAG, Part

NORMALIZATION = ("FULL", "VALID", "BATCH_SIZE", "NONE", None)


def class_labels(draft: Draft, scores: Blob, axis: int) -> Blob:
    """One label for each place."""
    first, second = ((*shape[:axis], *shape[axis + 1 :]) for shape in scores.shapes)
    return draft.input(first, second, "integers", (scores.shape[axis], scores.shapes[1][axis]))


def row_labels(draft: Draft, scores: Blob, limit: int) -> Blob:
    """One label for each row."""
    return draft.input(*(shape[:1] for shape in scores.shapes), "integers", (limit, limit))


def loss_fields(draft: Draft) -> str:
    return f"loss_param {{ {draft.fields(normalization=NORMALIZATION, ignore_label=(0, 1, None, None))} }}"


def softmax_with_loss(draft: Draft) -> None:
    scores = draft.bottom(2, 3, 4)
    axis = draft.choose((1, 1, *range(1, len(scores.shape))))
    tops = draft.choose((1, 1, 2))
    more = f"softmax_param {{ axis: {axis} }} {loss_fields(draft)}" + " loss_weight: 1 loss_weight: 0" * (tops == 2)
    draft.add("SoftmaxWithLoss", [scores, class_labels(draft, scores, axis)], more, tops)


def infogain_loss(draft: Draft) -> None:
    scores = draft.bottom(2, 3, 4)
    classes = scores.shape[1]
    matrix = draft.fixed_input(1, 1, classes, classes)
    draft.add("InfogainLoss", [scores, class_labels(draft, scores, 1), matrix], loss_fields(draft))


def row_loss(type: str, fields: str = "", **options: Any) -> Part:
    """Scores over everything but the rows, and one label for each row."""

    def part(draft: Draft) -> None:
        scores = draft.bottom(2, 4)
        labels = row_labels(draft, scores, scores.shape[1])
        draft.add(type, [scores, labels], f"{fields} {{ {draft.fields(**options)} }}" if fields else "")

    return part


def center_loss(draft: Draft) -> None:
    features, classes = draft.bottom(2, 4), draft.choose((1, 3))
    more = f"center_loss_param {{ num_output: {classes} }} {draft.fields(loss_weight=(0.5, None))}"
    draft.add("CenterLoss", [features, row_labels(draft, features, classes)], more)


def euclidean_loss(draft: Draft) -> None:
    first = draft.bottom(1, 2, 3, 4)
    draft.add("EuclideanLoss", [first, draft.like(first)], draft.fields(loss_weight=(0.5, 2, None)))


def sigmoid_loss(draft: Draft) -> None:
    scores = draft.bottom(1, 2, 3, 4)
    draft.add("SigmoidCrossEntropyLoss", [scores, draft.input(*scores.shapes, "integers", (3, 3))], loss_fields(draft))


def balanced_loss(draft: Draft) -> None:
    scores = draft.bottom(2, 3, 4)
    draft.add("SigmoidCrossEntropyBalanceLoss", [scores, draft.input(*scores.shapes, "integers", (3, 3))])


def smooth_l1_loss(draft: Draft) -> None:
    first = draft.bottom(1, 2, 3, 4)
    bottoms = [first, *(draft.like(first) for _ in range(draft.choose((1, 2, 3))))]
    more = "smooth_l1_loss_param { sigma: 2 }" if len(bottoms) == 4 else ""
    draft.add("SmoothL1Loss", bottoms, more)


def contrastive_loss(draft: Draft) -> None:
    a = draft.bottom(2)
    more = draft.fields(margin=(3, None), legacy_version=FLAG)
    bottoms = [a, draft.like(a), row_labels(draft, a, 2)]
    draft.add("ContrastiveLoss", bottoms, f"contrastive_loss_param {{ {more} }}")


def accuracy(draft: Draft) -> None:
    """It chooses: its scores are distinct values."""
    scores = draft.image(kind="distinct")
    more = draft.fields(top_k=(1, 2, None), ignore_label=(0, None))
    tops = draft.choose((1, 1, 2))
    draft.add("Accuracy", [scores, class_labels(draft, scores, 1)], f"accuracy_param {{ {more} }}", tops)


def sequence(draft: Draft) -> tuple[Blob, Blob]:
    """x (T, N, ...) and cont (T, N)."""
    time, rest = draft.choose((1, 2, 5)), draft.choose(((3,), (1,), (2, 3)))
    first, second = draft.batches
    known = [b for b in draft.blobs.values() if len(b.shape) == 3 and not b.open and b.name not in draft.feeds]
    x = draft.choose(known) if known and draft.maybe() else draft.input((time, first, *rest), (time, second, *rest))
    return x, draft.input(x.shape[:2], x.shapes[1][:2], "integers", (2, 2))


def recurrent(type: str, states: int) -> Part:
    def part(draft: Draft) -> None:
        (x, cont), cells = sequence(draft), draft.choose((1, 3, 4))
        bottoms, tops, fields = [x, cont], 1, f"num_output: {cells}"
        if draft.maybe():
            bottoms.append(draft.input((x.shape[1], 2), (x.shapes[1][1], 2)))
        if draft.maybe():
            bottoms += [draft.input(*((1, shape[1], cells) for shape in x.shapes)) for _ in range(states)]
            tops, fields = 1 + states, f"{fields} expose_hidden: true"
        draft.add(type, bottoms, f"recurrent_param {{ {fields} }}", tops)

    return part


def older_lstm(draft: Draft) -> None:
    (x, cont), cells = sequence(draft), draft.choose((1, 3))
    fields = f"num_output: {cells} {draft.fields(clipping_threshold=(0.5, None))}"
    draft.add("Lstm", [x, cont] if draft.maybe() else [x], f"lstm_param {{ {fields} }}")


def lstm_unit(draft: Draft) -> None:
    cells, (first, second) = draft.choose((1, 3)), draft.batches
    c = draft.input((1, first, cells), (1, second, cells))
    gates = draft.input((1, first, 4 * cells), (1, second, 4 * cells))
    cont = draft.input((1, first), (1, second), "integers", (2, 2))
    draft.add("LSTMUnit", [c, gates, cont], tops=2)


def continuation_indicator(draft: Draft) -> None:
    bottom, steps = draft.bottom(2, 3), draft.choose((1, 4))
    draft.add("ContinuationIndicator", [bottom], f"continuation_indicator_param {{ time_step: {steps} }}")


PARTS: Mapping[str, Part] = {
    "Accuracy": accuracy,
    "CenterLoss": center_loss,
    "ContinuationIndicator": continuation_indicator,
    "ContrastiveLoss": contrastive_loss,
    "EuclideanLoss": euclidean_loss,
    "HingeLoss": row_loss("HingeLoss", "hinge_loss_param", norm=("L2", None)),
    "InfogainLoss": infogain_loss,
    "LSTM": recurrent("LSTM", 2),
    "LSTMUnit": lstm_unit,
    "Lstm": older_lstm,
    "MultinomialLogisticLoss": row_loss("MultinomialLogisticLoss"),
    "RNN": recurrent("RNN", 1),
    "SigmoidCrossEntropyBalanceLoss": balanced_loss,
    "SigmoidCrossEntropyLoss": sigmoid_loss,
    "SmoothL1Loss": smooth_l1_loss,
    "SoftmaxWithLoss": softmax_with_loss,
}
