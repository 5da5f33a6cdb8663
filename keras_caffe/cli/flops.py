"""How much a layer of a plan computes."""

from __future__ import annotations

from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.shapes import known


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
