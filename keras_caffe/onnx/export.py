"""Caffe nets as ONNX files, straight from their plans: no TensorFlow, no trace."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_caffe.converters.comparison import Row
from keras_caffe.converters.digest import sha256
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.load import load
from keras_caffe.converters.model import CaffeModel, output_name
from keras_caffe.converters.write import replacing
from keras_caffe.errors import CaffeWarning, ExportError, Option
from keras_caffe.layout import DATA_FORMATS, edge_order, inverse, to_stored
from keras_caffe.onnx.graph import Graph, Tensor
from keras_caffe.onnx.naming import named
from keras_caffe.onnx.proof import prove, write_report
from keras_caffe.onnx.registry import writer_of
from keras_caffe.onnx.site import Site
from keras_caffe.onnx.subject import CAFFE, Subject, of_files, of_model
from keras_caffe.ops.stock import stock_ops_only
from keras_caffe.shapes import Shape
from keras_caffe.version import __version__

OPSET = 17
OLDEST_OPSET = 13


def to_onnx(
    model: Any,
    weights: Any = None,
    file: str | Path | None = None,
    *,
    outputs: Sequence[str] | str | None = None,
    dynamic: bool = False,
    fold: bool = True,
    opset: int = OPSET,
    data_format: str = CAFFE,
    tolerance: float | None = None,
    report: str | Path | None = None,
    **options: Any,
) -> Path:
    """Writes a net as an ONNX file in Caffe's order of axes, (N, C, H, W), with Caffe's names.

    Inputs and outputs are named by Caffe's blobs, nodes by its layers, learned values `layer/blob`. The batch is open
    and named N wherever the net allows any.

    Args:
        model: a loaded CaffeModel, which is not changed; or a prototxt as `load` takes it: then no model is built.
        weights: the trained values for a prototxt; with a model, the file may stand here.
        file: the file to write.
        outputs: blobs to give; default: the net's outputs.
        dynamic: leave height and width open, too, where the net allows it.
        fold: fold the net for inference first: BatchNorm and Scale go into the layers beside them.
        opset: ONNX's version of operations, 13 or newer.
        data_format: order of the axes at the edges: "channels_first", which is Caffe's, or "channels_last".
        tolerance: run the file in ONNX Runtime beside the model on random inputs, and refuse a greater difference than
            this part of a blob's largest value; None (default): the file is not run.
        report: a file for what that found, blob by blob, as JSON.
        **options: further arguments of `load`, for a prototxt.

    Returns:
        The file's path.

    Raises:
        ExportError: the package onnx is not there, ONNX cannot say a layer exactly (the error names all such layers),
            or the file computes something else than the model.
        ReadError: the file cannot be written. With a prototxt all that `load` raises.
        Whatever is raised, an old file of this name is whole.
    """
    if file is None:
        weights, file = None, weights
    if file is None:
        raise ExportError("there is no file to write", expected="its path as the last argument")
    if isinstance(model, keras.Model) and not isinstance(model, CaffeModel):
        return _by_keras(model, Path(file), opset)
    settings = Settings(outputs, dynamic, fold, opset, data_format, tolerance)
    rows = export_net(model, weights, Path(file), settings, options)
    if report is not None:
        write_report(Path(report), rows)
    return Path(file)


@dataclass(frozen=True)
class Settings:
    """How a net is exported; see `to_onnx`. Raises ExportError if something is missing or no such opset is known."""

    outputs: Sequence[str] | str | None = None
    dynamic: bool = False
    fold: bool = True
    opset: int = OPSET
    data_format: str = CAFFE
    tolerance: float | None = None

    def __post_init__(self) -> None:
        try:
            import onnx
        except ImportError:
            fix = "Install it with `pip install 'keras-caffe[onnx]'`."
            raise ExportError("the package onnx is needed to write ONNX files", fix=fix) from None
        newest = onnx.defs.onnx_opset_version()
        if not OLDEST_OPSET <= self.opset <= newest:
            raise ExportError("no such opset", expected=f"{OLDEST_OPSET} to {newest}", received=self.opset)
        if self.data_format not in DATA_FORMATS:
            raise ExportError("no such data_format", expected=" or ".join(DATA_FORMATS), received=self.data_format)

    @property
    def blobs(self) -> list[str]:
        return [self.outputs] if isinstance(self.outputs, str) else list(self.outputs or ())


def export_net(net: Any, weights: Any, file: Path, settings: Settings, options: Mapping[str, Any]) -> tuple[Row, ...]:
    """Writes a net and, given a tolerance, runs it; returns what that found, one row for each output. See `to_onnx`."""
    if isinstance(net, CaffeModel):
        if options:
            raise TypeError(f"to_onnx of a model takes no {', '.join(options)}")
        subject = of_model(net)
    else:
        subject = of_files(net, weights, options)
    subject.plan.net.check_blobs(settings.blobs)
    subject = subject.folded(settings.blobs) if settings.fold else subject
    subject = subject.opened() if settings.dynamic else subject
    with replacing(file) as temporary:
        write_subject(subject, temporary, file.with_name(f"{file.name}.data"), settings)
        if settings.tolerance is None:
            return ()
        model = net if isinstance(net, CaffeModel) else load(net, weights, **options)
        return prove(model, temporary, settings.tolerance, settings.data_format)


def write_subject(subject: Subject, file: Path, beside: Path, settings: Settings) -> None:
    """Writes what was read."""
    from keras_caffe.onnx.file import write
    from keras_caffe.onnx.model import message

    net = subject.plan.net
    wanted = {name: net.last_write(name).id for name in settings.blobs} or {
        output_name(net, value): value for value in subject.plan.outputs()
    }
    graph, shapes = Graph(settings.opset), _open_shapes(subject.plan)
    edges = Edges(graph, settings.data_format)
    tensors = _written(subject, shapes, edges, wanted.values())
    tops = edges.outputs({name: tensors[value] for name, value in wanted.items()}, [shapes[v] for v in wanted.values()])
    names = named(graph, net, tensors, {name: tensor for name, (tensor, _) in tops.items()})
    model = message(net.name, graph, names, dict(tops.values()), _metadata(subject))
    write(file, model, {names[tensor]: _stored(values) for tensor, (_, values) in graph.weights.items()}, beside)


@dataclass(frozen=True)
class Edges:
    """Where callers see the blobs: in Caffe's order, or those of four and more axes with the channels last."""

    graph: Graph
    data_format: str

    def input(self, name: str, shape: Shape) -> Tensor:
        order = edge_order(len(shape), self.data_format)
        tensor = self.graph.input(name, to_stored(shape, order))
        return self._turned(tensor, inverse(order))

    def outputs(self, tensors: Mapping[str, Tensor], shapes: Sequence[Shape]) -> dict[str, tuple[Tensor, Shape]]:
        """{name: (tensor, shape)} of the outputs, each a tensor of its own that an operation gives."""
        self.graph.layer = "outputs"
        tops: dict[str, tuple[Tensor, Shape]] = {}
        given = {top for operation in self.graph.operations for top in operation.outputs}
        for (name, tensor), shape in zip(tensors.items(), shapes, strict=True):
            order = edge_order(len(shape), self.data_format)
            turned = self._turned(tensor, order)
            if turned == tensor and (tensor not in given or tensor in (top for top, _ in tops.values())):
                turned = self.graph.op("Identity", tensor)
            tops[name] = turned, to_stored(shape, order)
        return tops

    def _turned(self, tensor: Tensor, axes: Sequence[int]) -> Tensor:
        return tensor if list(axes) == sorted(axes) else str(self.graph.op("Transpose", tensor, perm=list(axes)))


