"""Every public function, class and method states the types of its arguments and of what it returns."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import keras_caffe

ROOMS = ("cv_dnn", "data", "layers", "losses", "metrics", "ops", "optimizers", "plots", "pycaffe")


def public() -> Iterator[tuple[str, Any]]:
    """The names in `keras_caffe.__all__`, and those of its submodules that state theirs."""
    for room in (keras_caffe, *(getattr(keras_caffe, name) for name in ROOMS)):
        for name in getattr(room, "__all__", ()):
            yield f"{room.__name__}.{name}", getattr(room, name)


def functions(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A function, or the methods that a class of this package defines."""
    if inspect.isfunction(value):
        yield name, value
    for attribute, member in vars(value).items() if inspect.isclass(value) else ():
        method = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        own = not attribute.startswith("_") or attribute in ("__init__", "__call__")
        if own and inspect.isfunction(method) and method.__module__.startswith("keras_caffe"):
            yield f"{name}.{attribute}", method


def untyped(function: Any) -> list[str]:
    """The parameters without a type, and `return`."""
    signature = inspect.signature(function)
    names = [p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name not in ("self", "cls")]
    return names + (["return"] if signature.return_annotation is signature.empty else [])


def test_all_public_names_are_typed() -> None:
    found = {where: untyped(function) for name, value in public() for where, function in functions(name, value)}
    assert len(found) > 300
    assert {where: missing for where, missing in found.items() if missing} == {}


@pytest.mark.parametrize("name", keras_caffe.__all__)
def test_a_type_checker_sees_what_is_imported_later(name: str) -> None:
    """What `requirements.later` imports is imported for type checkers, too; to them it would be Any."""
    source = inspect.getsource(keras_caffe)
    assert len(re.findall(rf"\b{name}\b", source)) >= 2, "import it where TYPE_CHECKING holds"


def test_completion_offers_what_is_imported_later() -> None:
    assert set(keras_caffe.__all__) <= set(dir(keras_caffe))
    assert dir(keras_caffe) == sorted(dir(keras_caffe))
