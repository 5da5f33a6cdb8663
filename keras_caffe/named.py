"""Dicts of what a net names: blobs, layers. An unknown name is an error that tells the nearest known ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from keras_caffe.errors import UnknownNameError, instead

Item = TypeVar("Item")


class Named(dict[str, Item]):
    """A dict whose `[name]` raises UnknownNameError (a KeyError); `in` and `get` are as in any dict.

    Args:
        kind: what is named, as messages say it: "blob", "layer".
        items: what the dict holds.
    """

    def __init__(self, kind: str, items: Mapping[str, Item] | Iterable[tuple[str, Item]] = ()) -> None:
        super().__init__(items)
        self.kind = kind

    def __missing__(self, name: str) -> Item:
        raise unknown(self.kind, [name], self)


def unknown(
    kind: str, names: Iterable[Any], known: Iterable[str], error: type[UnknownNameError] = UnknownNameError
) -> UnknownNameError:
    """The error for names that are not among the known ones of a net."""
    names = list(names)
    return error(f"the net has no {kind} {', '.join(map(repr, names))}", **instead(names, known))
