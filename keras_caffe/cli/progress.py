"""Progress bars, on terminals only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(things: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """The things, with a bar that says how many of `total` there were so far."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(things, text, total=total, console=console, transient=True, disable=not console.is_terminal)
