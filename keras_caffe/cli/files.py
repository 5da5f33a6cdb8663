"""Files that a command writes: there is the whole of one, or what was there before."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def output_file(suffix: str = "") -> Callable[[str], Path]:
    """An argparse type: the path of a file that can be written, with this suffix."""

    def check(name: str) -> Path:
        path = Path(name)
        if path.suffix != suffix and suffix:
            raise argparse.ArgumentTypeError(f"the name must end in {suffix}: {name!r}")
        if path.exists() and not path.is_file():  # a folder; a device, which renaming would replace
            raise argparse.ArgumentTypeError(f"{name!r} is not a file")
        if not path.resolve().parent.is_dir():
            raise argparse.ArgumentTypeError(f"there is no folder {str(path.resolve().parent)!r}")
        return path

    return check


@contextmanager
def output_beside(path: Path) -> Iterator[Path]:
    """The name of a new file beside `path`, which takes its place if all goes well and else is removed."""
    target = path.resolve()  # where `path` is a link, the link stays
    new = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield new
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
