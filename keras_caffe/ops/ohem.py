"""Online hard example mining of R-FCN: which regions count, by their losses."""

from __future__ import annotations

from typing import Any

from keras import ops


def hardest_of_each_image(images: Any, losses: Any, count: int) -> Any:
    """Which regions are among the `count` of their image with the greatest losses; of equal ones the earlier.

    Args:
        images: (R,) the image of each region.
        losses: (R,).
        count: regions of an image.

    Returns:
        (R,) booleans.
    """
    order = ops.argsort(-losses)
    images = ops.take(ops.cast(images, "int32"), order)
    place = ops.arange(ops.shape(images)[0], dtype="int32")
    before = ops.equal(images, images[:, None]) & (place < place[:, None])
    chosen = ops.sum(ops.cast(before, "int32"), axis=1) < count
    return ops.take(chosen, ops.argsort(order))
