"""The model to export: the net with every size open that it can leave open."""

from __future__ import annotations

from keras_caffe.converters.infer import Plan
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.rebuild import NodeBlobs, node_blobs, plan_again, rebuild
from keras_caffe.converters.sample_shapes import declared_shapes
from keras_caffe.converters.trained import Trained
from keras_caffe.errors import CaffeError
from keras_caffe.layers import Convolution, Deconvolution, Im2col
from keras_caffe.layers.spatial import windows_fit
from keras_caffe.layout import to_stored
from keras_caffe.shapes import Shape


def servable_model(
    model: CaffeModel,
    trained: Trained | None,
    data_format: str,
    dynamic: bool,
    single: bool = False,
    dtype: str | None = None,
) -> CaffeModel:
    """The model built again for an export.

    Args:
        model: what shall be exported.
        trained: its folded net and blobs; None: its own.
        data_format: how callers of the export see blobs.
        dynamic: height and width may change from one request to the next if the net allows it.
        single: the batch is 1 for good, not open, where the net allows any and callers feed all of its inputs.
        dtype: Keras dtype or policy to compute in, with fixed sizes; None: the model's.
    """
    net = trained.net if trained else model.net
    blobs: NodeBlobs = trained.blobs if trained else node_blobs(model)
    declared = declared_shapes(model.plan)
    fixed, fed = plan_again(model, net, declared, data_format, dtype), _fed(model)
    if single and fixed.dynamic:
        first = {name: (1, *shape[1:]) if shape else shape for name, shape in declared.items()}
        if set(declared) == fed and (alone := _planned(model, net, first, data_format)) is not None:
            declared, fixed = first, alone
        fixed.dynamic = False
    shapes = {name: _open(shape) if name in fed else shape for name, shape in declared.items()}
    opened = _planned(model, net, shapes, data_format) if dynamic and shapes != declared else None
    if opened is not None and opened.dynamic and fixed.differs_in_sizes_alone(opened) and _kernels_fit(fixed):
        return rebuild(model, opened, blobs, shapes)
    return rebuild(model, fixed, blobs, declared)


def _fed(model: CaffeModel) -> set[str]:
    """The inputs that callers must feed: those without a default."""
    fed = [source.node for source in model.plan.sources.values() if source.defaults is None]
    return {model.net.values[value].blob for node in fed for value in node.outputs}


def _open(shape: Shape) -> Shape:
    return (shape[0], shape[1], None, None) if len(shape) == 4 else shape


def _planned(model: CaffeModel, net, shapes, data_format: str) -> Plan | None:
    try:
        return plan_again(model, net, shapes, data_format)
    except CaffeError:
        return None


def _kernels_fit(plan: Plan) -> bool:
    """Whether each kernel fits into its bottom: where one does not, only known sizes give Caffe's pixels."""
    windowed = (p for p in plan.layers.values() if isinstance(p.layer, (Convolution, Im2col)))
    return all(
        isinstance(p.layer, Deconvolution)
        or windows_fit(to_stored(plan.shapes[p.node.inputs[0]], p.orders[0]), p.layer)
        for p in windowed
    )
