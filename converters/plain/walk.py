"""A functional or sequential Keras model, layer by layer, to a Caffe net."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from keras_caffe import proto
from keras_caffe.converters.load import load
from keras_caffe.converters.model import BlobModel, CaffeModel
from keras_caffe.converters.plain import images, vectors
from keras_caffe.converters.plain.activations import apply
from keras_caffe.converters.plain.draft import Draft, DraftValue, Handler, Inexpressible
from keras_caffe.converters.plain.operations import operation as add_operation
from keras_caffe.converters.plain.part import add_part
from keras_caffe.errors import NetError
from keras_caffe.layers.base import CaffeLayer

HANDLERS: dict[str, Handler] = {**images.HANDLERS, **vectors.HANDLERS}
"""Name of a Keras layer's class -> what writes it."""


def from_keras(model: keras.Model) -> tuple[Any, list[list[np.ndarray]]]:
    """A Keras model as a NetParameter, and the blobs of each of its layers.

    Args:
        model: functional or sequential, of layers that Caffe has too; its parts may be such models.

    Raises:
        NetError: lists every layer that cannot be expressed, and why.
    """
    draft, _ = _drafted(_functional(model))
    return _net(model, draft), draft.blobs


def as_caffe(model: Any, outputs: Any = None) -> tuple[CaffeModel, Any]:
    """A Keras model as a net that `load` might have returned; such a net as it is. Raises as `from_keras`.

    Returns:
        The net, and the blobs to give: `outputs`, or those of the Keras model where they are not the net's outputs, as
        other layers read some; None: the net's outputs.
    """
    if isinstance(model, CaffeModel):
        return model, outputs
    draft, own = _drafted(_functional(model))
    net = _net(model, draft)
    loaded = load(net, data_format=draft.data_format)
    loaded.set_caffe_params({layer.name: a for layer, a in zip(net.layer, draft.blobs, strict=True) if a})
    known = {loaded.net.values[value].blob for value in loaded.plan.outputs()}
    return loaded, own if outputs is None and known != set(own) else outputs


def _drafted(model: Any) -> tuple[Draft, list[str]]:
    """The layers of a functional model, and the blobs that are its outputs."""
    walk = _Walk(_data_format(model))
    walk.inputs(model)
    outputs = walk.run(model, [walk.values[id(tensor)] for tensor in model.inputs])
    walk.finish(outputs)
    return walk.draft, list(dict.fromkeys(value.blob for value in outputs))


def _net(model: Any, draft: Draft) -> Any:
    net = proto.NetParameter(name=model.name)
    net.layer.extend(draft.layers)
    return net


def _functional(model: Any) -> Any:
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise NetError(
            "only functional and sequential models that are built can be written as Caffe nets",
            received=type(model).__name__,
            fix="Call the model on a keras.Input, or build it.",
        )
    return keras.Model(model.inputs, model.outputs, name=model.name) if isinstance(model, keras.Sequential) else model


def _data_format(model: Any) -> str:
    formats = {layer.data_format for layer in _layers(model) if getattr(layer, "data_format", None)}
    formats |= {
        part.tensors.plan.data_format for part in _layers(model) if isinstance(part, BlobModel) and part.tensors
    }
    if len(formats) > 1:
        raise NetError("layers of different data_format cannot be written as one Caffe net", received=sorted(formats))
    return formats.pop() if formats else keras.config.image_data_format()


def _layers(model: Any) -> list[Any]:
    """The layers, those of nested models too; a part of a Caffe net counts as one."""
    if not isinstance(model, keras.Model) or isinstance(model, BlobModel):
        return [model]
    return [layer for part in model.layers for layer in _layers(part)]


