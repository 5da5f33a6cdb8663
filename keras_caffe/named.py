"""Dicts of what a net names: blobs, layers. An unknown name is an error that tells the nearest known ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from keras_caffe.errors import UnknownNameError

Item = TypeVar("Item")
SHOWN = 20  # known names in a message at most


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


def unknown(kind: str, names: Iterable[Any], known: Iterable[str]) -> UnknownNameError:
    """The error for names that are not among the known ones of a net."""
    names, known = list(names), list(known)
    near = [match for name in names for match in difflib.get_close_matches(str(name), known, n=2)]
    more = f", ... ({len(known)} in all)" if len(known) > SHOWN else ""
    return UnknownNameError(
        f"the net has no {kind} {', '.join(map(repr, names))}",
        expected=None if near else f"one of {', '.join(known[:SHOWN])}{more}" if known else "nothing: there is none",
        fix=f"Did you mean {' or '.join(map(repr, dict.fromkeys(near)))}?" if near else None,
    )
