"""A version of a model as TensorFlow Serving loads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.comparison import Row
from keras_caffe.converters.fold import folded
from keras_caffe.converters.labels import Labels, read_labels
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.plain import as_caffe
from keras_caffe.converters.preprocessing import fitted_pictures
from keras_caffe.converters.proof import Engine, check_report, prove_picks, write_report
from keras_caffe.converters.sample_shapes import asked_shapes, sample_shapes
from keras_caffe.errors import ExportError, Option, instead
from keras_caffe.ops.stock import stock_ops_only
from keras_caffe.runtimes.tensorflow import DEFAULT, TensorFlow
from keras_caffe.serving import card, stock, warmup
from keras_caffe.serving.dynamic import servable_model
from keras_caffe.serving.labels import lookup
from keras_caffe.serving.servable import (
    CLASSIFY,
    IMAGE_BYTES,
    PICTURE_FORMAT,
    Inputs,
    argument_names,
    classes,
    net_inputs,
    net_outputs,
    signature,
    signature_name,
)
from keras_caffe.serving.versions import new_version
from keras_caffe.shapes import count

Signatures = Mapping[str, Sequence[str] | str] | Sequence[str]


def export(
    model: CaffeModel,
    directory: str | Path,
    version: int | None = None,
    *,
    outputs: Sequence[str] | str | None = None,
    signatures: Signatures | None = None,
    preprocessing: Any = None,
    inputs: str = "tensor",
    labels: Sequence[str] | str | Path | None = None,
    top: int = 5,
    fold: bool = True,
    dynamic: bool = True,
    data_format: str | None = None,
    warm_up: bool | Mapping[str, Mapping[str, Any]] = True,
    tolerance: float | None = None,
    report: str | Path | None = None,
) -> Path:
    """Writes `<directory>/<version>/`, which a stock tensorflow_model_server loads, in one step.

    Args:
        model: a loaded CaffeModel, or a Keras model of parts of one and layers that Caffe has too; it is not changed.
        directory: the model's folder of versions; made if it is not there.
        version: a number from 1 on that is not taken; default: the next free one.
        outputs: blobs that the default signature, "serving_default", gives; default: the net's outputs.
        signatures: further signatures: {name: blobs}, or a list of blobs of which each becomes a signature.
        preprocessing: what the graph does to pictures: a `Preprocessing`, its arguments as a dict, or Caffe's
            transform_param. The input takes (N, H, W, C) pictures then, red-green-blue or grey, 0 to 255.
        inputs: "tensor", or "image_bytes": the input `image_bytes` (N,) takes encoded JPEG or PNG files.
        labels: names of the classes, as a list or a file with one a line; adds the signature "classify", whose outputs
            "classes" (names) and "scores" are (N, top), the best first.
        top: how many of them.
        fold: fold the net for inference first (`keras_caffe.fold`).
        dynamic: leave height and width open where the net allows it; the batch size always is, where it can be.
        data_format: order of blobs in requests: "channels_last" or "channels_first"; default: the model's.
        warm_up: write one request of zeros for each signature, or {signature: {input: array}} as requests, or nothing.
        tolerance: compare what TensorFlow makes of the version and what the model computes of random inputs, and refuse
            a greater difference than this part of a blob's largest value; None (default), or with image_bytes: do not.
        report: a file for what that found, blob by blob, as JSON.

    Returns:
        The path of the version.

    Raises:
        ExportError: the folder cannot be written, the version is taken, a layer or operation is not TensorFlow's own,
            pictures or labels do not fit the net, the version would compute something else than the model. Nothing is
            left behind then.
        NetError: there is no such blob; or lists the layers of a Keras model that Caffe has not.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> print(keras_caffe.export(model, "served/lenet"))
        served/lenet/1
    """
    check_report(report)
    how = (outputs, signatures, preprocessing, inputs, labels, top, fold, dynamic, data_format, warm_up, tolerance)
    path, rows = export_version(model, directory, version, Settings(*how))
    write_report(report, rows)
    return path


@dataclass(frozen=True)
class Settings:
    """How a version is written; see `export`."""

    outputs: Sequence[str] | str | None = None
    signatures: Signatures | None = None
    preprocessing: Any = None
    inputs: str = "tensor"
    labels: Sequence[str] | str | Path | None = None
    top: int = 5
    fold: bool = True
    dynamic: bool = True
    data_format: str | None = None
    warm_up: bool | Mapping[str, Mapping[str, Any]] = True
    tolerance: float | None = None

    @property
    def takes_pictures(self) -> bool:
        return self.preprocessing is not None or self.inputs == IMAGE_BYTES

    @property
    def asked_pictures(self) -> Any:
        """What is done with pictures; None if no input takes them."""
        return (self.preprocessing or {}) if self.takes_pictures else None


def export_version(
    model: CaffeModel, directory: str | Path, version: int | None, how: Settings
) -> tuple[Path, tuple[Row, ...]]:
    """Writes a version and, given a tolerance, runs it; its path, and one row for each output. See `export`."""
    model, outputs = as_caffe(model, how.outputs)
    names = _signatures(model, outputs, how)
    with new_version(directory, version) as new, stock_ops_only():
        built = _built(model, [blob for blobs in names.values() for blob in blobs or ()], how)
        fed = _inputs(model, built, how)
        functions = {name: signature(_part(built, blobs), fed) for name, blobs in names.items()}
        file = new.path / "labels.txt"
        assets: list[Any] = []
        if how.labels is not None:
            labels = read_labels(how.labels)
            functions[CLASSIFY], assets = _classify(model, built, names[DEFAULT], fed, labels, file, how.top)
        _save(functions, assets, new.path)
        file.unlink(missing_ok=True)  # Its copy is among the assets.
        if how.warm_up is not False:
            warmup.write(new.path, Path(directory).name, _requests(functions, fed, how.warm_up))
        rows = _proved(model, new.path, how)
        card.write(new.path, card.card(model, built, functions, _options(how)))
        return new.publish(), rows


def _built(model: CaffeModel, blobs: Sequence[str], how: Settings) -> CaffeModel:
    """The model to serve, which has these blobs."""
    trained = folded(model, blobs) if how.fold else None
    return servable_model(model, trained, how.data_format or model.data_format, how.dynamic)


def _proved(model: CaffeModel, saved: Path, how: Settings) -> tuple[Row, ...]:
    """What a run of the version found, if it is asked for; the model takes no encoded files."""
    if how.tolerance is None or how.inputs == IMAGE_BYTES:
        return ()
    pictures, order = fitted_pictures(how.asked_pictures, asked_shapes(model)), how.data_format or model.data_format

    @contextmanager
    def opened(outputs: Sequence[str] | None) -> Iterator[Engine]:
        path = saved if outputs is None else saved.with_name("more")
        if outputs is not None:
            built = _built(model, outputs, how)
            fed = _inputs(model, built, how)
            _save({DEFAULT: signature(built.extract(outputs), fed)}, [], path)
        runtime = TensorFlow(path)
        names = argument_names(model, runtime.inputs)
        yield Engine(runtime, order, names, pictures=pictures, picture_format=PICTURE_FORMAT)

    return prove_picks(model, opened, how.tolerance)


def _options(how: Settings) -> dict[str, Any]:
    """What the card says of them."""
    preprocessing = repr(how.preprocessing)
    return {"fold": how.fold, "dynamic": how.dynamic, "inputs": how.inputs, "preprocessing": preprocessing}


def _signatures(model: CaffeModel, outputs: Sequence[str] | str | None, how: Settings) -> dict[str, list[str] | None]:
    """{signature: its blobs}; None: the net's outputs. Raises ExportError, NetError for what cannot be served."""
    more = how.signatures
    named = (
        more.items() if isinstance(more, Mapping) else [(signature_name(blob), [blob]) for blob in _list(more) or ()]
    )
    taken = [*([DEFAULT] if outputs is not None else []), *([CLASSIFY] if how.labels is not None else [])]
    for name, uses in Counter([*taken, *(name for name, _ in named)]).items():
        if uses > 1:
            why = "labels add it" if name == CLASSIFY else "outputs set it, or two blobs have it"
            raise ExportError(
                f"the name of signature {name!r} is taken", received=why, fix="Give a dict of other names."
            )
    names = {DEFAULT: _list(outputs), **{name: _list(blobs) for name, blobs in named}}
    for blobs in filter(None, names.values()):
        model.extract(blobs)  # Refuses names that are no blobs.
    stock.check_layers(model, _values(model, names))
    return names


