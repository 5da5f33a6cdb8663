"""How much a layer of a plan computes."""

from __future__ import annotations

from keras_caffe.converters.infer import Plan, PlannedLayer


def flops(plan: Plan, planned: PlannedLayer) -> int | None:
    """Operations of one forward pass over the batch that the net declares; None if the layer does not say.

    The same if its values decide a size that the number depends on.
    """
    bottoms, tops = ([plan.shapes[value] for value in values] for values in (planned.node.inputs, planned.node.outputs))
    if planned.layer.flops_per_top_value == 0:  # whatever the sizes are
        return 0
    return None if any(None in shape for shape in (*bottoms, *tops)) else planned.layer.flops(bottoms, tops)
