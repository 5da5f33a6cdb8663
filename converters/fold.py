"""A model for inference alone: the same outputs from fewer layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.passes import run_all
from keras_caffe.converters.rebuild import NodeBlobs, is_foreign, node_blobs, plan_again, rebuild
from keras_caffe.converters.trained import Trained
from keras_caffe.layers.context import LoadContext, loading


def fold(model: CaffeModel, keep: Sequence[str] | str = ()) -> CaffeModel:
    """Returns the model's net without the layers that inference does not need.

    BatchNorm, Scale and Bias go into the Convolution, Deconvolution or InnerProduct beside them where that is exact (it
    is their only neighbour on that side, channels are axis 1, the numbers are learned or stored); what is left of them
    becomes one Scale each. Dropout and Split go. Weights of inner products are
    stored transposed. Shared parameters and layers of foreign classes stay as they are.

    Args:
        model: a loaded CaffeModel; it is not changed.
        keep: blobs beside the net's outputs that keep their names and values.

    Returns:
        A new CaffeModel with values of its own. Its outputs have the names they had, and the values up to rounding
        (1e-5 relative). Other blobs may be gone, or hold what a folded layer makes of them.

    Raises:
        UnknownNameError: `keep` names what is no blob.

    Examples:
        >>> net = '''
        ... layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2] } } }
        ... layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 3 } }
        ... layer { name: "scale" type: "Scale" bottom: "ip" top: "ip" }'''
        >>> list(keras_caffe.fold(keras_caffe.load(net)).caffe_layers)
        ['ip']
    """
    keep = [keep] if isinstance(keep, str) else list(keep)
    model.net.check_blobs(keep)
    after = folded(model, keep)
    shapes = {k: v for k, v in model.recipe.input_shapes.items() if k in after.net.blobs}
    plan = plan_again(model, after.net, shapes, model.data_format)
    return rebuild(model, plan, after.blobs, shapes)


def folded(model: CaffeModel, keep: Iterable[str]) -> Trained:
    """The model's net and blobs after all passes."""
    with loading(LoadContext(model.recipe.fork)):
        return run_all(trained(model.plan, node_blobs(model), keep))


def trained(plan: Plan, blobs: NodeBlobs, keep: Iterable[str]) -> Trained:
    """A planned net and its blobs, for the passes.

    Args:
        plan: of the net.
        blobs: for each node its blobs in Caffe's shape and order.
        keep: blobs beside the net's outputs that keep their names and values.
    """
    net, keep = plan.net, list(keep)
    protected = {net.value(name).id for name in keep} | {net.last_write(name).id for name in keep}
    by_id = {net.values[name].producer for name in keep if name in net.values}
    return Trained(
        net,
        tuple(map(tuple, blobs)),
        plan.shapes,
        frozenset(_fixed(plan) | by_id),
        frozenset({*plan.outputs(), *protected}),
    )


def _fixed(plan: Plan) -> set[int]:
    """Nodes that keep their parameters: those that others use too, and those of `_keeps_its_blobs`."""
    shared: set[Any] = {index for pair in plan.owners.items() for index, _ in pair}
    return shared | {index for index, p in plan.layers.items() if _keeps_its_blobs(p)}


def _keeps_its_blobs(planned: PlannedLayer) -> bool:
    """Whether the layer's class is not ours, a pass overwrites its blobs, or its top adds to the loss."""
    return is_foreign(planned) or planned.layer.overwrites_blobs or any(planned.loss_weights)
