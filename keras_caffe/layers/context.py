"""What layer classes may look up while a net is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from keras_caffe.places import Places


@dataclass(frozen=True)
class LoadContext:
    """What a layer class may look up while a net is loaded.

    Args:
        fork: whose definitions hold where forks differ under one name; None: what the file holds decides.
        python_layers: {"module.Class": class} for layers of type "Python"; None: these layers are sources of inputs.
        allow_python_imports: whether the modules that a file names may be imported.
        files: {path: content} of the files that `from_caffe` reads, kept with the model.
        places: where files that layers name are looked for.
    """

    fork: str | None = None
    python_layers: Mapping[str, type | None] | None = None
    allow_python_imports: bool = False
    files: dict[str, bytes] | None = None
    places: Places = field(default_factory=Places)


_CONTEXT: ContextVar[LoadContext | None] = ContextVar("_CONTEXT", default=None)


def load_context() -> LoadContext:
    """The context of the load that is going on; outside of one, the defaults."""
    return _CONTEXT.get() or LoadContext()


@contextmanager
def loading(context: LoadContext) -> Iterator[None]:
    """Makes `context` the one that layer classes see."""
    token = _CONTEXT.set(context)
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def read_file(path: str) -> bytes:
    """The content of a file that a layer names, kept in the load's context. Raises OSError if it cannot be read."""
    context = load_context()
    files = {} if context.files is None else context.files
    if path not in files:
        files[path] = context.places.find(path).read_bytes()
    return files[path]
