"""Models and streams of batches for the nets of a solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import keras
import tensorflow as tf

from keras_caffe.converters.build import build
from keras_caffe.converters.definition import Definition
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.load import PlanSettings, check_training, plan
from keras_caffe.converters.model import CaffeModel, keras_name
from keras_caffe.converters.recipe import Recipe
from keras_caffe.converters.weights import match
from keras_caffe.data.dataset import dataset
from keras_caffe.data.output_files import files_written, output_files
from keras_caffe.errors import DataError, Option, SolverError
from keras_caffe.layers.python_class import class_name
from keras_caffe.layout import edge_order, to_caffe
from keras_caffe.places import Places
from keras_caffe.solver.feed import Feed, peek
from keras_caffe.solver.nets import NetChoice
from keras_caffe.solver.train_net import TrainNet

FED = ("Input", "DummyData", "Parameter")  # Layers without bottoms that read no data.
GIVEN = ("Input", "MemoryData")  # What is in them only the caller can give.

Kind = TypeVar("Kind", bound=CaffeModel)


class Opener:
    """Builds nets with the arguments that all nets of a solver share.

    Args:
        data_format: order of blobs at the models' edges; default: Keras's.
        seed: of the nets' own data layers.
        options: arguments of `keras_caffe.load`; `strict` counted when the nets were read.
        places: where what the nets name is looked for.

    Raises:
        SolverError: it is made in the scope of a ParameterServerStrategy.
    """

    def __init__(
        self,
        data_format: str | None,
        seed: int | None,
        options: Mapping[str, Any],
        places: Places,
    ) -> None:
        _refuse_asynchronous(tf.distribute.get_strategy())
        self.data_format: str = data_format or keras.config.image_data_format()
        self.seed: int | None = seed
        self.writes: bool = not tf.distribute.has_strategy()  # Several replicas would write over each other.
        self.skip_mismatch: Any = options.get("skip_mismatch", False)
        rest = {name: value for name, value in options.items() if name not in ("skip_mismatch", "strict")}
        self.settings: PlanSettings = PlanSettings(data_format=self.data_format, places=places, **rest)

    def net(
        self,
        kind: type[Kind],
        choice: NetChoice,
        data: Any,
        per_step: int,
        files: Sequence[str],
        what: str,
        donors: Mapping[str, Any] | None = None,
    ) -> tuple[Kind, Feed]:
        """A model of this kind and its stream of batches; a test net has `donors`."""
        definition = choice.definition.select(**choice.selection)
        sources = [layer for layer in definition.message.layer if not layer.bottom and layer.type not in FED]
        shapes, data = self._data(choice, definition, sources, data, what)
        planned, recipe = self._plan(definition, self._plan_settings(sources, shapes))
        if kind is TrainNet:  # Test nets run no backward pass.
            check_training(planned)
        initial, report = match(planned, files, skip_mismatch=self.skip_mismatch)
        model = kind.from_tensors(build(planned, initial, donors=donors), recipe, load_report=report)
        own = set(map(keras_name, data.first.element_spec)) if isinstance(data, _OwnData) else set()
        fed = own | (set(_inputs(model)) - set(model.tensors.defaults))
        inputs = {name: tensor for name, tensor in _inputs(model).items() if name in fed}
        return model, Feed(data, inputs, per_step, what, model.check_batches)

    def _plan(self, definition: Definition, settings: PlanSettings) -> tuple[Plan, Recipe]:
        """The plan of a net, with the files that its HDF5Output layers write."""
        if not self.writes:
            return plan(definition, settings)
        with files_written():
            planned, recipe = plan(definition, settings)
        planned.output_files = output_files(planned.net.nodes, settings.places)
        return planned, recipe

    def _plan_settings(self, sources: Sequence[Any], shapes: Mapping[str, Any]) -> PlanSettings:
        """The settings for a net whose data layers, those in Python too, are inputs of these shapes."""
        fed = {class_name(layer): None for layer in sources if layer.type == "Python"}
        return replace(
            self.settings,
            input_shapes={**shapes, **(self.settings.input_shapes or {})},
            python_layers={**(self.settings.python_layers or {}), **fed},
        )

    def _data(
        self, choice: NetChoice, definition: Definition, sources: Sequence[Any], data: Any, what: str
    ) -> tuple[dict[str, Any], Any]:
        """Shapes in Caffe's order of the blobs that data layers fill, and the data; by default those of the layers."""
        message = definition.message
        drawn = any(layer.type == "DummyData" and _is_drawn(layer) for layer in message.layer)
        given = [layer for layer in message.layer if layer.type in GIVEN]
        if data is None and given:
            raise DataError(
                f"no {what} are given: the net has {given[0].type} layers",
                where=definition.file,
                expected=f"batches of {', '.join(top for layer in given for top in layer.top)}",
                fix=(
                    "Use a net with data layers.",
                    Option("test_data" if "test" in what else "train_data", ..., "to feed this one"),
                ),
            )
        if data is None and not sources and not drawn:
            return {}, [{}]
        if data is None:
            first = self._own(choice)
            spec = first.element_spec
            return self._shapes(sources, {name: tuple(s.shape) for name, s in spec.items()}), _OwnData(
                self, choice, first
            )
        shapes, data = peek(data)
        return self._shapes(sources, shapes), data

    def _shapes(self, sources: Sequence[Any], shapes: Mapping[str, Any]) -> dict[str, Any]:
        tops = {top for layer in sources for top in layer.top}
        return {n: to_caffe(s, edge_order(len(s), self.data_format)) for n, s in shapes.items() if n in tops}

    def _own(self, choice: NetChoice, context: Any = None) -> Any:
        """The data set of a net's own layers for a worker."""
        share = {"input_context": context} if context is not None else {"shard": (0, 1)}
        return dataset(
            choice.definition,
            **choice.selection,
            seed=self.seed,
            data_format=self.data_format,
            python_layers=self.settings.python_layers,
            **self.settings.places.arguments,
            allow_python_imports=self.settings.allow_python_imports,
            **share,
        )


def _refuse_asynchronous(strategy: tf.distribute.Strategy) -> None:
    if isinstance(strategy, tf.distribute.experimental.ParameterServerStrategy):
        raise SolverError(
            "a solver does not run under ParameterServerStrategy",
            expected="a strategy whose replicas make each update together, as Caffe's GPUs do",
            received="workers that update at different times, which gives other numbers, and which Keras 3 cannot fit",
            fix="Use tf.distribute.MultiWorkerMirroredStrategy.",
        )


def _is_drawn(layer: Any) -> bool:
    """Whether a DummyData fills its blobs with other numbers for every batch."""
    return any(filler.type != "constant" for filler in layer.dummy_data_param.data_filler)


class _OwnData:
    """The data layers of a net; called with a worker's input context they open its data set."""

    def __init__(self, opener: Opener, choice: NetChoice, first: Any) -> None:
        self.opener, self.choice, self.first = opener, choice, first

    def __call__(self, context: Any) -> Any:
        return self.first if context is None else self.opener._own(self.choice, context)


def _inputs(model: CaffeModel) -> dict[str, Any]:
    tensors = model.input.values() if isinstance(model.input, dict) else [model.input]
    return {tensor.name: tensor for tensor in tensors}
