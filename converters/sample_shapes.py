"""Sizes for inputs that leave some open: what a first request, a trial run or a Caffe file can use."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from keras_caffe.converters.infer import Plan
from keras_caffe.converters.keras_names import keras_name
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import CaffeError, Option, ShapeError
from keras_caffe.shapes import Shape, Sizes

SIZES = tuple(2**n for n in range(12))


def declared_shapes(plan: Plan) -> dict[str, Shape]:
    """{input blob: shape in Caffe's order}, as the net was loaded."""
    return {plan.net.values[value].blob: plan.shapes[value] for value in plan.inputs}


def asked_shapes(model: CaffeModel) -> dict[str, Shape]:
    """`declared_shapes` of the inputs that callers must feed: those without a default."""
    declared, defaults = declared_shapes(model.plan), model.tensors.defaults
    return {blob: shape for blob, shape in declared.items() if keras_name(blob) not in defaults}


def sample_shapes(plan: Plan) -> dict[str, Sizes]:
    """{input blob: a shape in Caffe's order that the net takes}.

    It is the declared one; an open batch is 1, and other open sizes are the smallest power of 2 with which no blob of
    the net is empty.

    Raises:
        ShapeError: the net takes none of these sizes.
    """
    declared = {value: plan.shapes[value] for value in plan.inputs}
    for size in SIZES:
        filled = {value: _filled(shape, size) for value, shape in declared.items()}
        if filled == declared or _takes(plan, filled):
            return {plan.net.values[value].blob: shape for value, shape in filled.items()}
    raise ShapeError(
        f"no size up to {SIZES[-1]} suits the open ones of the inputs",
        received=declared_shapes(plan),
        fix=Option("input_shapes", ..., "to load the net for a size that it takes"),
    )


def _filled(shape: Shape, size: int) -> Sizes:
    return tuple((size if axis else 1) if n is None else n for axis, n in enumerate(shape))


def _takes(plan: Plan, shapes: Mapping[str, Sizes]) -> bool:
    with suppress(CaffeError):
        return all(0 not in shape for shape in plan.check_shapes(shapes).values())
    return False
