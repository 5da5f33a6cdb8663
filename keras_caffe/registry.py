"""Caffe type name -> layer class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple, TypeVar

from keras_caffe.errors import CaffeError, Call, Cure, Option, UnknownLayerError, nearest
from keras_caffe.forks.unbuilt import fork_of

ENTRY_POINTS = "keras_caffe.layers"

LayerClass = TypeVar("LayerClass", bound=type)

_classes: dict[str, type] = {}


class UnknownType(NamedTuple):
    """A layer type that nobody registered.

    Args:
        name: the type.
        layers: (name, `file:line` or None) of the layers that have it.
        known: what is known of it: the fork that has it, or types with names like it.
    """

    name: str
    layers: Sequence[tuple[str, str | None]]
    known: str = ""


def register_layer(*types: str) -> Callable[[LayerClass], LayerClass]:
    """Class decorator: Caffe layers of these types are built by the class.

    Args:
        *types: Caffe type names, as written in `type: "..."`.

    Raises:
        CaffeError: a type is already registered by another class.

    Examples:
        >>> from keras_caffe.layers.base import CaffeLayer
        >>> @keras_caffe.register_layer("Doubled")
        ... class Doubled(CaffeLayer):
        ...     def call(self, inputs):
        ...         return 2 * inputs
        >>> net = '''layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2] } } }
        ... layer { name: "d" type: "Doubled" bottom: "x" top: "d" }'''
        >>> np.asarray(keras_caffe.load(net)(np.float32([[1, 2]])))
        array([[2., 4.]], dtype=float32)
    """

    def decorate(cls: LayerClass) -> LayerClass:
        for name in types:
            known = _classes.setdefault(name, cls)
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                option = Option(
                    "python_layers" if "." in name else "custom_layers", {name: ...}, "for one call instead"
                )
                raise CaffeError(
                    f"layer type {name!r} is already registered by {known.__module__}.{known.__qualname__}",
                    fix=("Give the type another name.", option),
                )
            _classes[name] = cls
        return cls

    return decorate


def registered() -> dict[str, type[Any]]:
    """Every registered type, in alphabetical order; classes of installed packages come in through entry points."""
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        if entry.name not in _classes:
            register_layer(entry.name)(entry.load())
    return dict(sorted(_classes.items()))


def class_of(type: str) -> type[Any] | None:
    """The class that is registered for a type, if there is one; installed packages are searched only if need be."""
    return _classes.get(type) or registered().get(type)


def find(
    types: Iterable[tuple[str, str, str | None]], custom: Mapping[str, type] | None = None
) -> dict[str, type[Any]]:
    """The classes for the given types; all the unknown ones are reported together.

    Args:
        types: (type name, name of the layer, `file:line` of the layer), the latter two for the message.
        custom: classes for this call; they come before the registered ones.

    Raises:
        UnknownLayerError: some types are neither in `custom` nor registered.
    """
    types = list(types)
    known = {**_classes, **(custom or {})}
    if any(name not in known for name, *_ in types):  # Only then are installed packages searched.
        known = {**registered(), **(custom or {})}
    unknown: dict[str, list[tuple[str, str | None]]] = {}
    for name, layer, where in types:
        if name not in known:
            unknown.setdefault(name, []).append((layer, where))
    if unknown:
        raise _unknown([UnknownType(name, at, _hint(name, known)) for name, at in unknown.items()])
    return {name: known[name] for name, *_ in types}


def _unknown(types: Sequence[UnknownType]) -> UnknownLayerError:
    return UnknownLayerError(
        f"unknown layer type{'s' if len(types) > 1 else ''} {', '.join(map(_describe, types))}",
        expected=None if any(one.known for one in types) else f"one of {', '.join(registered())}",
        fix=type_cures([one.name for one in types]),
        types=types,
    )


def type_cures(types: Sequence[str]) -> tuple[Cure, ...]:
    """What brings layer types that are not known."""
    return (
        Call("keras_caffe.register_layer", ", ".join(map(repr, types)), "on a class that computes it"),
        Option("custom_layers", {name: ... for name in types}, "for one call only"),
        "A layer that a script computes may be of type Python, with its class in python_layers.",
    )


def _describe(one: UnknownType) -> str:
    shown = [f"{layer!r} at {where}" if where else repr(layer) for layer, where in one.layers]
    more = f" and {len(shown) - 2} more" if len(shown) > 2 else ""
    return f"{one.name!r} (layer {', '.join(shown[:2])}{more}{one.known and '; '}{one.known})"


def _hint(name: str, known: Iterable[str]) -> str:
    """What is known of an unknown type: the fork that has it, the known types with names like it."""
    near = nearest(name, known)
    hints = [fork_of(name), f"did you mean {' or '.join(near)}?" if near else ""]
    return "; ".join(filter(None, hints))
