"""The whole way from Caffe files to a Keras model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_caffe.converters import weights as weight_files
from keras_caffe.converters.backward import check_gradients
from keras_caffe.converters.build import build
from keras_caffe.converters.graph import Net, graph
from keras_caffe.converters.infer import Plan, infer
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.read import is_text_file, read_net
from keras_caffe.converters.recipe import Recipe
from keras_caffe.converters.select import select
from keras_caffe.converters.splits import with_splits
from keras_caffe.converters.upgrade import upgrade
from keras_caffe.errors import LayerError, NetError, ReadError
from keras_caffe.layers.base import LoadContext, loading
from keras_caffe.layout import DATA_FORMATS
from keras_caffe.proto.text import to_text


def load(
    prototxt: str | Path | Any,
    weights: str | Path | Sequence[str | Path] | None = None,
    *,
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    data_format: str | None = None,
    custom_layers: Mapping[str, type] | None = None,
    python_layers: Mapping[str, type] | None = None,
    skip_mismatch: bool = False,
    fork: str | None = None,
    strict: bool = False,
    dtype: Any = None,
    allow_python_imports: bool = False,
) -> CaffeModel:
    """Loads a Caffe network as a Keras model.

    Args:
        prototxt: path, prototxt text, or NetParameter; V0, V1 and V2 definitions.
        weights: `.caffemodel` or `.caffemodel.h5` file, or several that are applied in order.
        phase: "TRAIN" or "TEST": which layers survive include/exclude rules.
        level, stages: likewise.
        input_shapes: {blob: shape in Caffe's order (N, C, H, W)} where the net does not state it, or to replace it;
            None for a size that shall stay dynamic.
        data_format: "channels_last" or "channels_first" (Caffe's own) at the model's edges; default: Keras's.
        custom_layers: {Caffe type: layer class} for this call.
        python_layers: {"module.Class": class} for layers of type "Python".
        skip_mismatch: leave layers whose stored blobs do not fit at their fillers.
        fork: "bvlc", "ssd", ...: settles what forks define differently under one name.
        strict: unknown fields in the prototxt are an error instead of a warning.
        dtype: Keras dtype or policy for the layers; default: Keras's own policy.
        allow_python_imports: import the modules that layers of type "Python" name; only for files you trust.

    Returns:
        A CaffeModel; see there for how it is called and what it knows about the net.

    Raises:
        ReadError, WeightsError: a file is missing, broken, or of another format; the weights do not fit.
        NetError, UnknownLayerError, LayerError, ShapeError: the net is refused, with file, line, layer and reason.
    """
    check_order(prototxt, weights)
    planned, recipe = plan(
        prototxt,
        phase=phase,
        level=level,
        stages=stages,
        input_shapes=input_shapes,
        data_format=data_format,
        custom_layers=custom_layers,
        python_layers=python_layers,
        fork=fork,
        strict=strict,
        dtype=dtype,
        allow_python_imports=allow_python_imports,
    )
    return _filled(planned, recipe, weights, skip_mismatch, _named_file(prototxt))


def plan(
    prototxt: str | Path | Any,
    *,
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    data_format: str | None = None,
    custom_layers: Mapping[str, type] | None = None,
    python_layers: Mapping[str, type] | None = None,
    fork: str | None = None,
    strict: bool = False,
    dtype: Any = None,
    allow_python_imports: bool = False,
    splits: bool = False,
) -> tuple[Plan, Recipe]:
    """The first half of `load`, with its arguments: all that is known of the model before its memory is taken.

    With `splits`, Caffe's Split layers are inserted first.
    """
    data_format = _checked_format(data_format)
    if not isinstance(input_shapes or {}, Mapping):
        raise NetError(
            "input_shapes is no dictionary",
            expected="{input: its shape in Caffe's order}, such as {'data': (1, 3, 224, 224)}",
            received=repr(input_shapes),
        )
    source = read_net(prototxt, strict=strict, fork=fork)
    message = select(upgrade(source.message, source.where), phase, level, stages, where=source.where)
    if not message.layer:
        raise NetError(
            f"the net has no layers in phase {phase}",
            where=source.file,
            expected="the definition of a net",
            fix="Of a solver, load the file that its `net` names.",
        )
    message = with_splits(message, source.where) if splits else message
    recipe = Recipe(
        net=to_text(message),
        name=_model_name(message.name),
        data_format=data_format,
        input_shapes={name: tuple(shape) for name, shape in (input_shapes or {}).items()},
        dtype=keras.dtype_policies.get(dtype or keras.config.dtype_policy()).name,
        fork=fork,
    )
    net = graph(message, source.where)
    with loading(LoadContext(fork, python_layers, allow_python_imports, recipe.files)):
        planned = _planned(net, recipe, custom_layers)
    # What data layers read of their sources is kept, too.
    shapes = {net.values[value].blob: planned.shapes[value] for value in planned.inputs}
    return planned, replace(recipe, input_shapes=shapes)


def check_order(prototxt: Any, weights: str | Path | Sequence[str | Path] | None) -> None:
    """Refuses trained values and definition that have each other's place.

    Raises:
        ReadError: `prototxt` is a binary file, and there is a text among the weights.
    """
    definition = [file for file in _named_file(prototxt) if file.is_file()]
    files = [weights] if isinstance(weights, (str, Path)) else weights or []
    texts = [file for file in map(Path, files) if file.is_file() and is_text_file(file)]
    if texts and definition and not is_text_file(definition[0]):
        raise ReadError(
            "the definition and the trained values are in each other's place",
            expected="the prototxt first, then the caffemodel",
            received=f"{definition[0]}, then {texts[0]}",
            fix="Give them the other way round.",
        )


def _planned(net: Net, recipe: Recipe, custom_layers: Mapping[str, type] | None) -> Plan:
    return infer(
        net,
        data_format=recipe.data_format,
        input_shapes=recipe.input_shapes,
        custom_layers=custom_layers,
        dtype=recipe.dtype,
    )


def _filled(
    planned: Plan,
    recipe: Recipe,
    weights: str | Path | Sequence[str | Path] | None,
    skip_mismatch: bool = False,
    definition: Sequence[Path] = (),
) -> CaffeModel:
    files = [weights] if isinstance(weights, (str, Path)) else weights or []
    if planned.net.phase == "TRAIN" or planned.net.message.force_backward:
        check_gradients(planned.net, planned.backward(), losses_only=True)
    initial, report = weight_files.match(planned, files, skip_mismatch=skip_mismatch)
    sources = [*definition, *map(Path, files)]
    return CaffeModel.from_tensors(build(planned, initial), recipe, load_report=report, sources=sources)


def _named_file(prototxt: Any) -> list[Path]:
    """The file a net was read from, unless it was given as text or message."""
    is_name = isinstance(prototxt, str) and "{" not in prototxt and "\n" not in prototxt
    return [Path(prototxt)] if is_name or isinstance(prototxt, Path) else []


def _checked_format(data_format: str | None) -> str:
    data_format = data_format or keras.config.image_data_format()
    if data_format not in DATA_FORMATS:
        raise LayerError("no such data_format", expected=" or ".join(DATA_FORMATS), received=repr(data_format))
    return data_format


def _model_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in name) or "caffe_net"
