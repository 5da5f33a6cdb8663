"""A model back to Caffe files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.graph import Node, graph
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.plain import from_keras
from keras_caffe.converters.rebuild import NodeBlobs, node_blobs
from keras_caffe.converters.sample_shapes import sample_shapes
from keras_caffe.converters.share import shared_params
from keras_caffe.converters.splits import with_splits
from keras_caffe.converters.write import replacing, write_caffemodel
from keras_caffe.errors import CaffeWarning, NetError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.proto.text import to_text
from keras_caffe.shapes import Sizes, known

FileName = str | os.PathLike[str]
TEXT, BINARY = (".prototxt", ".pbtxt"), (".caffemodel", ".h5", ".binaryproto")  # endings


def save(model: Any, prototxt: FileName | None = None, caffemodel: FileName | None = None) -> None:
    """Writes a model as Caffe files.

    A plain Keras model becomes a deploy net: images are (N, C, H, W) there, and what Keras flattens channels last is
    flattened as Caffe does, with the rows of the next Dense in that order.

    Args:
        model: from `keras_caffe.load`, or a functional or sequential Keras model of layers that Caffe has too.
        prototxt: where to write the definition: of the layers that the model has, in Caffe's current form. Open sizes
            of inputs become the smallest that the net takes, with a CaffeWarning.
        caffemodel: where to write the parameters: `.caffemodel`, or HDF5 if the name ends in `.h5`.

    Raises:
        NetError: lists the layers of a Keras model that cannot be expressed in Caffe; or no file is named, or
            one with the other's ending.
        ReadError: a file cannot be written. WeightsError: too many parameters for a binary file.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> keras_caffe.save(model, "net.prototxt", "net.caffemodel")
        >>> keras_caffe.load("net.prototxt", "net.caffemodel").count_params()
        431080
    """
    if prototxt is None and caffemodel is None:
        raise NetError("neither prototxt nor caffemodel is given", expected="prototxt=, caffemodel=, or both")
    for argument, name, others in (("prototxt", prototxt, BINARY), ("caffemodel", caffemodel, TEXT)):
        if name is not None and str(name).endswith(others):
            fix = "Write save(model, prototxt, caffemodel): the definition comes before the parameters."
            raise NetError(f"{argument} names a file of the other kind", received=str(name), fix=fix)
    blobs: NodeBlobs = []
    if isinstance(model, CaffeModel):
        net = definition(model)
    else:
        net, blobs = from_keras(model)
    if prototxt is not None:
        with replacing(prototxt) as temporary:
            temporary.write_text(to_text(net), encoding="utf-8")
    if caffemodel is not None and isinstance(model, CaffeModel):
        save_params(model, caffemodel)
    elif caffemodel is not None:
        _save_plain(net, blobs, caffemodel)


def _save_plain(net: Any, blobs: NodeBlobs, caffemodel: FileName) -> None:
    split, layers = with_splits(net), graph(net)
    positions = _positions(split, layers.nodes)
    owned = {(positions[node], blob) for node, blob in shared_params(layers)}
    write_caffemodel(caffemodel, split, _placed(blobs, positions, len(split.layer)), shared=owned)


def save_params(model: CaffeModel, caffemodel: FileName, diffs: NodeBlobs | None = None) -> None:
    """Writes a loaded net's parameters, and with them `diffs`: for each node of the net, one array for each blob."""
    split, positions = _with_splits(model)
    for index, planned in model.plan.layers.items():
        _complete(split.layer[positions[index]], planned.layer)
    params = _placed(node_blobs(model), positions, len(split.layer))
    placed = _placed(diffs, positions, len(split.layer)) if diffs is not None else None
    shared = {(positions[node], blob) for node, blob in model.plan.owners}
    write_caffemodel(caffemodel, split, params, diffs=placed, shared=shared)


def _placed(blobs: NodeBlobs, positions: Sequence[int], count: int) -> list[Sequence[np.ndarray]]:
    """The blobs of nodes as those of the layers at their positions; other layers have none."""
    placed: list[Sequence[np.ndarray]] = [[] for _ in range(count)]
    for position, arrays in zip(positions, blobs, strict=True):
        placed[position] = arrays
    return placed


def definition(model: CaffeModel) -> Any:
    """The model's net as a NetParameter: without rules for phases, its inputs with the shapes that they have."""
    net = proto.NetParameter()
    net.CopyFrom(model.net.message)
    net.ClearField("state")
    for layer in net.layer:
        for field in ("phase", "include", "exclude"):
            layer.ClearField(field)
        if layer.type == "Input":
            layer.input_param.ClearField("shape")
            for top in layer.top:
                layer.input_param.shape.add().dim.extend(_stated(model, f"{top}@{layer.name}"))
    return net


def _stated(model: CaffeModel, value: str) -> Sizes:
    """The sizes that a file states for an input; Caffe knows no open ones, though it reshapes a net that runs."""
    shape, blob = model.plan.shapes[value], model.net.values[value].blob
    if None not in shape:
        return known(shape)
    sizes = sample_shapes(model.plan)[blob]
    warnings.warn(
        CaffeWarning(
            f"a Caffe file cannot leave sizes of input {blob!r} open: {shape} is written as {sizes}",
            fix="Edit the file for another size, or reshape the blob before the net runs.",
        ),
        stacklevel=4,
    )
    return sizes


def _with_splits(model: CaffeModel) -> tuple[Any, list[int]]:
    """The net with Caffe's Split layers, and where in it each of the model's layers is."""
    split = with_splits(model.net.message)
    return split, _positions(split, model.net.nodes)


def _positions(split: Any, nodes: Sequence[Node]) -> list[int]:
    """Where each node is in the net with Split layers."""
    positions: list[int] = []
    for index, layer in enumerate(split.layer):
        node = nodes[len(positions)] if len(positions) < len(nodes) else None
        if node and (layer.name, layer.type) == (node.name, node.type):
            positions.append(index)
    return positions


def _complete(message: Any, layer: CaffeLayer) -> None:
    """States what Caffe's layers themselves add to their definition when they are set up."""
    if message.type == "BatchNorm":
        for _ in range(len(message.param), len(layer.caffe_blobs)):
            message.param.add(lr_mult=0)
    if layer.is_loss and not message.loss_weight:
        message.loss_weight.append(1)
