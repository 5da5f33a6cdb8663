"""CaffeModel: a functional Keras model that still knows the Caffe net it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import tree

from keras_caffe.converters import weights
from keras_caffe.converters.graph import AUTOMATIC, Net
from keras_caffe.converters.infer import Plan, keras_name
from keras_caffe.converters.recipe import Recipe
from keras_caffe.errors import NetError, ShapeError
from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.layout import Order, caffe_order, edge_order, permutation, to_stored
from keras_caffe.named import Named
from keras_caffe.shapes import Shape

ANCHOR = "no_input"
"""Name of the input of a net that has none."""


class Tensors:
    """The Keras tensor of each value, stored as its layer made it; other orders are transposed once and kept."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.defaults: dict[str, np.ndarray] = {}
        self._tensors: dict[tuple[str, Order], Any] = {}
        self._anchor: Any = None

    def __getitem__(self, value: str) -> Any:
        return self._tensors[value, self.plan.orders[value]]

    def __setitem__(self, value: str, tensor: Any) -> None:
        self._tensors[value, self.plan.orders[value]] = tensor

    def stored_as(self, value: str, order: Order) -> Any:
        """The value's tensor with its Caffe axes stored in `order`."""
        if (value, order) not in self._tensors:
            have = self.plan.orders[value]
            tensor = keras.ops.transpose(self._tensors[value, have], permutation(have, order))
            self._tensors[value, order] = tensor
        return self._tensors[value, order]

    def at_edge(self, value: str) -> Any:
        """The value's tensor as callers see it."""
        return self.stored_as(value, edge_order(len(self.plan.shapes[value]), self.plan.data_format))

    def at_edge_as(self, value: str, like: str) -> Any:
        """The value in the shape of another one that shares its memory in Caffe."""
        if value == like or self.plan.shapes[value] == self.plan.shapes[like]:
            return self.at_edge(value)
        shape, order = self.plan.shapes[like], edge_order(len(self.plan.shapes[like]), self.plan.data_format)
        flat = self.stored_as(value, caffe_order(len(self.plan.shapes[value])))
        tensor = keras.ops.reshape(flat, (-1, *shape[1:]) if self.plan.dynamic and shape else shape)
        return keras.ops.transpose(tensor, order) if order != caffe_order(len(shape)) else tensor

    def inputs(self, values: Sequence[str]) -> dict[str, Any]:
        """{name: `keras.Input`} of the given values."""
        named = {keras_name(self.plan.net.values[v].blob): self.at_edge(v) for v in values}
        return named if self._anchor is None else {**named, ANCHOR: self._anchor}

    def anchor(self) -> Any:
        """The tensor that layers without bottoms are called on: any input, or one made for them."""
        if self.plan.inputs:
            return self.at_edge(self.plan.inputs[0])
        if self._anchor is None:
            self._anchor = keras.Input(batch_shape=(1,), name=ANCHOR, dtype="float32")
            self.defaults[ANCHOR] = np.zeros(1, "float32")
        return self._anchor

    def add_inputs(self, values: Sequence[str], defaults: Sequence[np.ndarray] | None) -> None:
        """Makes the `keras.Input` of each value."""
        for index, value in enumerate(values):
            shape = to_stored(self.plan.input_shape(value), self.plan.orders[value])
            name = keras_name(self.plan.net.values[value].blob)
            self[value] = keras.Input(batch_shape=shape, name=name, dtype="float32")
            if defaults is not None:
                axes = permutation(caffe_order(len(shape)), self.plan.orders[value])
                self.defaults[name] = np.transpose(defaults[index], axes)


class Blobs(Mapping[str, Any]):
    """{blob name: Keras tensor}: what Caffe's `net.blobs[name]` holds after forward.

    A name that in-place layers overwrite means the last value; `blobs["conv1@conv1"]` is what layer conv1 wrote.
    An unknown name raises UnknownNameError, a KeyError.
    """

    def __init__(self, tensors: Tensors) -> None:
        self._tensors, self._net = tensors, tensors.plan.net

    def __getitem__(self, name: str) -> Any:
        return self._tensors.at_edge_as(self._net.last_write(name).id, self._net.value(name).id)

    def __contains__(self, name: object) -> bool:
        return name in self._net.blobs or name in self._net.values

    def __iter__(self) -> Iterator[str]:
        return iter(self._net.blobs)

    def __len__(self) -> int:
        return len(self._net.blobs)


