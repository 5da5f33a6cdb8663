"""The whole way from Caffe files to a Keras model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras

from keras_caffe import proto
from keras_caffe.converters.backward import check_gradients
from keras_caffe.converters.build import build
from keras_caffe.converters.definition import Definition, Weights, check_not_swapped, read_definition, weight_files
from keras_caffe.converters.dialect_rules import in_todays_words
from keras_caffe.converters.graph import graph
from keras_caffe.converters.infer import Plan, infer
from keras_caffe.converters.missing import no_layers
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.recipe import Recipe
from keras_caffe.converters.weights import match
from keras_caffe.errors import LayerError, NetError
from keras_caffe.forks.dialects import Fork, named, taken
from keras_caffe.forks.unread import warn_unread
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.layout import DATA_FORMATS
from keras_caffe.places import Places
from keras_caffe.proto.text import to_text
from keras_caffe.shapes import Size


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
    base_dir: str | Path | None = None,
    confine: bool = False,
) -> CaffeModel:
    """Loads a Caffe network as a Keras model.

    Args:
        prototxt: path, prototxt text, NetParameter, or a Definition that was read before; V0, V1 and V2 definitions.
        weights: `.caffemodel` or `.caffemodel.h5` file, or several that are applied in order.
        phase: "TRAIN" or "TEST": which layers survive include/exclude rules.
        level, stages: likewise.
        input_shapes: {blob: shape in Caffe's order (N, C, H, W)} where the net does not state it, or to replace it;
            None for a size that shall stay dynamic. A blob that no layer makes becomes an input.
        data_format: "channels_last" or "channels_first" (Caffe's own) at the model's edges; default: Keras's.
        custom_layers: {Caffe type: layer class} for this call.
        python_layers: {"module.Class": class} for layers of type "Python".
        skip_mismatch: leave layers whose stored blobs do not fit at their fillers.
        fork: "bvlc", "ssd", "nvcaffe", ... in any case: whose meaning holds where forks differ under one name; default:
            the file tells (`model.net.fork` has the name and the reason).
        strict: unknown fields in the prototxt are an error instead of a warning.
        dtype: Keras dtype or policy for the layers; default: Keras's own policy.
        allow_python_imports: import the modules that layers of type "Python" name; only for files you trust.
        base_dir, confine: where the names of files start, and whether they may leave it, as of `keras_caffe.dataset`.

    Returns:
        A CaffeModel; see there for how it is called and what it knows about the net.

    Raises:
        ReadError, WeightsError: a file is missing, broken, or of another format; the weights do not fit.
        NetError, UnknownLayerError, LayerError, ShapeError: the net is refused, with file, line, layer and reason.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> images = samples.digits()[0][:3].transpose(0, 2, 3, 1) * samples.SCALE
        >>> model.predict(images, verbose=0).argmax(axis=1)
        array([9, 9, 1])
    """
    places = Places(base_dir, confine=confine)
    settings = PlanSettings(
        input_shapes, data_format, custom_layers, python_layers, fork, dtype, allow_python_imports, places
    )
    check_not_swapped(prototxt, weights)
    definition = read_definition(prototxt, strict=strict, fork=fork).select(phase, level, stages)
    return model_of(*plan(definition, settings), weights, definition.path, skip_mismatch=skip_mismatch)


def model_of(
    planned: Plan, recipe: Recipe, weights: Weights, path: Path | None, *, skip_mismatch: bool = False
) -> CaffeModel:
    """The model of a plan, which is used up, with weights; `path` is the prototxt's.

    Raises:
        WeightsError, LayerError: as of `load`.
    """
    check_training(planned)
    files = weight_files(weights)
    initial, report = match(planned, files, skip_mismatch=skip_mismatch)
    tensors = build(planned, initial)
    return CaffeModel.from_tensors(tensors, recipe, load_report=report, files=[*filter(None, [path]), *files])


def check_training(planned: Plan) -> None:
    """Checks the gradients of a net that is for training: in phase TRAIN, or with force_backward.

    Raises:
        LayerError: see `check_gradients`.
    """
    if planned.net.phase == "TRAIN" or planned.net.message.force_backward:
        check_gradients(planned.net, planned.backward(), planned.classes, losses_only=True)


@dataclass(frozen=True)
class PlanSettings:
    """What a plan depends on beside the definition: arguments of `load`, see there; where its files are looked for.

    Raises:
        LayerError, NetError: data_format or input_shapes is none.
    """

    input_shapes: Mapping[str, Sequence[Size]] | None = None
    data_format: str | None = None
    custom_layers: Mapping[str, type] | None = None
    python_layers: Mapping[str, type | None] | None = None
    fork: str | None = None
    dtype: Any = None
    allow_python_imports: bool = False
    places: Places = field(default_factory=Places)

    def __post_init__(self) -> None:
        if self.data_format not in (None, *DATA_FORMATS):
            raise LayerError("no such data_format", expected=" or ".join(DATA_FORMATS), received=repr(self.data_format))
        if not isinstance(self.input_shapes or {}, Mapping):
            raise NetError(
                "input_shapes is not a dictionary",
                expected="{input: its shape in Caffe's order}, such as {'data': (1, 3, 224, 224)}",
                received=repr(self.input_shapes),
            )

    @classmethod
    def of(cls, base_dir: str | Path | None = None, confine: bool = False, **settings: Any) -> PlanSettings:
        """The settings that arguments of `load` stand for."""
        return cls(**settings, places=Places(base_dir, confine=confine))

    def context(self, recipe: Recipe) -> LoadContext:
        """What layer classes may look up while a net of this recipe is planned."""
        return LoadContext(recipe.fork, self.python_layers, self.allow_python_imports, recipe.files, self.places)


def plan(definition: Definition, settings: PlanSettings) -> tuple[Plan, Recipe]:
    """All that is known of a selected net's model before its memory is taken.

    Raises:
        NetError, UnknownLayerError, LayerError, ShapeError: the net is refused.
    """
    if definition.whole and definition.whole.layer and not definition.message.layer:
        raise no_layers(definition.whole, definition.message.state, definition.file)
    definition = definition.with_inputs(settings.input_shapes or {})
    fork = taken(definition.whole or definition.message, named(settings.fork), definition.where)
    message = in_todays_words(definition.message, fork, definition.where, settings.custom_layers or ())
    recipe = _recipe(message, settings, fork)
    warn_unread(message.layer, definition.where)
    net = graph(message, definition.where, definition.bottom_cures, fork)
    with loading(settings.context(recipe)):
        planned = infer(
            net,
            data_format=recipe.data_format,
            input_shapes=recipe.input_shapes,
            custom_layers=settings.custom_layers,
            dtype=recipe.dtype,
        )
    # What data layers read of their sources is kept, too.
    shapes = {net.values[value].blob: planned.shapes[value] for value in planned.inputs}
    return planned, replace(recipe, input_shapes=shapes)


def _recipe(net: proto.NetParameter, settings: PlanSettings, fork: Fork) -> Recipe:
    return Recipe(
        net=to_text(net),
        name=_model_name(net.name),
        data_format=settings.data_format or keras.config.image_data_format(),
        input_shapes={name: tuple(shape) for name, shape in (settings.input_shapes or {}).items()},
        dtype=keras.dtype_policies.get(settings.dtype or keras.config.dtype_policy()).name,
        fork=fork.name,
    )


def _model_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in name) or "caffe_net"
