"""The net of a model built once more: other layers, other values, other edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keras_caffe import registry
from keras_caffe.converters.build import build
from keras_caffe.converters.graph import Net
from keras_caffe.converters.infer import Plan, PlannedLayer, infer
from keras_caffe.converters.model import CaffeModel
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.layers.python import Python
from keras_caffe.layers.python_class import class_name
from keras_caffe.proto.text import to_text
from keras_caffe.shapes import Shape

NodeBlobs = Sequence[Sequence[np.ndarray]]


@dataclass(frozen=True)
class CaffeArray:
    """An array in Caffe's order as the `StoredValues` of a blob."""

    array: np.ndarray

    def copy(self, permutation: Sequence[int] | None = None) -> np.ndarray:
        turned = self.array if permutation is None else self.array.transpose(permutation)
        return np.array(turned, "float32", order="C")


def node_blobs(model: CaffeModel) -> list[list[np.ndarray]]:
    """For each node of the model's net its learned blobs in Caffe's shape and order."""
    return [[bound.get() for bound in model.plan.bound_blobs(node.index)] for node in model.net.nodes]


def plan_again(
    model: CaffeModel, net: Net, input_shapes: Mapping[str, Shape], data_format: str, dtype: str | None = None
) -> Plan:
    """Plans a net with the classes and settings of the model, and maybe another dtype. Raises as `infer` does."""
    recipe, (custom, python) = model.recipe, _classes(model)
    with loading(LoadContext(recipe.fork, python, files=recipe.files)):
        return infer(
            net,
            data_format=data_format,
            input_shapes=input_shapes,
            custom_layers=custom,
            dtype=dtype or recipe.dtype,
        )


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
        return CaffeModel.from_tensors(tensors, recipe, load_report=model.load_report, files=model.files)


def is_foreign(planned: PlannedLayer) -> bool:
    """Whether a layer's class is not the one that is registered for its type; Python layers are whatever they are."""
    if planned.node.type == "Python":
        return True
    cls = registry.class_of(planned.node.type)
    return cls is None or type(planned.layer) is not cls.for_layer(planned.node.message)


def _classes(model: CaffeModel) -> tuple[dict[str, type], dict[str, type]]:
    """{type: class} of foreign layers, {"module.Class": class} of Python layers."""
    custom: dict[str, type] = {}
    python: dict[str, type] = {}
    for planned in model.plan.layers.values():
        layer = planned.layer
        if planned.node.type == "Python":
            python[class_name(planned.node.message)] = type(layer.runner.layer if isinstance(layer, Python) else layer)
        elif is_foreign(planned):
            custom[planned.node.type] = type(layer)
    return custom, python
