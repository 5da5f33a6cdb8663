"""Connectionist temporal classification: costs of label sequences, the best path, and how far two sequences differ.

`keras.ops.ctc_loss` gives the same costs where repeats are merged and the labels fit, but has no form without merging
and no finite gradient where they do not fit; the recurrence in `keras.ops` has both, on every backend.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.ops.indices import checked_labels, first_greatest
from keras_caffe.ops.log_softmax import log_softmax
from keras_caffe.ops.recurrent import over_time
from keras_caffe.ops.stock import native_ops_allowed

NEVER = -1e30  # the logarithm of no probability: as good as minus infinity, but with a gradient


def ctc_costs(
    scores: Any, labels: Any, label_lengths: Any, lengths: Any, *, blank: int, merge_repeated: bool = True
) -> Any:
    """-log p(label | softmax(scores)) of each sequence, (N); infinite, without a gradient, where the labels do not fit.

    The gradient is softmax - posterior before the end of a sequence and 0 behind it. Both are sums over all paths
    that spell the label: in the recurrence blanks stand between and around the labels, which makes 2 L + 1 states.

    Args:
        scores: (T, N, C), before the softmax.
        labels: (N, L) integers.
        label_lengths: (N); as many of a row's first labels count.
        lengths: (N); the number of steps that count.
        blank: the class that stands for none.
        merge_repeated: a label may stay for several steps, and equal ones need a blank between them. Without, a label
            stays for one step.

    Raises:
        LayerError: a label that counts is none of the classes (in a graph of your own the cost is NaN).
    """
    classes = scores.shape[-1]
    counts = ops.arange(ops.shape(labels)[1], dtype="int32") < label_lengths[:, None]
    labels = checked_labels(labels, classes, counted=counts)
    wrong = ops.any(counts & ((labels < 0) | (labels >= classes)), axis=1)
    labels = ops.where(counts & ~wrong[:, None], labels, blank)
    states = _with_blanks(labels, blank)
    place = ops.arange(ops.shape(states)[1], dtype="int32")
    is_label = place % 2 == 1
    stays = ops.ones_like(is_label) if merge_repeated else ~is_label
    before = ops.concatenate([ops.full_like(states[:, :2], -1), states], axis=1)[:, : ops.shape(states)[1]]
    skips = is_label & (place > 1) & ((states != before) | (not merge_repeated))
    log = log_softmax(scores)
    emitted = ops.take_along_axis(log, ops.broadcast_to(states, (ops.shape(log)[0], *ops.shape(states))), axis=-1)
    active = ops.arange(ops.shape(log)[0], dtype="int32")[:, None, None] < lengths[:, None]

    def step(state: Any, now: Any) -> Any:
        (reached,), (emitted, active) = state, now
        ways = [ops.where(stays, reached, NEVER), _moved(reached, 1), ops.where(skips, _moved(reached, 2), NEVER)]
        return (ops.where(active, ops.logsumexp(ops.stack(ways), axis=0) + emitted, reached),)

    start = ops.where(place == 0, ops.zeros_like(emitted[0]), NEVER)
    (reached,), _ = over_time(step, (start,), (emitted, active))
    ends = (place == 2 * label_lengths[:, None]) | (place == 2 * label_lengths[:, None] - 1)
    cost = -ops.logsumexp(ops.where(ends, reached, NEVER), axis=-1)
    cost = ops.where(cost < -0.1 * NEVER, cost, ops.cast(float("inf"), cost.dtype))
    return ops.where(wrong, ops.cast(float("nan"), cost.dtype), cost)


def _with_blanks(labels: Any, blank: int) -> Any:
    """(N, L) -> (N, 2 L + 1): blank, label, blank, ..., blank."""
    blanks = ops.full_like(labels, blank)
    pairs = ops.reshape(ops.stack([blanks, labels], axis=-1), (ops.shape(labels)[0], 2 * ops.shape(labels)[1]))
    return ops.concatenate([pairs, ops.full_like(pairs[:, :1], blank)], axis=1)


def _moved(reached: Any, by: int) -> Any:
    """The states before each one; before the first lies none."""
    return ops.concatenate([ops.full_like(reached[:, :by], NEVER), reached], axis=1)[:, : ops.shape(reached)[1]]


def first_true(flags: Any) -> Any:
    """How many rows of (T, N) flags come before the first that is true, for each column; T if none is."""
    steps = ops.shape(flags)[0]
    return ops.min(ops.where(flags, ops.arange(steps, dtype="int32")[:, None], steps), axis=0)


def packed(labels: Any, keep: Any) -> tuple[Any, Any]:
    """The labels to keep moved to the front of each row of (N, L), and how many there are, (N).

    Exported files say it by sums, which take time and memory with the square of L: of sorted places OpenVINO loses the
    first in a single row.
    """
    kept = ops.cast(keep, "int32")
    place = ops.arange(ops.shape(labels)[1], dtype="int32")
    if native_ops_allowed():
        order = ops.argsort(ops.where(keep, place, place + ops.shape(labels)[1]), axis=1)
        return ops.take_along_axis(labels, order, axis=1), ops.sum(kept, axis=1)
    moves = keep[:, None] & (ops.cumsum(kept, axis=1)[:, None] == place[:, None] + 1)  # from the last axis to axis 1
    return ops.sum(ops.where(moves, labels[:, None], 0), axis=2), ops.sum(kept, axis=1)


def best_path(scores: Any, *, blank: int, merge_repeated: bool = True) -> tuple[Any, Any]:
    """The best class of each step without blanks, at the front of each row of (N, T), and how many there are, (N).

    Args:
        scores: (N, T, C), in any units; the first of equal ones counts.
        blank: the class that stands for none.
        merge_repeated: a class that is the best of the step before, too, does not count.
    """
    best = first_greatest(scores, axis=-1)
    keep = best != blank
    if merge_repeated:
        before = ops.concatenate([ops.full_like(best[:, :1], -1), best[:, :-1]], axis=1)
        keep = keep & (best != before)
    return packed(best, keep)


def edit_distance(a: Any, a_lengths: Any, b: Any, b_lengths: Any) -> Any:
    """The least number of insertions, deletions and replacements that make one sequence of the other, (N).

    Args:
        a, b: (N, A) and (N, B); as many of a row's first entries count as `a_lengths` and `b_lengths` (N) say.
    """
    place = ops.arange(ops.shape(b)[1] + 1, dtype="int32")
    # Insertions in a row: from entry k to every later one.
    later = ops.maximum(place - place[:, None], 0) + ops.where(place < place[:, None], 2**20, 0)
    active = ops.arange(ops.shape(a)[1], dtype="int32")[:, None] < a_lengths

    def step(state: Any, now: Any) -> Any:
        (row,), (entry, active) = state, now
        replaced = row[:, :-1] + ops.cast(entry[:, None] != b, "int32")
        least = ops.concatenate([row[:, :1] + 1, ops.minimum(row[:, 1:] + 1, replaced)], axis=1)
        return (ops.where(active[:, None], ops.min(least[:, :, None] + later, axis=1), row),)

    start = ops.zeros_like(b_lengths)[:, None] + place
    (row,), _ = over_time(step, (start,), (ops.transpose(a), active))
    return ops.take_along_axis(row, b_lengths[:, None], axis=1)[:, 0]
