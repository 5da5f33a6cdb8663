"""How much the layers of a plan compute and keep."""

from __future__ import annotations

from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.shapes import count, known


def flops(plan: Plan, planned: PlannedLayer) -> int | None:
    """Operations of one forward pass over the batch that the net declares; None if the layer does not say.

    The same if its values decide a size that the number depends on.
    """
    if planned.layer.flops_per_top_value == 0:  # whatever the sizes are
        return 0
    node, shapes = planned.node, plan.shapes
    if any(None in shapes[value] for value in (*node.inputs, *node.outputs)):
        return None
    bottoms, tops = ([known(shapes[value]) for value in values] for values in (node.inputs, node.outputs))
    return planned.layer.flops(bottoms, tops)


def parameters(plan: Plan, index: int) -> int:
    """How many values a node's blobs hold, without those that it shares with a layer above."""
    blobs = enumerate(plan.blobs(index))
    return sum(count(blob.shape) or 0 for number, blob in blobs if (index, number) not in plan.owners)
