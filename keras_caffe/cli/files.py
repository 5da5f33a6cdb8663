"""Names of files that a command writes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
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
