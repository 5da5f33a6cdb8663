"""The net of a model built once more: other layers, other values, other edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keras_caffe import registry
from keras_caffe.converters.build import build
from keras_caffe.converters.graph import Net
from keras_caffe.converters.infer import Plan, Step, infer
from keras_caffe.converters.model import CaffeModel
from keras_caffe.layers.base import LoadContext, loading
from keras_caffe.layers.python import Python
from keras_caffe.layers.python_class import class_name
from keras_caffe.proto.text import to_text
from keras_caffe.shapes import Shape

NodeBlobs = Sequence[Sequence[np.ndarray]]


@dataclass(frozen=True)
class CaffeArray:
    """An array as a layer's first value."""

    array: np.ndarray

    def copy(self, permutation: Sequence[int] | None = None) -> np.ndarray:
        turned = self.array if permutation is None else self.array.transpose(permutation)
        return np.array(turned, "float32", order="C")


def node_blobs(model: CaffeModel) -> list[list[np.ndarray]]:
    """For each node of the model's net its learned blobs in Caffe's shape and order."""
    steps = model.plan.steps
    return [[held.get() for held in step.layer.caffe_blobs] if step.layer else [] for step in steps]


def plan_again(model: CaffeModel, net: Net, input_shapes: Mapping[str, Shape], data_format: str) -> Plan:
    """Plans a net with the classes and settings that the model was loaded with. Raises as `infer` does."""
    recipe, (custom, python) = model.recipe, _classes(model)
    with loading(LoadContext(recipe.fork, python, files=recipe.files)):
        return infer(net, data_format=data_format, input_shapes=input_shapes, custom_layers=custom, dtype=recipe.dtype)


def rebuild(model: CaffeModel, plan: Plan, blobs: NodeBlobs, input_shapes: Mapping[str, Shape]) -> CaffeModel:
    """The model of a plan that `plan_again` made, with these blobs, one list for each node."""
    recipe = replace(
        model.recipe,
        net=to_text(plan.net.message),
        data_format=plan.data_format,
        input_shapes={name: tuple(shape) for name, shape in input_shapes.items()},
    )
    initial = {
        index: {i: CaffeArray(array) for i, array in enumerate(arrays) if (index, i) not in plan.owners}
        for index, arrays in enumerate(blobs)
    }
    with loading(LoadContext(recipe.fork, _classes(model)[1])):
        tensors = build(plan, initial)
        return CaffeModel.from_tensors(tensors, recipe, load_report=model.load_report, sources=model.sources)


def is_foreign(step: Step) -> bool:
    """Whether a step's class is not the one that is registered for its type; Python layers are whatever they are."""
    if step.layer is None or step.node.type == "Python":
        return step.layer is not None
    cls = registry.registered().get(step.node.type)
    return cls is None or type(step.layer) is not cls.for_layer(step.node.message)


def _classes(model: CaffeModel) -> tuple[dict[str, type], dict[str, type]]:
    """{type: class} of foreign layers, {"module.Class": class} of Python layers."""
    custom: dict[str, type] = {}
    python: dict[str, type] = {}
    for step in model.plan.steps:
        if step.layer is None:
            continue
        if step.node.type == "Python":
            own = isinstance(step.layer, Python)
            python[class_name(step.node.message)] = type(step.layer.runner.layer if own else step.layer)
        elif is_foreign(step):
            custom[step.node.type] = type(step.layer)
    return custom, python