def _values(model: CaffeModel, names: Mapping[str, list[str] | None]) -> list[str]:
    """Ids of all values that signatures give."""
    blobs = [model.net.last_write(blob).id for blobs in names.values() for blob in blobs or ()]
    return [*blobs, *(model.plan.outputs() if None in names.values() else ())]


def _list(names: Sequence[str] | str | None) -> list[str] | None:
    return [names] if isinstance(names, str) else None if names is None else list(names)


def _part(built: CaffeModel, blobs: list[str] | None) -> Any:
    return built.extract(blobs) if blobs else net_outputs(built)


def _inputs(model: CaffeModel, built: CaffeModel, how: Settings) -> Inputs:
    if how.inputs not in ("tensor", IMAGE_BYTES):
        raise ExportError("no such inputs", expected=f"tensor or {IMAGE_BYTES}", received=how.inputs)
    pictures = fitted_pictures(how.asked_pictures, asked_shapes(model))
    return net_inputs(built, sample_shapes(model.plan), pictures, encoded=how.inputs == IMAGE_BYTES)


def _classify(
    model: CaffeModel,
    built: CaffeModel,
    blobs: list[str] | None,
    fed: Inputs,
    labels: Labels,
    file: Path,
    top: int,
) -> tuple[Any, list[Any]]:
    """The signature, and what the module must hold on to."""
    blobs = blobs or [model.net.values[value].blob for value in model.net.outputs]
    if len(blobs) != 1:
        raise ExportError("labels need one output", received=", ".join(blobs), fix=Option("outputs", ..., "to name it"))
    shape = model.caffe_shapes[blobs[0]]
    size = count(shape[1:]) or 0
    if len(labels.names) != size:
        raise ExportError(
            f"wrong number of labels for blob {blobs[0]!r}",
            where=labels.where,
            expected=size,
            received=len(labels.names),
        )
    if top < 1:
        raise ExportError("top is not a number of classes", expected="1 or more", received=top)
    table, assets = lookup(file, labels)
    return signature(built.extract(blobs), fed, classes(table, blobs[0], size, top)), assets


def _save(functions: Mapping[str, Any], assets: list[Any], path: Path) -> None:
    stock.check_functions(functions.values())
    module = tf.Module()
    module.weights = [v for f in functions.values() for v in f.variables]
    module.assets = assets
    try:
        tf.saved_model.save(module, str(path), signatures=dict(functions))
    except tf.errors.OpError as error:
        raise OSError(None, error.message) from error


def _requests(functions: Mapping[str, Any], fed: Inputs, given: Any) -> dict[str, dict[str, np.ndarray]]:
    if isinstance(given, Mapping):
        unknown = set(given) - set(functions)
        if unknown:
            raise ExportError(f"no signature {', '.join(map(repr, unknown))}", **instead(unknown, functions))
        return {name: warmup.request(name, functions[name], inputs) for name, inputs in given.items()}
    return {name: {key: fed.example[key] for key in card.table(f)["inputs"]} for name, f in functions.items()}