@serializable
class BlobModel(keras.Model):
    """A functional Keras model that is fed one tensor, a dict {blob: tensor}, or a list in the order of its inputs.

    Inputs that have a default (DummyData) may be left out.

    Raises:
        NetError: a dict lacks an input.
    """

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
        inputs = {**self.__dict__.get("_defaults", {}), **{keras_name(n): x for n, x in (inputs or {}).items()}}
        missing = [name for name in names if name not in inputs]
        if missing:
            raise NetError(
                f"no value for input {', '.join(map(repr, missing))}",
                expected=f"values for {', '.join(names)}",
                received=f"values for {', '.join(inputs) or 'nothing'}",
                fix="Feed them, or take the part of the net that does not need them with model.extract([...]).",
            )
        for name in names:
            self._check_shape(name, inputs[name])
        return _unwrap({name: inputs[name] for name in names})

    def _check_shape(self, name: str, array: Any) -> None:
        wanted = next(t.shape for t in tree.flatten(self.input) if t.name == name)
        shape = np.shape(array) if not hasattr(array, "shape") else tuple(array.shape)
        if len(shape) != len(wanted) or any(a != b for a, b in zip(shape, wanted, strict=True) if None not in (a, b)):
            raise ShapeError(
                f"input {name!r} has another shape than the model was built for",
                expected=wanted,
                received=shape,
                fix=_layout_hint(shape, wanted),
            )

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
    """

    rebuild: ClassVar[Callable[..., CaffeModel]]
    """Builds a model from a Recipe; set where the steps from text to model are put together."""

    @classmethod
    def from_plan(cls, tensors: Tensors, recipe: Recipe) -> CaffeModel:
        """The model whose inputs and outputs are the net's."""
        net = tensors.plan.net
        inputs = tensors.inputs(tensors.plan.inputs)
        outputs = {output_name(net, v): tensors.at_edge(v) for v in tensors.plan.outputs()}
        model = cls(inputs=_unwrap(inputs), outputs=_unwrap(outputs), name=recipe.name)
        # Past Keras's __setattr__, which would track what is only looked up.
        model.__dict__.update(_tensors=tensors, _recipe=recipe, _defaults=tensors.defaults, load_report=None)
        return model

    @property
    def plan(self) -> Plan:
        """Every layer's Keras twin, every blob's shape and stored order."""
        return self._tensors.plan

    @property
    def net(self) -> Net:
        return self._tensors.plan.net

    @property
    def data_format(self) -> str:
        return self._tensors.plan.data_format

    @property
    def blobs(self) -> Blobs:
        return Blobs(self._tensors)

    @property
    def caffe_layers(self) -> Named[CaffeLayer]:
        """{Caffe layer name: Keras layer} in the net's order; of several with one name the first."""
        layers: dict[str, CaffeLayer] = {}
        for step in self._tensors.plan.steps:
            if step.layer is not None:
                layers.setdefault(step.node.name, step.layer)
        return Named("layer", layers)

    @property
    def caffe_shapes(self) -> Named[Shape]:
        """{blob name: shape in Caffe's order, with the batch size that the net declares}."""
        return Named("blob", {name: self._tensors.plan.shapes[value] for name, value in self.net.blobs.items()})

    def extract(self, names: Sequence[str] | str) -> keras.Model:
        """The part of the net that computes the named blobs.

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
        needed = self._tensors.plan.inputs_of(self.net.last_write(name).id for name in names)
        model = BlobModel(_unwrap(self._tensors.inputs(needed)), outputs, name=f"{self.name}_extract")
        model.__dict__["_defaults"] = self._tensors.defaults
        return model

    def get_caffe_params(self) -> Named[list[np.ndarray]]:
        """{Caffe layer name: its blobs in Caffe's shape and order}; layers without blobs are left out."""
        params: Named[list[np.ndarray]] = Named("layer with parameters")
        for name, layer in self.caffe_layers.items():
            if layer.caffe_blobs:
                params[name] = [held.get() for held in layer.caffe_blobs]
        return params

    def set_caffe_params(self, params: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Sets blobs from {Caffe layer name: arrays in Caffe's shape and order}.

        Raises:
            WeightsError: unknown layer, another number of blobs or another shape; nothing is set then.
        """
        weights.set_params(self.caffe_layers, params)

    def load_weights_from(self, *files: str | Path, skip_mismatch: bool = False) -> weights.Report:
        """Loads caffemodels by layer name, as Caffe does, one after the other.

        Args:
            *files: `.caffemodel` or `.caffemodel.h5` files.
            skip_mismatch: leave layers whose blobs differ in number or shape as they are instead of raising.

        Returns:
            Which layers were loaded, skipped, or left as they were.

        Raises:
            ReadError: a file is missing or broken.
            WeightsError: blobs do not fit and `skip_mismatch` is False; nothing is set then.
        """
        first, report = weights.match(self._tensors.plan, files, skip_mismatch=skip_mismatch)
        for index, arrays in first.items():
            held = self._tensors.plan.steps[index].layer.caffe_blobs  # type: ignore[union-attr]
            for blob, stored in arrays.items():
                held[blob].read(stored)
        self.__dict__["load_report"] = report
        return report

    def load_weights(self, filepath: str | Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Keras's `load_weights`; Caffe's files go to `load_weights_from`."""
        if str(filepath).endswith((".caffemodel", ".caffemodel.h5")):
            self.load_weights_from(filepath, skip_mismatch=skip_mismatch)
        else:
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"recipe": self._recipe.to_config(), "trainable": self.trainable}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> CaffeModel:
        model = cls.rebuild(Recipe.from_config(config["recipe"]), custom_objects)
        model.trainable = config["trainable"]
        return model


def output_name(net: Net, value: str) -> str:
    """The blob's name; an unnamed loss goes by its layer's."""
    return net.values[value].blob if net.values[value].blob != AUTOMATIC else net.producer(value).name


def _layout_hint(shape: Sequence[Any], wanted: Sequence[Any]) -> str:
    if len(shape) > 3 and sorted(map(str, shape[1:])) == sorted(map(str, wanted[1:])):
        return "Transpose the images, or load the net with the other data_format (channels_first is Caffe's order)."
    return "Load the net again with input_shapes={...} for another size."


def _unwrap(named: dict[str, Any]) -> Any:
    return next(iter(named.values())) if len(named) == 1 else named
