"""Caffe nets as ONNX files, straight from their plans: no TensorFlow, no trace."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_caffe.converters.choices import OPSET
from keras_caffe.converters.comparison import Row
from keras_caffe.converters.digest import sha256
from keras_caffe.converters.graph import Net
from keras_caffe.converters.labels import read_labels
from keras_caffe.converters.load import load
from keras_caffe.converters.model import CaffeModel, output_name
from keras_caffe.converters.plain import as_caffe
from keras_caffe.converters.preprocessing import fitted_pictures
from keras_caffe.converters.proof import Engine, check_report, prove_picks, write_report
from keras_caffe.converters.sample_shapes import declared_shapes
from keras_caffe.converters.write import replacing
from keras_caffe.errors import CaffeWarning, ExportError, NetError
from keras_caffe.layout import DATA_FORMATS
from keras_caffe.onnx.edges import Edges
from keras_caffe.onnx.graph import FLOAT_TYPES, Graph, Weight
from keras_caffe.onnx.naming import named
from keras_caffe.onnx.subject import CAFFE, Subject, of_files, of_model
from keras_caffe.onnx.walk import open_shapes, written
from keras_caffe.ops.stock import stock_ops_only
from keras_caffe.runtimes.apart import Apart
from keras_caffe.runtimes.base import Runtime
from keras_caffe.runtimes.onnxruntime import OnnxRuntime
from keras_caffe.version import __version__
from keras_caffe.whole import place

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
    losses: bool = False,
    precision: str = "float32",
    preprocessing: Any = None,
    labels: Sequence[str] | str | Path | None = None,
    tolerance: float | None = None,
    report: str | Path | None = None,
    **options: Any,
) -> Path:
    """Writes a net as an ONNX file: blobs have Caffe's order (N, C, H, W) and names; N is open if possible.

    Args:
        model: a loaded CaffeModel, or a Keras model of parts of one and layers that Caffe has too; or a
            prototxt as `load` takes it: then no model is built. A model is not changed.
        weights: the trained values for a prototxt; with a model, the file may stand here.
        file: the file to write.
        outputs: blobs to give; default: the net's outputs, with what losses and accuracies are made of in their place.
        dynamic: leave height and width open, too, if the net allows it.
        fold: fold the net for inference first: BatchNorm and Scale go into the layers beside them.
        opset: ONNX's version of operations, 13 or newer.
        data_format: order of the axes at the edges: "channels_first", which is Caffe's, or "channels_last".
        losses: give losses and accuracies, too; their labels are inputs then.
        precision: "float32", or "float16" of values and layers but those of indices, boxes, losses, sums of squares;
            the edges are float32 in either case.
        preprocessing: as of `export`: the file takes pictures, red-green-blue from 0 to 255, (N, C, H, W).
        labels: names of the classes, or a file with one a line, for the file's metadata.
        tolerance: compare what ONNX Runtime and the model make of random inputs, and refuse a greater difference than
            this part of a blob's largest value; None (default): the file is not run.
        report: a file for what that found, blob by blob, as JSON.
        **options: further arguments of `load`, for a prototxt.

    Returns: the file's path.

    Raises:
        ExportError: the package onnx is missing, the file would compute something else than the model, or ONNX cannot
            say some layers exactly: it names all of them. An old file of this name is whole then.
        ReadError: the file cannot be written. With a prototxt all that `load` raises.

    Examples:
        >>> from keras_caffe import samples
        >>> files = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
        >>> print(keras_caffe.to_onnx(*files, "lenet.onnx"))
        lenet.onnx
    """
    weights, file = (weights, file) if file is not None else (None, weights)
    if file is None:
        raise ExportError("there is no file to write", expected="its path as the last argument")
    check_report(report)
    if isinstance(model, keras.Model):
        try:
            model, outputs = as_caffe(model, outputs)
        except NetError as error:
            return _by_keras(model, Path(file), opset, error)
    how = Settings(outputs, dynamic, fold, opset, data_format, losses, precision, preprocessing, labels, tolerance)
    rows = export_net(model, weights, Path(file), how, options)
    write_report(report, rows)
    return Path(file)


@dataclass(frozen=True)
class Settings:
    """How a net is exported; see `to_onnx`. Raises ExportError if something is missing or no such opset is known."""

    outputs: Sequence[str] | str | None = None
    dynamic: bool = False
    fold: bool = True
    opset: int = OPSET
    data_format: str = CAFFE
    losses: bool = False
    precision: str = "float32"
    preprocessing: Any = None
    labels: Sequence[str] | str | Path | None = None
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
        if self.precision not in FLOAT_TYPES:
            raise ExportError("no such precision", expected=" or ".join(FLOAT_TYPES), received=self.precision)

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
    from keras_caffe.onnx.file import beside

    with replacing(file) as temporary:
        settings = _write(subject, temporary, settings)
        rows: tuple[Row, ...] = ()
        if settings.tolerance is not None:
            model = net if isinstance(net, CaffeModel) else load(net, weights, **options)
            write = partial(_write, subject)
            rows = proved(model, temporary, settings, settings.tolerance, OnnxRuntime, write)
        if (values := beside(temporary)).exists():  # in its place before the file that names it
            place(values, beside(file.resolve()))
        return rows


def proved(
    model: CaffeModel,
    file: Path,
    settings: Settings,
    tolerance: float,
    runtime: type[Runtime],
    write: Callable[[Path, Settings], Any],
) -> tuple[Row, ...]:
    """What a check of a written file finds, one row for each output.

    Args:
        model: what it was made of.
        file: the file.
        settings: by which it was made.
        tolerance: greatest difference, as a part of a blob's largest value.
        runtime: the engine that the file is for.
        write: writes a file of other outputs.

    Raises:
        ExportError: the engine refuses it, or computes something else.
    """
    pictures = fitted_pictures(settings.preprocessing, declared_shapes(model.plan))

    @contextmanager
    def opened(outputs: Sequence[str] | None) -> Iterator[Engine]:
        path = file if outputs is None else file.with_name(f"more_{file.name}")
        if outputs is not None:
            write(path, replace(settings, outputs=outputs))
        with Apart(runtime, path) as engine:
            yield Engine(engine, settings.data_format, outputs=outputs or settings.blobs, pictures=pictures)

    return prove_picks(model, opened, tolerance)


def prepared(subject: Subject, settings: Settings) -> tuple[Subject, Settings]:
    """The net folded, if that is asked for, and the settings with the names of the outputs. Raises UnknownNameError."""
    subject.plan.net.check_blobs(settings.blobs)
    names = settings.blobs or ([] if settings.losses else _blobs(subject.plan.net, subject.predictions()))
    return (subject.folded(names) if settings.fold else subject), replace(settings, outputs=names)


def _blobs(net: Net, values: Iterable[str]) -> list[str]:
    """Names for values: their blobs', unless a later layer overwrites that."""
    return [net.values[v].blob if net.last_write(net.values[v].blob).id == v else v for v in values]


