"""Which prior boxes answer for which ground truth, and which negatives count (weiliu89/caffe ssd, bbox_util.cpp).

Everything has the batch first: N images, P priors, M boxes of ground truth at most in an image.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_caffe.ops.boxes import Boxes, area, nms, overlap, split
from keras_caffe.ops.indices import first_greatest, places
from keras_caffe.ops.stock import on_tensorflow

NEGATIVE, IGNORED = -1, -2
LEAST_OVERLAP, LEAST_AREA = 1e-6, 1e-5


class Truth(NamedTuple):
    """Ground truth by image: `boxes` four tensors (N, M), `labels` (N, M), `there` (N, M) marks the real ones."""

    boxes: Boxes
    labels: Any
    there: Any

    def by_class(self, classes: int) -> Truth:
        """Each image as many times as there are classes, with the boxes of one of them: (N * classes, M)."""
        boxes, labels, there = self.boxes, self.labels, self.there
        repeated = Truth(
            tuple(ops.repeat(side, classes, axis=0) for side in boxes),  # type: ignore[arg-type]
            ops.repeat(labels, classes, axis=0),
            ops.repeat(there, classes, axis=0),
        )
        shown = ops.tile(ops.arange(classes, dtype="int32"), ops.shape(labels)[:1])
        return repeated._replace(there=repeated.there & (repeated.labels == shown[:, None]))


def ground_truth(rows: Any, batch: Any, use_difficult: bool) -> Truth:
    """Sorts rows (image, label, instance, xmin, ymin, xmax, ymax, difficult) by image; image -1 marks empty rows."""
    rows = ops.pad(ops.reshape(rows, (-1, 8)), ((0, 1), (0, 0)), constant_values=-1)  # at least one row, for no image
    counts = ops.ones_like(rows[:, 0], dtype="bool") if use_difficult else rows[:, 7] == 0
    mine = counts & (ops.cast(rows[:, 0], "int32") == ops.arange(batch, dtype="int32")[:, None])
    number = ops.arange(ops.shape(rows)[0])
    order = ops.argsort(ops.where(mine, number, number + ops.shape(rows)[0]), axis=1)  # an image's own rows come first
    own = ops.sum(ops.cast(mine, "int32"), axis=1)
    if on_tensorflow():  # JAX needs to know all sizes; there the rows left over stay.
        order = order[:, : ops.maximum(ops.max(own, initial=0), 1)]
    rows = ops.take(rows, order, axis=0)
    there = ops.arange(ops.shape(order)[1], dtype="int32") < own[:, None]
    return Truth(split(rows[..., 3:7]), ops.cast(rows[..., 1], "int32"), there)


def objects_alike(rows: Any) -> Any:
    """The same rows with every label above 1 as 1: RefineDet's reading of ground truth where it knows two classes."""
    rows = ops.reshape(rows, (-1, 8))
    return ops.where(ops.arange(8) == 1, ops.minimum(rows, 1), rows)


def match(
    boxes: Boxes, truth: Truth, *, per_prediction: bool, threshold: float, ignore_crossing: bool
) -> tuple[Any, Any]:
    """Pairs boxes and ground truth: first the best pair of all, again and again; then each box left with its best one.

    Args:
        boxes: four tensors (N or 1, P).
        per_prediction: do the second step, for overlaps of at least `threshold`.
        ignore_crossing: boxes that reach out of the image are IGNORED.

    Returns:
        (N, P) index into the ground truth, NEGATIVE or IGNORED; (N, P) greatest overlap.
    """
    common = overlap(tuple(side[:, :, None] for side in boxes), tuple(side[:, None] for side in truth.boxes))  # type: ignore[arg-type]
    common = ops.where(truth.there[:, None] & (common > LEAST_OVERLAP), common, 0)
    index = ops.full_like(common[..., 0], NEGATIVE, dtype="int32")
    if ignore_crossing:
        crossing = ops.any(ops.stack([(side < 0) | (side > 1) for side in boxes]), axis=0)
        index = ops.where(crossing & ops.any(truth.there, axis=1, keepdims=True), IGNORED, index)
        common = ops.where(crossing[..., None], 0, common)
    index = _bipartite(common, index)
    best = ops.max(common, axis=-1)
    if per_prediction:
        close = (index == NEGATIVE) & (best >= threshold) & (best > 0)
        index = ops.where(close, first_greatest(common, axis=-1), index)
    return index, best


def _bipartite(common: Any, index: Any) -> Any:
    """Pairs the greatest overlap of each image, takes both out, and so on; of equal ones the first box, then truth."""
    batch, boxes, truths = ops.shape(common)
    box_places, truth_places = ops.arange(boxes, dtype="int32"), ops.arange(truths, dtype="int32")

    def step(_: Any, index: Any, free: Any) -> Any:
        left = ops.where((index == NEGATIVE)[..., None] & free[:, None], common, 0)
        left = ops.reshape(left, (batch, boxes * truths))
        place, overlaps = (
            first_greatest(left, axis=1)[:, None],
            ops.max(left, axis=1, keepdims=True) > 0,
        )
        box, truth = place // truths, place % truths
        index = ops.where(overlaps & (box == box_places), truth, index)
        return ops.any(overlaps), index, free & ~(overlaps & (truth == truth_places))

    start = (ops.any(common > 0), index, ops.ones_like(common[:, 0], dtype="bool"))
    return ops.while_loop(lambda more, index, free: more, step, start, maximum_iterations=truths)[1]


def mine(
    loss: Any,
    index: Any,
    eligible: Any,
    quota: Any,
    boxes: Boxes | None = None,
    threshold: float = 0.0,
    top_k: int = -1,
) -> Any:
    """The examples of greatest loss, `quota` (N,) of each image among the eligible.

    Args:
        loss, index, eligible: (N, P).
        boxes: four tensors (N or 1, P): first suppress what overlaps a better one by over `threshold`; None = do not.
        top_k: look at so many of greatest loss only; -1 = all.

    Returns:
        (N, P) booleans.
    """
    order = ops.argsort(ops.where(eligible, -loss, float("inf")), axis=1)
    chosen = ops.take(eligible, places(order, ops.shape(loss)[1]))
    if boxes is not None:
        if top_k > -1:
            chosen = chosen & (ops.arange(ops.shape(loss)[1]) < top_k)
        boxes = tuple(ops.take_along_axis(side, order, axis=1) for side in boxes)  # type: ignore[assignment]
        chosen = nms(boxes, chosen & (area(boxes) >= LEAST_AREA), threshold)
    chosen = chosen & (ops.cumsum(ops.cast(chosen, "int32"), axis=1) <= quota[:, None])
    return ops.take(chosen, places(ops.argsort(order, axis=1), ops.shape(loss)[1]))
