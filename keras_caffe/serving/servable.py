"""The functions that a version offers: its signatures."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.model import BlobModel, CaffeModel, keras_name, output_name
from keras_caffe.converters.preprocessing import FittedPreprocessing
from keras_caffe.errors import ExportError
from keras_caffe.layout import edge_order, to_stored
from keras_caffe.serving.preprocessing import encoded as from_files
from keras_caffe.serving.preprocessing import pictures
from keras_caffe.shapes import Sizes

IMAGE_BYTES = "image_bytes"
CLASSIFY = "classify"
PICTURE_FORMAT = "channels_last"


@dataclass
class Inputs:
    """What callers feed, and how the net's inputs come from it.

    Args:
        specs: {input's name in the signature: its TensorSpec}.
        prepare: what a caller gives -> {Keras input: tensor}.
        example: one request, for warm-up.
    """

    specs: dict[str, tf.TensorSpec]
    prepare: Callable[[Mapping[str, Any]], dict[str, Any]]
    example: dict[str, np.ndarray] = field(default_factory=dict)

    def of(self, names: Sequence[str]) -> list[str]:
        """The inputs that a part of the net with these Keras inputs needs."""
        return [name for name in self.specs if name in names or name == IMAGE_BYTES]


def plain_inputs(model: CaffeModel, shapes: Mapping[str, Sizes]) -> Inputs:
    """The net's own inputs; those with a default value (DummyData) are not asked for.

    Args:
        model: what is served.
        shapes: {input blob: shape of a request in Caffe's order}.
    """
    tensors = {keras_name(model.net.values[v].blob): model.tensors.at_edge(v) for v in model.plan.inputs}
    asked = {name: x for name, x in tensors.items() if name not in model.tensors.defaults}
    arguments = {argument(name): name for name in asked}
    if len(arguments) < len(asked):
        raise ExportError("two inputs have one name in a signature", received=", ".join(asked))
    specs = {a: tf.TensorSpec(asked[name].shape, asked[name].dtype, name=a) for a, name in arguments.items()}
    asked_for = {argument(keras_name(blob)): shape for blob, shape in shapes.items()}
    example = {a: np.zeros(_request_shape(model, spec, asked_for[a]), "float32") for a, spec in specs.items()}
    return Inputs(specs, lambda given: {arguments[a]: x for a, x in given.items()}, example)


def net_inputs(
    model: CaffeModel,
    shapes: Mapping[str, Sizes],
    pictures: Mapping[str, FittedPreprocessing],
    encoded: bool = False,
) -> Inputs:
    """The inputs of what is served.

    Args:
        model, shapes: as of `plain_inputs`.
        pictures: {input blob that comes as pictures: what makes the net's input of them}; at most one.
        encoded: pictures come as JPEG or PNG files.
    """
    inputs = plain_inputs(model, shapes)
    for blob, fitted in pictures.items():
        inputs = picture_inputs(inputs, argument(keras_name(blob)), fitted, model.data_format, encoded)
    return inputs


def picture_inputs(plain: Inputs, name: str, fitted: FittedPreprocessing, data_format: str, encoded: bool) -> Inputs:
    """The inputs with one of them given as pictures, (N, H, W, C) or encoded files.

    Args:
        plain: the net's own inputs.
        name: the one that takes pictures.
        fitted: what makes the net's input of them.
        data_format: how the model takes that input.
        encoded: pictures come as JPEG or PNG files.
    """
    batch, *inner = plain.specs[name].shape
    open_or_fixed = inner[1:] if data_format == "channels_first" else inner[:-1]
    given = IMAGE_BYTES if encoded else name
    size = (None, None) if fitted.resize or fitted.crop else open_or_fixed
    shape = (batch,) if encoded else (batch, *size, fitted.channels)
    specs = {(given if n == name else n): s for n, s in plain.specs.items()}
    specs[given] = tf.TensorSpec(shape, "string" if encoded else "float32", name=given)

    def prepare(values: Mapping[str, Any]) -> dict[str, Any]:
        x = (from_files if encoded else pictures)(fitted, values[given])
        x = tf.transpose(x, (0, 3, 1, 2)) if data_format == "channels_first" else x
        return plain.prepare({**{n: v for n, v in values.items() if n != given}, name: x})

    _, *sizes = plain.example[name].shape
    high, wide = fitted.resize or fitted.crop or (sizes[1:] if data_format == "channels_first" else sizes[:-1])
    picture = np.zeros((batch or 1, high, wide, fitted.channels), "uint8")
    sample = np.array([tf.io.encode_png(p).numpy() for p in picture], object) if encoded else picture.astype("float32")
    return Inputs(specs, prepare, {**{n: a for n, a in plain.example.items() if n != name}, given: sample})


def net_outputs(model: CaffeModel) -> BlobModel:
    """The whole model with a dict {blob: tensor} as its output, also if there is only one."""
    tensors, net = model.tensors, model.net
    named = {output_name(net, v): tensors.at_edge_as(net.held(v), v) for v in tensors.plan.outputs()}
    part = BlobModel(model.input, named, name=f"{model.name}_outputs")
    part.tensors = tensors
    return part


def signature(part: Any, inputs: Inputs, finish: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> Any:
    """The concrete function of one signature.

    Args:
        part: a model whose output is a dict.
        inputs: what callers feed.
        finish: what is made of the outputs.
    """
    needed = inputs.of([argument(name) for name in part.input_names])
    defaults = part.tensors.defaults

    def serve(**given: Any) -> dict[str, Any]:
        known = {**{name: tf.constant(value) for name, value in defaults.items()}, **inputs.prepare(given)}
        fed = {name: x for name, x in known.items() if name in part.input_names}
        return {name: tf.identity(x) for name, x in finish(part(fed, training=False)).items()}

    return tf.function(serve, autograph=False).get_concrete_function(**{name: inputs.specs[name] for name in needed})


def in_float32(outputs: dict[str, Any]) -> dict[str, Any]:
    """The end of a function whose callers see no lower precision."""
    return {name: tf.cast(x, "float32") for name, x in outputs.items()}


def classes(names: Any, output: str, count: int, top: int) -> Callable[..., dict[str, Any]]:
    """The end of a signature that gives the best classes: their names and scores, both (N, top), the best first."""

    def finish(outputs: dict[str, Any]) -> dict[str, Any]:
        scores, index = tf.math.top_k(tf.reshape(outputs[output], (-1, count)), min(top, count))
        return {"classes": names.lookup(tf.cast(index, "int64")), "scores": scores}

    return finish


def argument(name: str) -> str:
    """A blob's name as the name of a function's argument in Python: letters, digits and underscores, and no keyword."""
    argument = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    if argument[0].isdigit():
        return f"arg_{argument}"  # as TensorFlow itself does
    return f"{argument}_" if argument == "self" or iskeyword(argument) else argument


def argument_names(model: CaffeModel, arguments: Container[str]) -> dict[str, str]:
    """{input blob: its name in a signature} of those that the signature takes."""
    blobs = (model.net.values[value].blob for value in model.plan.inputs)
    return {blob: argument(keras_name(blob)) for blob in blobs if argument(keras_name(blob)) in arguments}


def signature_name(blob: str) -> str:
    """A name that TensorFlow takes for operations, too."""
    return re.sub(r"^[^A-Za-z0-9.]|[^A-Za-z0-9_.\-/]", "_", blob)


def _request_shape(model: CaffeModel, spec: tf.TensorSpec, shape: Sizes) -> list[int]:
    """The sizes as callers see them, with a batch of 1 where that is open."""
    sizes = list(to_stored(shape, edge_order(len(shape), model.data_format)))
    return [1, *sizes[1:]] if sizes and spec.shape[0] is None else sizes