def _write(subject: Subject, file: Path, settings: Settings) -> Settings:
    """Writes a net with open sizes, if they are asked for and every layer allows it; how it has done that."""
    subject, settings = prepared(subject, settings)
    opened = subject.opened() if settings.dynamic else subject
    try:
        write_subject(opened, file, settings)
    except ExportError:
        if opened is subject:
            raise
        write_subject(subject, file, settings)
        opened = subject
    if settings.dynamic and opened is subject:
        warnings.warn("height and width stay as they are declared: some layer must know them", CaffeWarning, 5)
        return replace(settings, dynamic=False)
    return settings


def write_subject(subject: Subject, file: Path, settings: Settings) -> None:
    """Writes what was read."""
    from keras_caffe.onnx.file import write

    write(file, *_composed(subject, settings))


def model_bytes(subject: Subject, settings: Settings) -> bytes:
    """The file's content. Raises ExportError if that is more than one file can hold."""
    from keras_caffe.onnx.file import serialized

    return serialized(*_composed(subject, settings))


def _composed(subject: Subject, settings: Settings) -> tuple[Any, dict[str, np.ndarray]]:
    """The message without its weights, and {name: weight}."""
    from keras_caffe.onnx.model import message

    net, graph, shapes = subject.plan.net, Graph(settings.opset), open_shapes(subject.plan)
    outputs = subject.plan.outputs()
    computed = [value for value in outputs if value not in subject.plan.inputs]  # not inputs that nobody reads
    wanted = {name: net.last_write(name).id for name in settings.blobs} or {
        output_name(net, value): net.held(value) for value in computed or outputs
    }
    edges = Edges(graph, settings.data_format, fitted_pictures(settings.preprocessing, subject.shapes))
    values = written(subject, shapes, edges, wanted.values(), settings.precision)
    floats = {name: graph.as_float(*values[value], "float32") for name, value in wanted.items()}
    tops = edges.outputs(floats, [shapes[value] for value in wanted.values()])
    tensors = {value: found.tensor for value, found in values.items()}
    names = named(graph, net, tensors, {name: tensor for name, (tensor, _) in tops.items()})
    model = message(net.name, graph, names, dict(tops.values()), subject.shapes, _metadata(subject, settings))
    return model, {names[tensor]: _stored(weight) for tensor, weight in graph.weights.items()}


def _stored(weight: Weight) -> np.ndarray:
    """The values as the file holds them. Raises ExportError if half precision has no room for them."""
    if weight.float_type == "float32":
        return np.ascontiguousarray(weight.values, "<f4")
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(weight.values, "<f2")
    if np.isinf(half).any() and not np.isinf(weight.values).any():
        most, received = np.finfo("float16").max, f"{np.abs(weight.values).max():g}"
        raise ExportError(
            f"{weight.name} is too large for half precision", expected=f"up to {most:g}", received=received
        )
    return half


def _metadata(subject: Subject, settings: Settings) -> dict[str, str]:
    """What the file says about itself beside the graph, each as text or JSON."""
    sources = [{"file": path.name, "sha256": sha256(path)} for path in subject.files]
    said = {"keras_caffe": __version__, "sources": json.dumps(sources), "precision": settings.precision}
    if settings.labels is not None:
        said["labels"] = json.dumps(read_labels(settings.labels).names)
    if settings.preprocessing is None:
        return said
    (fitted,) = fitted_pictures(settings.preprocessing, subject.shapes).values()
    mean = fitted.mean if fitted.mean.shape[:2] == (1, 1) else fitted.mean.mean((0, 1))
    said |= {"mean": json.dumps(np.ravel(mean).tolist()), "scale": json.dumps(fitted.scale)}
    return said | {"channel_order": "RGB" if fitted.channels == 3 else "grey"}


def _by_keras(model: keras.Model, file: Path, opset: int, reason: NetError) -> Path:
    """Models that are no Caffe nets go Keras's own way."""
    warnings.warn(
        f"{model.name!r} is not a Caffe net ({reason.problem}): "
        "Keras's own export writes it by tracing it with tf2onnx, in Keras's order "
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
            raise ExportError(
                "tf2onnx is needed to export a model that is not a Caffe net", received=reason.problem, fix=fix
            ) from None
        except (ValueError, NotImplementedError, RuntimeError) as error:
            raise ExportError("tf2onnx cannot convert the model", received=error) from error
    return file