class _Walk:
    def __init__(self, data_format: str) -> None:
        self.draft = Draft(data_format)
        self.values: dict[int, DraftValue] = {}
        self.refused: list[str] = []

    def inputs(self, model: Any) -> None:
        for tensor in model.inputs:
            try:
                shape = self.draft.caffe_shape(tensor.shape)
            except Inexpressible as reason:
                raise NetError(
                    f"input {tensor.name!r}: {reason}",
                    expected="sizes, but for the batch",
                    fix="Build the model on an input of the size that the Caffe net shall have.",
                ) from None
            param = {"shape": [{"dim": shape}]}
            self.values[id(tensor)] = self.draft.add("Input", tensor.name, [], shape, input_param=param)

    def run(self, model: Any, values: Sequence[DraftValue]) -> list[DraftValue]:
        """Writes a model's layers; `values`: of its inputs. Returns those of its outputs."""
        if isinstance(model, BlobModel):
            return tree.flatten(self._step(model)(list(values)))
        return tree.flatten(_functional(model)._run_through_graph(list(values), self._step))

    def _step(self, operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            values = [value for value in tree.flatten((args, kwargs)) if isinstance(value, DraftValue)]
            if isinstance(operation, keras.Model) and not isinstance(operation, BlobModel):
                return self._part(operation, values)
            try:
                if isinstance(operation, BlobModel):
                    return add_part(self.draft, operation, values)
                if not isinstance(operation, keras.layers.Layer):
                    return add_operation(self.draft, operation, args, kwargs)
                return self._layer(operation, values, args, kwargs)
            except Inexpressible as reason:
                self.refused.append(f"{operation.name!r} ({type(operation).__name__}): {reason}")
                return self._instead(operation)

        return call

    def _part(self, model: Any, values: Sequence[DraftValue]) -> Any:
        before, self.draft.prefix = self.draft.prefix, f"{self.draft.prefix}{model.name}/"
        outputs = self.run(model, values)
        self.draft.prefix = before
        return outputs[0] if len(outputs) == 1 else outputs

    def _layer(
        self, layer: Any, values: Sequence[DraftValue], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> DraftValue:
        if isinstance(layer, CaffeLayer):
            raise Inexpressible(
                "it is Caffe's own, and only what `load` or `extract` returns is written with such layers"
            )
        handler = HANDLERS.get(type(layer).__name__)
        if handler is None or not type(layer).__module__.startswith("keras."):
            raise Inexpressible("Caffe has no such layer")
        if mode := getattr(layer, "quantization_mode", None):
            raise Inexpressible(
                f"it is quantised to {mode}; quantise what is exported instead, as Caffe's layers hold floats"
            )
        _check_call(args, kwargs)
        value = handler(self.draft, layer, values)
        return apply(self.draft, layer, value)

    def _instead(self, operation: Any) -> Any:
        """Values to go on with, so that all refused layers are found."""
        outputs = [getattr(operation, "output", None)] if _called_once(operation) else [None]
        shapes = [getattr(tensor, "shape", (1, 1)) for tensor in tree.flatten(outputs)]
        sizes = [tuple(1 if size is None else size for size in shape) for shape in shapes]
        stand_ins = [DraftValue("", self.draft.caffe_shape(shape or (1,))) for shape in sizes]
        return stand_ins[0] if len(stand_ins) == 1 else stand_ins

    def finish(self, outputs: Sequence[DraftValue]) -> None:
        for value in outputs if not self.refused else ():
            try:
                value.plain()
            except Inexpressible as reason:
                self.refused.append(f"output {value.blob!r}: {reason}")
        if self.refused:
            raise NetError(
                f"{len(self.refused)} layer{'s' if len(self.refused) > 1 else ''} cannot be expressed in Caffe: "
                + "; ".join(self.refused),
                expected="layers that Caffe has too: " + ", ".join(sorted(HANDLERS)),
            )


def _check_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuses what a layer is given beside values of the net, as Caffe's layers know bottoms alone."""
    if any(one is not None and not isinstance(one, DraftValue) for one in tree.flatten(args)):
        raise Inexpressible("it is called with an array, which is no value of the net")
    said = {name: one for name, one in kwargs.items() if isinstance(one, (bool, int, float)) and one}
    if said:
        raise Inexpressible("it is called with " + ", ".join(f"{name}={one!r}" for name, one in said.items()))


def _called_once(operation: Any) -> bool:
    return len(getattr(operation, "_inbound_nodes", ())) == 1
