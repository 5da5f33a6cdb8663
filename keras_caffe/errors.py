"""The errors keras_caffe raises, and how their messages are put together.

Every message answers: what is wrong, where (file:line, layer, blob), what was expected, what was received, what to do.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path


class CaffeError(ValueError):
    """Base of every error that keras_caffe raises about a Caffe file, net or array.

    Args:
        problem: what is wrong, one sentence without a final stop.
        where: `file` or `file:line`.
        layer: name of the Caffe layer (its type may follow in brackets).
        expected: what would have been right.
        received: what was there instead.
        fix: what the reader can do about it.
    """

    # Keras would raise a copy with the problem only of what a layer's call raises; this makes it pass errors on.
    _keras_call_info_injected = True

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        layer: str | None = None,
        expected: object = None,
        received: object = None,
        fix: str | None = None,
    ) -> None:
        self.problem, self.where, self.layer = problem, where, layer
        self.expected, self.received, self.fix = expected, received, fix
        super().__init__(problem)

    def at(self, *, where: str | None = None, layer: str | None = None) -> CaffeError:
        """Adds the place to an error raised where the place was not known; returns the error."""
        self.where = self.where or where
        self.layer = self.layer or layer
        return self

    def __str__(self) -> str:
        place = [self.where, f"layer {self.layer}" if self.layer else None]
        parts = [": ".join([*filter(None, place), self.problem])]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.received is not None:
            parts.append(f"received {self.received}")
        return "; ".join(parts) + (f". {self.fix}" if self.fix else "")


class ReadError(CaffeError):
    """A file is missing, empty, truncated, of another format, or not what protobuf accepts."""


class NetError(CaffeError):
    """The layers do not form a net: unknown bottoms, two producers of one top, clashing rules or shared parameters."""


class UnknownNameError(NetError, KeyError):
    """The net has no blob or layer of this name; a KeyError too, for it is what dicts of them raise."""


class LayerError(CaffeError):
    """A layer's parameters contradict each other, are missing, or ask for what cannot be computed exactly."""


class ShapeError(LayerError):
    """A layer's bottoms have shapes that it cannot take."""


class UnknownLayerError(CaffeError):
    """Layer types that nobody registered."""


class WeightsError(CaffeError):
    """Stored parameters do not fit the net."""


class DataError(CaffeError):
    """A data source is missing, broken or contradicts the layer that reads it."""


class SolverError(CaffeError):
    """A solver definition is contradictory or incomplete."""


class ExportError(CaffeError):
    """A model cannot be exported as asked, or the export cannot be written."""


class CaffeWarning(UserWarning):
    """Something in a Caffe file is unusual, ignored or handled otherwise than Caffe does."""


def unreadable(path: str | os.PathLike[str], error: OSError) -> ReadError:
    """The error for a file that cannot be opened; of a missing one it says which name may have been meant."""
    where = str(path)[:200] or "''"
    if isinstance(error, FileNotFoundError):
        return ReadError("there is no such file", where=where, fix=_near(Path(path)))
    if isinstance(error, IsADirectoryError):
        return ReadError("this is a folder", where=where, expected="a file", fix="Name a file in it.")
    return ReadError(f"the file cannot be read: {error.strerror or error}", where=where)


def _near(path: Path) -> str | None:
    try:
        near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], 1)
    except (OSError, ValueError):
        return None
    return f"Did you mean {path.parent / near[0]}?" if near else None
