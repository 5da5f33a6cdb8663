"""The learnable parameters of a net as a solver sees them (Net::AppendParam in net.cpp)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.share import Slot
from keras_caffe.converters.share import multipliers as stated_multipliers
from keras_caffe.errors import WeightsError
from keras_caffe.layers.base import BoundBlob
from keras_caffe.optimizers import SGD, CaffeOptimizer


@dataclass(frozen=True)
class Param:
    """A parameter that no other layer owns.

    Args:
        layer: name of the layer that owns it.
        index: which of the layer's blobs it is.
        bound: the blob and its variable.
        lr_mult, decay_mult: its multipliers; lr_mult is 0 for statistics.
    """

    layer: str
    index: int
    bound: BoundBlob
    lr_mult: float
    decay_mult: float

    @property
    def variable(self) -> Any:
        return self.bound.variable

    def __str__(self) -> str:
        return f"{self.layer}/{self.index}"


def params_of(plan: Plan) -> list[Param]:
    """The parameters in Caffe's order, which is that of a snapshot's histories; statistics and frozen ones included."""
    default = proto.ParamSpec()
    stated, params = stated_multipliers(plan.net), []
    for node, planned in plan.layers.items():
        for index, bound in enumerate(planned.layer.caffe_blobs):
            if (node, index) not in plan.owners:
                lr_mult, decay_mult = stated.get((node, index), (default.lr_mult, default.decay_mult))
                lr_mult = lr_mult if bound.blob.trainable else 0.0
                params.append(Param(planned.node.name, index, bound, lr_mult, decay_mult))
    return params


def multipliers(model: CaffeModel) -> dict[str, tuple[float, float]]:
    """{path of a variable: (lr_mult, decay_mult)} as a model's prototxt states them, for `keras_caffe.optimizers`."""
    return {param.variable.path: (param.lr_mult, param.decay_mult) for param in params_of(model.plan)}


def updated(params: Sequence[Param], optimizer: CaffeOptimizer) -> list[Param]:
    """The parameters that an iteration changes, or whose history it changes.

    Caffe adds the decay to the gradient of frozen parameters too. It never moves them, but histories that sum up
    squares grow by it.
    """
    sums_squares = not isinstance(optimizer, SGD) and optimizer.weight_decay
    return [p for p in params if p.variable.trainable or (sums_squares and p.decay_mult)]


def last_steps(plan: Plan, taken: Mapping[int, Any]) -> list[list[np.ndarray]]:
    """For each node what the last update took from its blobs, which is what Caffe's diffs hold after an iteration.

    Args:
        plan: of the train net.
        taken: {id of a variable: variable with what was taken from it}; of others nothing was.
    """
    blobs = [plan.bound_blobs(node.index) for node in plan.net.nodes]

    def diff(slot: Slot, bound: BoundBlob) -> np.ndarray:
        node, index = plan.owners.get(slot, slot)
        owner = blobs[node][index]
        step = taken.get(id(owner.variable))
        shape = bound.blob.shape
        return np.zeros(shape, "float32") if step is None else BoundBlob(owner.blob, step).get().reshape(shape)

    return [[diff((node, index), bound) for index, bound in enumerate(own)] for node, own in enumerate(blobs)]


class History:
    """The histories of all parameters in a snapshot's order: of each slot, one for each parameter.

    Args:
        optimizer: built on the variables of the parameters that it updates.
        params: all parameters.
    """

    def __init__(self, optimizer: CaffeOptimizer, params: Sequence[Param]) -> None:
        self.params: list[Param] = list(params)
        self.sign: int = optimizer.sign
        known = {id(v): i for i, v in enumerate(optimizer.trainable_variables)}
        places = [known.get(id(p.variable)) for p in params]
        self.variables: list[Any] = [
            None if i is None else getattr(optimizer, slot)[i] for slot in optimizer.slots for i in places
        ]

    def __len__(self) -> int:
        return len(self.variables)

    def get(self) -> list[np.ndarray]:
        """The histories in Caffe's shape and order; zeros where an iteration changes nothing."""
        arrays = []
        for number, variable in enumerate(self.variables):
            blob = self._param(number).bound.blob
            values = np.zeros(blob.shape, "float32") if variable is None else BoundBlob(blob, variable).get()
            arrays.append(values if self.sign > 0 else 0.0 - values)
        return arrays

    def check(self, arrays: Sequence[np.ndarray], where: str) -> None:
        """Raises WeightsError if the arrays are not these histories."""
        if len(arrays) != len(self):
            raise WeightsError(
                "the state has another number of histories than this solver",
                where=where,
                expected=f"{len(self)} for {len(self.params)} parameters",
                received=len(arrays),
                fix="It comes from another net, or from a solver of another type.",
            )
        for number, array in enumerate(arrays):
            param = self._param(number)
            if legacy(array.shape) != legacy(param.bound.blob.shape):
                raise WeightsError(
                    f"history {number} has another shape than its parameter {param}",
                    where=where,
                    expected=tuple(param.bound.blob.shape),
                    received=array.shape,
                    fix="The state comes from another net.",
                )

    def set(self, arrays: Sequence[np.ndarray]) -> None:
        """Sets the histories from arrays that `check` accepts."""
        for number, (variable, array) in enumerate(zip(self.variables, arrays, strict=True)):
            blob = self._param(number).bound.blob
            if variable is not None:
                values = array if self.sign > 0 else 0.0 - array
                BoundBlob(blob, variable).set(np.array(values, "float32").reshape(blob.shape))

    def _param(self, number: int) -> Param:
        return self.params[number % len(self.params)]


def legacy(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape as files of old Caffe have it, in at least four axes."""
    return (1,) * (4 - len(shape)) + tuple(shape)
