"""CaffeModel: a functional Keras model that still knows the Caffe net it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
from keras import tree
from keras.optimizers import LossScaleOptimizer

from keras_caffe import proto
from keras_caffe._keras import Model
from keras_caffe.converters import weights
from keras_caffe.converters.build import build
from keras_caffe.converters.costs import parameters
from keras_caffe.converters.graph import AUTOMATIC, Net, graph
from keras_caffe.converters.infer import Plan, infer
from keras_caffe.converters.keras_names import keras_name
from keras_caffe.converters.recipe import Recipe
from keras_caffe.converters.tensors import ANCHOR, Blobs, Tensors
from keras_caffe.converters.unique_names import make_unique
from keras_caffe.errors import Call, Cure, ExportError, LayerError, NetError, Option, ShapeError
from keras_caffe.forks.dialects import named, taken
from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.layout import edge_order, to_caffe
from keras_caffe.named import Named
from keras_caffe.ops.refusals import refusals_raised
from keras_caffe.proto.text import parse
from keras_caffe.shapes import Shape

Built = TypeVar("Built", bound="CaffeModel")


@serializable
class BlobModel(Model):
    """A functional Keras model that is fed one tensor, a dict {blob: tensor}, or a list in the order of its inputs.

    Inputs that have a default (DummyData) may be left out.

    Raises:
        NetError: a dict lacks an input.
    """

    tensors: Tensors | None = None
    optimizer: Any
    train_function: Any
    test_function: Any
    predict_function: Any

    def __call__(self, inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(self._fed(inputs), *args, **kwargs)

    def _fed(self, inputs: Any) -> Any:
        names = self.input_names
        if isinstance(inputs, (list, tuple)):
            inputs = dict(zip(names, inputs, strict=True))
        if inputs is not None and not isinstance(inputs, Mapping):
            inputs = {names[0]: inputs} if len(names) == 1 else inputs
        if inputs is not None and not isinstance(inputs, Mapping):
            raise NetError("several inputs need a dict or a list", expected=f"values for {', '.join(names)}")
        given = {keras_name(n): x for n, x in (inputs or {}).items()}
        inputs = {**_alike(self.tensors.defaults if self.tensors else {}, given), **given}
        missing = [name for name in names if name not in inputs]
        if missing:
            raise NetError(
                f"no value for input {', '.join(map(repr, missing))}",
                expected=f"values for {', '.join(names)}",
                received=f"values for {', '.join(inputs) or 'nothing'}",
                fix=(
                    "Feed them.",
                    Call("model.extract", "[...]", "for the part of the net that does not need them"),
                ),
            )
        for name in names:
            self._check_shape(name, inputs[name])
        self.check_batches({name: _shape(inputs[name]) for name in names})
        return _unwrap({name: inputs[name] for name in names})

    def check_batches(self, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
        """Refuses batches that do not fit each other: TensorFlow would broadcast them, or fail in its own words."""
        batches = {shape[0] for shape in shapes.values() if shape}
        if self.tensors is None or len(batches) < 2 or any(None in shape for shape in shapes.values()):
            return
        plan, key = self.tensors.plan, tuple(shapes.items())
        if key in self.tensors.checked_shapes:
            return
        values = {keras_name(plan.net.values[v].blob): v for v in plan.inputs}
        orders = {name: edge_order(len(shape), plan.data_format) for name, shape in shapes.items()}
        try:
            plan.check_shapes({values[n]: to_caffe(s, orders[n]) for n, s in shapes.items() if n in values})
        except LayerError as error:
            given = ", ".join(f"{name!r} {shape}" for name, shape in shapes.items())
            raise ShapeError(
                f"the inputs do not fit each other: {error.problem}",
                where=error.where,
                layer=error.layer,
                expected=error.expected,
                received=error.received,
                fix=f"The inputs are {given}.",
            ) from None
        self.tensors.checked_shapes.add(key)

    def _check_shape(self, name: str, array: Any) -> None:
        wanted = next(t.shape for t in tree.flatten(self.input) if t.name == name)
        shape = _shape(array)
        if len(shape) != len(wanted) or any(a != b for a, b in zip(shape, wanted, strict=True) if None not in (a, b)):
            raise ShapeError(
                f"input {name!r} has another shape than the model was built for",
                expected=wanted,
                received=shape,
                fix=_layout_hint(shape, wanted),
            )

    def compile(self, *args: Any, auto_scale_loss: bool = True, **kwargs: Any) -> None:
        """As Keras's, which scales the loss for the model's own policy only, not for that of `load(dtype=...)`."""
        super().compile(*args, auto_scale_loss=auto_scale_loss, **kwargs)
        scaled = self.optimizer is None or isinstance(self.optimizer, LossScaleOptimizer)
        if auto_scale_loss and not scaled and any(layer.dtype_policy.name == "mixed_float16" for layer in self.layers):
            self.optimizer = LossScaleOptimizer(self.optimizer)

    def compile_from_config(self, config: Any) -> None:
        """As Keras's, which leaves a model with a `compile` of its own as it is."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force: bool = False) -> Any:
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = _refusing(self.train_function)

    def make_test_function(self, force: bool = False) -> Any:
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = _refusing(self.test_function)

    def make_predict_function(self, force: bool = False) -> Any:
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = _refusing(self.predict_function)
        return self.predict_function

    def export(self, filepath: Any, format: str = "tf_saved_model", *args: Any, **kwargs: Any) -> None:
        """Keras's `export`, but for ONNX, which Keras makes of TensorFlow's graph. Raises ExportError for that."""
        if format == "onnx":
            fix = f"Call keras_caffe.to_onnx(model, {str(filepath)!r}), which writes Caffe's names and order of axes."
            raise ExportError("Keras's own export writes no ONNX file of a Caffe net", received="onnx", fix=fix)
        super().export(filepath, format, *args, **kwargs)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs in the net's order."""
        return [tensor.name for tensor in (self.input.values() if isinstance(self.input, dict) else [self.input])]


