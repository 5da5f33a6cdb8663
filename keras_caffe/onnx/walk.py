"""Over the layers of a plan, in the net's order: each is written by its function."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.errors import ExportError, Option
from keras_caffe.layers import Proposal
from keras_caffe.onnx.edges import Edges
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.registry import is_precise, writer_of
from keras_caffe.onnx.site import Site
from keras_caffe.onnx.subject import Subject
from keras_caffe.shapes import Shape


def open_shapes(plan: Plan) -> dict[str, Shape]:
    """{value id: shape in Caffe's order}, None where a size is open; inputs that nobody feeds are as declared."""
    fixed = {value for s in plan.sources.values() if s.defaults is not None for value in s.node.outputs}
    shapes = {value: plan.shapes[value] if value in fixed else plan.input_shape(value) for value in plan.inputs}
    if any(isinstance(planned.layer, Proposal) for planned in plan.layers.values()):  # Regions are of one image.
        shapes = {value: (*plan.shapes[value][:1], *shape[1:]) for value, shape in shapes.items()}
    return plan.check_shapes(shapes) if plan.dynamic else dict(plan.shapes)


class NoWriterError(ExportError):
    """Some layers cannot be written.

    Attributes:
        layers: their names.
    """

    layers: Sequence[str] = ()


class Value(NamedTuple):
    """The tensor that holds a value of the net, and its kind of float."""

    tensor: Tensor
    float_type: str


def written(
    subject: Subject, shapes: Mapping[str, Shape], edges: Edges, wanted: Iterable[str], precision: str
) -> dict[str, Value]:
    """Writes all layers that the wanted values need.

    Args:
        subject: the net.
        shapes: {value id: shape in Caffe's order}; open sizes are None.
        edges: where inputs come from.
        wanted: value ids.
        precision: kind of floats of the layers that do not need more.

    Returns:
        {value id: its tensor}

    Raises:
        ExportError: some layers cannot be written; all of them are named.
    """
    plan, graph = subject.plan, edges.graph
    needed = plan.needed_for(wanted)
    values = _sources(plan, shapes, edges, needed)
    refusals: dict[str, ExportError] = {}
    for planned in plan.layers.values():
        node = planned.node
        if needed.isdisjoint(node.outputs):
            continue
        bottoms = [values[value] for value in node.inputs]
        graph.layer, graph.float_type = node.name, _float_type(planned, bottoms, precision)
        inputs = [graph.as_float(x.tensor, x.float_type, graph.float_type) for x in bottoms]
        site = Site(graph, planned, inputs, *_about(planned, shapes, subject.blobs[node.index]))
        try:
            tops = _tops_of(site)
        except ExportError as error:
            error.at(layer=f"{node.name!r} ({node.type})")
            refusals[node.name] = error
            tops = [graph.tensor() for _ in node.outputs]
        values.update({v: Value(top, graph.float_type) for v, top in zip(node.outputs, tops, strict=True)})
    graph.float_type = "float32"
    if refusals:
        raise _refused(refusals)
    return values


def _sources(plan: Plan, shapes: Mapping[str, Shape], edges: Edges, needed: Container[str]) -> dict[str, Value]:
    """The inputs; those that know their values are constants."""
    values = {}
    for source in plan.sources.values():
        for index, value in enumerate(source.node.outputs):
            if value in needed:
                name = plan.net.values[value].blob
                known = None if source.defaults is None else source.defaults[index]
                tensor = edges.input(name, shapes[value]) if known is None else edges.graph.weight(name, known)
                values[value] = Value(tensor, "float32")
    return values


def _float_type(planned: PlannedLayer, bottoms: Sequence[Value], precision: str) -> str:
    """The layer's kind of floats: layers that move values take them as they come."""
    moves = planned.layer.flops_per_top_value == 0 and bottoms
    if is_precise(planned.layer) or (moves and all(bottom.float_type == "float32" for bottom in bottoms)):
        return "float32"
    return precision


def _about(planned: PlannedLayer, shapes: Mapping[str, Shape], values: Sequence[np.ndarray]) -> Any:
    node = planned.node
    names = [f"{node.name}/{blob.name}" for blob in planned.blobs]
    tops, bottoms = ([shapes[value] for value in ids] for ids in (node.outputs, node.inputs))
    return bottoms, tops, list(zip(names, values, strict=True))


def _tops_of(site: Site) -> list[Tensor]:
    writer = writer_of(type(site.layer))
    if writer is None:
        raise ExportError(f"no writer for layers of class {type(site.layer).__name__}")
    tops = writer(site, *site.inputs)
    return [tops] if isinstance(tops, str) else list(tops)


def _refused(refusals: Mapping[str, ExportError]) -> NoWriterError:
    errors = list(refusals.values())
    listed = "; ".join(f"layer {error.layer}: {error.problem}" for error in errors)
    refused = NoWriterError(
        f"ONNX cannot say {len(errors)} layer{'s' if len(errors) > 1 else ''} of this net exactly: {listed}",
        expected=errors[0].expected if len(errors) == 1 else None,
        received=errors[0].received if len(errors) == 1 else None,
        fix=(
            Option("outputs", ..., "to export a part of the net without them"),
            "For layers of your own, write a function and register it with keras_caffe.onnx.writes.",
        ),
    )
    refused.layers = tuple(refusals)
    return refused
