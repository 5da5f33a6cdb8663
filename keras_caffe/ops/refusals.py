"""What happens where a blob holds an index or label that names nothing.

In eager mode it is a LayerError at once. A graph cannot raise one: it stops with an error of TensorFlow's
that holds all that the LayerError would say, and whoever runs the graph turns it back (`refusals_raised`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.ops.stock import on_tensorflow

MARK = "keras_caffe refuses "
_STOPPED = re.compile(rf"\[{MARK}(?P<fields>.*?)\] \[(?P<received>-?\d+)[^\]]*\] \[(?P<limit>-?\d+)\]")


@dataclass(frozen=True)
class Place:
    """The layer that computes, as errors name it, and the names of its bottoms where they are known."""

    layer: str
    bottoms: tuple[str, ...] = ()


_PLACE: ContextVar[Place | None] = ContextVar("_PLACE", default=None)
_RAISED: ContextVar[bool] = ContextVar("_RAISED", default=False)
_COLLECTED: ContextVar[list[Any] | None] = ContextVar("_COLLECTED", default=None)


@contextmanager
def at_place(place: Place) -> Iterator[None]:
    """What is found inside is of this layer."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


@contextmanager
def refusals_raised() -> Iterator[None]:
    """Graphs that are traced inside stop at labels, too; what graphs that run inside refuse comes as a LayerError."""
    token = _RAISED.set(True)
    try:
        yield
    except Exception as error:  # TensorFlow's, of one of several classes
        stopped = _STOPPED.search(str(error))
        if stopped is None:
            raise
        raise _error(int(stopped["received"]), int(stopped["limit"]), **_unescaped(stopped["fields"])) from None
    finally:
        _RAISED.reset(token)


@contextmanager
def refusals_collected() -> Iterator[list[Any]]:
    """Graphs traced inside do not stop: each check adds a boolean scalar to the list, true where it refuses."""
    found: list[Any] = []
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)


def refused(wrong: Any, values: Any, size: Any, fields: dict[str, Any], *, always: bool = False) -> Any:
    """The values, none of which is wrong.

    Args:
        wrong: which of them are.
        values: integers.
        size: one more than the greatest allowed value.
        fields: of the LayerError; in `problem` and `expected` {} stands for the blob and the greatest allowed value,
            `bottom` is the number of the bottom that holds the values.
        always: graphs stop at a wrong value even if nobody turns TensorFlow's error into a LayerError.
    """
    seen = known(wrong)
    if seen is not None:
        if seen.any():
            raise _error(int(np.asarray(values)[seen].max()), int(size) - 1, **_placed(fields))
        return values
    collected = _COLLECTED.get()
    if collected is not None:
        collected.append(ops.any(wrong))
        return ops.where(wrong, 0, values)
    if not on_tensorflow() or not (always or _RAISED.get()):
        return values
    return _stopped(wrong, values, size, MARK + json.dumps(_placed(fields)))


def known(values: Any) -> np.ndarray | None:
    """The values, or None while they cannot be known because a graph is traced."""
    try:
        return np.asarray(values)
    except (NotImplementedError, TypeError, ValueError):
        return None


def _stopped(wrong: Any, values: Any, size: Any, text: str) -> Any:
    """The values, in a graph that stops where one of them is wrong."""
    import tensorflow as tf

    worst = tf.reduce_max(tf.where(wrong, values, values.dtype.min))
    data = [text, worst, tf.cast(size, "int32") - 1]
    with tf.control_dependencies([tf.debugging.Assert(~tf.reduce_any(wrong), data)]):
        return tf.identity(values)


def _placed(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with the layer in place of the bottom's number, and the blob's name if that is known."""
    place, bottom = _PLACE.get(), fields["bottom"]
    blob = place.bottoms[bottom] if place and place.bottoms else None
    more = {"layer": place and place.layer, "blob": blob}
    return {**{name: value for name, value in fields.items() if name != "bottom"}, **more}


def _error(
    received: int,
    limit: int,
    *,
    problem: str,
    layer: str | None,
    blob: str | None,
    expected: str | None = None,
    fix: str | None = None,
) -> LayerError:
    return LayerError(
        problem.format(f" in blob {blob!r}" if blob else ""),
        layer=layer,
        expected=expected and expected.format(limit),
        received=received,
        fix=fix,
    )


def _unescaped(text: str) -> dict[str, Any]:
    """The fields in TensorFlow's message, which puts backslashes before quotes and backslashes."""
    return json.loads(re.sub(r"\\(.)", r"\1", text))