def _stored(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, "<f4")


def _open_shapes(plan: Plan) -> dict[str, Shape]:
    """{value id: shape in Caffe's order}, None where a size is open; inputs that nobody feeds are as declared."""
    fixed = {value for s in plan.sources.values() if s.defaults is not None for value in s.node.outputs}
    shapes = {value: plan.shapes[value] if value in fixed else plan.input_shape(value) for value in plan.inputs}
    return plan.check_shapes(shapes) if plan.dynamic else dict(plan.shapes)


def _written(subject: Subject, shapes: Mapping[str, Shape], edges: Edges, wanted: Iterable[str]) -> dict[str, Tensor]:
    """Writes all layers that the wanted values need; returns {value id: tensor}.

    Raises:
        ExportError: some layers cannot be written; all of them are named.
    """
    plan, graph = subject.plan, edges.graph
    needed = plan.needed_for(wanted)
    tensors: dict[str, Tensor] = {}
    for source in plan.sources.values():
        for index, value in enumerate(source.node.outputs):
            if value in needed:
                name = plan.net.values[value].blob
                default = None if source.defaults is None else graph.weight(name, source.defaults[index])
                tensors[value] = default or edges.input(name, shapes[value])
    refusals = []
    for planned in plan.layers.values():
        if needed.isdisjoint(planned.node.outputs):
            continue
        graph.layer = planned.node.name
        bottoms = [tensors[value] for value in planned.node.inputs]
        site = Site(graph, planned, bottoms, *_about(planned, shapes, subject.blobs[planned.node.index]))
        try:
            tops = _tops_of(site)
        except ExportError as error:
            error.at(layer=f"{planned.node.name!r} ({planned.node.type})")
            refusals.append(error)
            tops = [graph.tensor() for _ in planned.node.outputs]
        tensors.update(zip(planned.node.outputs, tops, strict=True))
    if refusals:
        raise _refused(refusals)
    return tensors


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


