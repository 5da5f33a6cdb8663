"""TensorFlow's eager iterators, made safe to drop and clear about what stopped them."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import finalize

import tensorflow as tf


def guarded(iterator: Any, explain: Callable[[], BaseException | None] = lambda: None) -> Any:
    """The same eager iterator, of a class that can be dropped in any thread.

    When an iterator's resource goes, TensorFlow waits for the threads that read for it. Python's collector runs
    wherever Python code runs, and may drop the resource in one of them: that thread would wait for itself for ever, and
    nothing in this process would be collected again. So the resource is let go of in a thread of its own there.

    Keras and TensorFlow take only TensorFlow's own class of iterators, which only TensorFlow makes: hence a change of
    class.

    Args:
        iterator: of a tf.data.Dataset; one that is guarded already stays as it is.
        explain: gives the error that stopped the data, where TensorFlow passes on its text only; None if it has none.
    """
    own: Any = type(iterator)
    if "_iterator_resource" not in vars(iterator):  # guarded already, or of a distribution strategy
        return iterator
    resource = [vars(iterator).pop("_iterator_resource")]
    iterator.__class__ = _guarded_class(own)
    iterator.resource = resource
    iterator.explain = explain
    finalize(iterator, _let_go, resource).atexit = False
    return iterator


def _let_go(resource: list[Any]) -> None:
    if threading.get_ident() == threading.main_thread().ident:
        resource.clear()
    else:  # by the module without locks: the collector may have interrupted the one that holds them
        _thread.start_new_thread(resource.clear, ())


@cache
def _guarded_class(iterator: type) -> type:
    class Iterator(iterator):  # type: ignore[valid-type, misc]
        resource: list[Any]
        explain: Callable[[], BaseException | None]

        @property
        def _iterator_resource(self) -> Any:
            return self.resource[0]

        def __next__(self) -> Any:
            try:
                return super().__next__()
            except tf.errors.OpError as error:
                raise (self.explain() or error) from None

    return Iterator
