"""Nothing is left out: what every layer type must state, and where."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from keras_caffe import layers, registry
from keras_caffe.layers.base import CaffeLayer

ROOT = Path(__file__).resolve().parents[2]
TYPES = {
    name: cls
    for name, cls in registry.registered().items()
    if cls.__module__.startswith(f"{layers.__name__}.") and "." not in name  # With a dot: classes of Python layers.
}


def file_of(name: str) -> str:
    """The file of a type's class, as one opens it from the checkout."""
    return str(Path(inspect.getfile(TYPES[name])).relative_to(ROOT))


@pytest.mark.parametrize("name", TYPES)
def test_every_type_states_what_it_computes(name: str) -> None:
    own = TYPES[name].__mro__[: TYPES[name].__mro__.index(CaffeLayer)]
    stated = any({"flops", "flops_per_top_value"} & set(vars(cls)) for cls in own)
    assert stated, (
        f"{file_of(name)}: write `flops_per_top_value = <operations for each value of the tops>` into the class, or a "
        "method `flops` (see CaffeLayer.flops); `flops_per_top_value = None  # why` if the values decide"
    )