def _refused(refusals: Sequence[ExportError]) -> ExportError:
    listed = "; ".join(f"layer {error.layer}: {error.problem}" for error in refusals)
    return ExportError(
        f"ONNX cannot say {len(refusals)} layer{'s' if len(refusals) > 1 else ''} of this net exactly: {listed}",
        expected=refusals[0].expected if len(refusals) == 1 else None,
        received=refusals[0].received if len(refusals) == 1 else None,
        fix=(
            Option("outputs", ..., "to export a part of the net without them"),
            "For layers of your own, write a function and register it with keras_caffe.onnx.writes.",
        ),
    )


def _metadata(subject: Subject) -> dict[str, str]:
    sources = [{"file": path.name, "sha256": sha256(path)} for path in subject.files]
    return {"keras_caffe": __version__, "sources": json.dumps(sources), "channel_order": "as the net's inputs"}


def _by_keras(model: keras.Model, file: Path, opset: int) -> Path:
    """Models that are no Caffe nets go Keras's own way."""
    warnings.warn(
        f"{model.name!r} is no Caffe net: Keras's own export writes it by tracing it with tf2onnx, in Keras's order "
        "of axes and with TensorFlow's names",
        CaffeWarning,
        stacklevel=3,
    )
    fed = model.inputs[0] if len(model.inputs) == 1 else model.input
    inputs = keras.tree.map_structure(lambda x: keras.InputSpec(x.dtype, x.shape, name=x.name), fed)
    with replacing(file) as temporary, stock_ops_only():
        try:
            model.export(str(temporary), "onnx", verbose=False, input_signature=[inputs], opset_version=opset)
        except ImportError:
            fix = "Install it with `pip install 'keras-caffe[tf2onnx]'`."
            raise ExportError("tf2onnx is needed to write what is no Caffe net", fix=fix) from None
        except (ValueError, NotImplementedError, RuntimeError) as error:
            raise ExportError("tf2onnx cannot convert the model", received=error) from error
    return file
