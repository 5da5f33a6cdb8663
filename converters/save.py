"""A model back to Caffe files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.splits import with_splits
from keras_caffe.converters.write import replacing, write_caffemodel
from keras_caffe.errors import NetError
from keras_caffe.proto.text import to_text

Path = str | os.PathLike[str]


def save(model: CaffeModel, prototxt: Path | None = None, caffemodel: Path | None = None) -> None:
    """Writes a loaded net as Caffe files.

    Args:
        model: from `keras_caffe.load`.
        prototxt: where to write the definition: of the layers that the model has, in Caffe's current form.
        caffemodel: where to write the parameters: `.caffemodel`, or HDF5 if the name ends in `.h5`.

    Raises:
        NetError: the model was not loaded from a Caffe net.
        ReadError: a file cannot be written. WeightsError: too many parameters for a binary file.
    """
    if not isinstance(model, CaffeModel):
        raise NetError(
            "only a model that was loaded from a Caffe net can be written as one",
            expected="what keras_caffe.load returns",
            received=type(model).__name__,
        )
    plan = model.plan
    net = definition(model)
    if prototxt is not None:
        with replacing(prototxt) as temporary:
            temporary.write_text(to_text(net), encoding="utf-8")
    if caffemodel is not None:
        arrays = [[held.get() for held in s.layer.caffe_blobs] if s.layer else [] for s in plan.steps]
        split, positions = _with_splits(model)
        params: list[list[np.ndarray]] = [[] for _ in split.layer]
        for position, step, blobs in zip(positions, plan.steps, arrays, strict=True):
            params[position] = blobs
            _complete(split.layer[position], step.layer)
        shared = {(positions[node], blob) for node, blob in plan.owners}
        write_caffemodel(caffemodel, split, params, shared=shared)


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
                sizes = model.plan.shapes[f"{top}@{layer.name}"]
                layer.input_param.shape.add().dim.extend(1 if size is None else size for size in sizes)
    return net


def _with_splits(model: CaffeModel) -> tuple[Any, list[int]]:
    """The net with Caffe's Split layers, and where in it each of the model's layers is."""
    split = with_splits(model.net.message)
    positions, nodes = [], list(model.net.nodes)
    for index, layer in enumerate(split.layer):
        node = nodes[len(positions)] if len(positions) < len(nodes) else None
        if node and (layer.name, layer.type) == (node.name, node.type):
            positions.append(index)
    return split, positions


def _complete(message: Any, layer: Any) -> None:
    """States what Caffe's layers themselves add to their definition when they are set up."""
    if message.type == "BatchNorm":
        for _ in range(len(message.param), len(layer.caffe_blobs)):
            message.param.add(lr_mult=0)
    if layer is not None and layer.is_loss and not message.loss_weight:
        message.loss_weight.append(1)