@serializable
class CaffeModel(BlobModel):
    """A Caffe net as a functional Keras model.

    Call it with one tensor (one input), a dict {blob: tensor} or a list in the net's order. One output is a tensor,
    several are a dict {blob: tensor}. Blobs of four and more axes are (N, ..., C) with data_format "channels_last" and
    Caffe's (N, C, ...) with "channels_first"; smaller ones are as in Caffe. The first axis of the inputs is dynamic
    where the net allows it.

    Attributes:
        net: the immutable graph (`keras_caffe.converters.graph.Net`).
        blobs: {blob name: Keras tensor}, see `Blobs`.
        caffe_layers: {Caffe layer name: Keras layer}.
        data_format: "channels_last" or "channels_first".
        load_report: what the last loading of weights did.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> list(model.blobs)
        ['data', 'conv1', 'pool1', 'conv2', 'pool2', 'ip1', 'ip2', 'prob']
        >>> model.extract(["pool2"]).output_shape
        (None, 4, 4, 50)
        >>> [array.shape for array in model.get_caffe_params()["conv1"]]
        [(20, 1, 5, 5), (20,)]
    """

    tensors: Tensors
    recipe: Recipe
    files: Sequence[Path]
    load_report: weights.Report | None

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, *, tensors: Tensors | None = None) -> None:
        if tensors is None:  # its layers cannot share parameters, and the net is not known
            raise NetError(
                "a CaffeModel is not made of Keras tensors, as keras.models.clone_model makes it",
                fix=Call("model.from_config", "model.get_config()", "for a second model of the same net"),
            )
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.tensors = tensors

    @classmethod
    def from_tensors(
        cls: type[Built],
        tensors: Tensors,
        recipe: Recipe,
        *,
        load_report: weights.Report | None = None,
        files: Sequence[Path] = (),
    ) -> Built:
        """The model whose inputs and outputs are the net's."""
        net = tensors.plan.net
        outputs = {output_name(net, v): tensors.at_edge_as(net.held(v), v) for v in tensors.plan.outputs()}
        outputs |= {value: tensors.at_edge(value) for value in tensors.plan.also_out}
        if not outputs:  # Keras has no models without: that of an empty net hands its only input on.
            outputs = {ANCHOR: tensors.anchor()}
        inputs = tensors.inputs(tensors.plan.inputs)
        tensors.allow_depth()
        make_unique(outputs.values())
        model = cls(_unwrap(inputs), _unwrap(outputs), tensors=tensors, name=recipe.name)
        model.recipe, model.load_report, model.files = recipe, load_report, files
        return model

    @property
    def plan(self) -> Plan:
        """Each layer's Keras layer, each value's shape and stored order."""
        return self.tensors.plan

    @property
    def net(self) -> Net:
        return self.tensors.plan.net

    @property
    def data_format(self) -> str:
        return self.tensors.plan.data_format

    @property
    def blobs(self) -> Blobs:
        return Blobs(self.tensors)

    @property
    def caffe_layers(self) -> Named[CaffeLayer]:
        """{Caffe layer name: Keras layer} in the net's order; the first layer if several have one name."""
        layers: dict[str, CaffeLayer] = {}
        for planned in self.tensors.plan.layers.values():
            layers.setdefault(planned.node.name, planned.layer)
        return Named("layer", layers)

    @property
    def caffe_shapes(self) -> Named[Shape]:
        """{blob name: shape in Caffe's order, with the batch size that the net declares}."""
        return Named("blob", {name: self.tensors.plan.shapes[value] for name, value in self.net.blobs.items()})

    def extract(self, names: Sequence[str] | str) -> keras.Model:
        """Returns the part of the net that computes the named blobs, as a model.

        Args:
            names: blob names, or "blob@layer" for a value that an in-place layer overwrites later.

        Returns:
            A keras.Model on the inputs those blobs need, whose output is a dict {name: tensor}; layers are shared.

        Raises:
            UnknownNameError: a name is no blob of the net.
        """
        names = [names] if isinstance(names, str) else list(names)
        self.net.check_blobs(names)
        outputs = {name: self.blobs[name] for name in names}
        needed = self.tensors.plan.inputs_of(self.net.last_write(name).id for name in names)
        self.tensors.allow_depth()
        make_unique(outputs.values())
        model = BlobModel(_unwrap(self.tensors.inputs(needed)), outputs, name=f"{self.name}_extract")
        model.tensors = self.tensors
        return model

    def get_caffe_params(self) -> Named[list[np.ndarray]]:
        """{Caffe layer name: its blobs in Caffe's shape and order}; layers without blobs are left out."""
        params: Named[list[np.ndarray]] = Named("layer with parameters")
        for name, layer in self.caffe_layers.items():
            if layer.caffe_blobs:
                params[name] = [bound.get() for bound in layer.caffe_blobs]
        return params

    def set_caffe_params(self, params: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Sets blobs from {Caffe layer name: arrays in Caffe's shape and order}.

        Raises:
            WeightsError: unknown layer, another number of blobs or another shape; nothing is set then.
        """
        weights.set_params(self.caffe_layers, params)

    def load_weights_from(self, *files: str | Path, skip_mismatch: bool = False) -> weights.Report:
        """Loads caffemodels one after the other, by layer name, as Caffe does.

        Args:
            *files: `.caffemodel` or `.caffemodel.h5` files.
            skip_mismatch: leave layers whose blobs differ in number or shape as they are instead of raising.

        Returns:
            Which layers were loaded, skipped, or left as they were.

        Raises:
            ReadError: a file is missing or broken.
            WeightsError: blobs do not fit and `skip_mismatch` is False; nothing is set then.
        """
        first, report = weights.match(self.tensors.plan, files, skip_mismatch=skip_mismatch)
        for index, arrays in first.items():
            bound = self.tensors.plan.bound_blobs(index)
            for blob, stored in arrays.items():
                bound[blob].read(stored)
        self.load_report = report
        return report

    def load_weights(self, filepath: str | Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Keras's `load_weights`; Caffe's files go to `load_weights_from`."""
        if str(filepath).endswith((".caffemodel", ".caffemodel.h5")):
            self.load_weights_from(filepath, skip_mismatch=skip_mismatch)
        else:
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)

    def _repr_html_(self) -> str:
        """What a notebook shows: name, sizes, inputs and outputs."""
        plan, net = self.plan, self.net
        rows = {
            "layers": f"{len(net.nodes)}",
            "parameters": f"{sum(parameters(plan, index) for index in plan.layers):,}",
            "inputs": ", ".join(f"{net.values[value].blob} {plan.shapes[value]}" for value in plan.inputs),
            "outputs": ", ".join(f"{output_name(net, value)} {plan.shapes[value]}" for value in plan.outputs()),
        }
        cells = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows.items())
        title = escape(f"{net.name or self.name} ({net.phase})")
        return f"<table><caption>{title}: keras_caffe.view(model) shows all of it</caption>{cells}</table>"

    def get_config(self) -> dict[str, Any]:
        return {"recipe": self.recipe.to_config(), "trainable": self.trainable}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> CaffeModel:
        recipe = Recipe.from_config(config["recipe"])
        message, _ = parse(recipe.net, proto.NetParameter, "<saved net>")
        net = graph(message, fork=taken(message, named(recipe.fork)))
        given = {node.type: keras.saving.get_registered_object(node.type, custom_objects) for node in net.nodes}
        custom = {n: c for n, c in given.items() if isinstance(c, type) and issubclass(c, CaffeLayer)}
        with loading(LoadContext(net.fork.name, custom_objects, files=recipe.files)):
            plan = infer(
                net,
                data_format=recipe.data_format,
                input_shapes=recipe.input_shapes,
                custom_layers=custom,
                dtype=recipe.dtype,
            )
            model = cls.from_tensors(build(plan), recipe, load_report=weights.match(plan, [])[1])
        model.trainable = config["trainable"]
        return model


def _alike(defaults: Mapping[str, np.ndarray], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The defaults as tensors where what is given are some: Keras takes one kind only."""
    missing = {name: array for name, array in defaults.items() if name not in given}
    plain = all(isinstance(x, np.ndarray) for x in given.values())
    return missing if plain else {name: keras.ops.convert_to_tensor(array) for name, array in missing.items()}


def _refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function, whose errors about indices and labels are LayerErrors."""

    @wraps(function)
    def run(*args: Any) -> Any:
        with refusals_raised():
            return function(*args)

    return run


def output_name(net: Net, value: str) -> str:
    """The blob's name; an unnamed loss goes by its layer's."""
    return net.values[value].blob if net.values[value].blob != AUTOMATIC else net.producer(value).name


def _shape(array: Any) -> tuple[int | None, ...]:
    return tuple(array.shape) if hasattr(array, "shape") else np.shape(array)


def _layout_hint(shape: Sequence[Any], wanted: Sequence[Any]) -> Sequence[Cure]:
    if len(shape) > 3 and sorted(map(str, shape[1:])) == sorted(map(str, wanted[1:])):
        return "Transpose the images.", Option("data_format", ..., "to load the net for their order of axes")
    return (Option("input_shapes", ..., "to load the net for another size"),)


def _unwrap(named: dict[str, Any]) -> Any:
    return next(iter(named.values())) if len(named) == 1 else named
