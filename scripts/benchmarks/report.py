"""Tables that read well on a screen and in Markdown."""

from __future__ import annotations

import os
import platform
import shlex
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """The first column holds words, the others numbers."""
    made = Table(title=title, box=box.MARKDOWN, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        made.add_row(*map(cell, row))
    return made


def cell(value: Any) -> str:
    """A number with three digits that count, or the text itself."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(made: Table, command: Sequence[str], console: Console | None = None) -> None:
    """Prints a table with the command and the machine it comes from."""
    console = console or Console(width=160)
    console.print(made)
    console.print(f"\n`{shlex.join(command)}` on {machine()}\n", highlight=False, soft_wrap=True)


def machine() -> str:
    found = [f"{name} {version(name)}" for name in PACKAGES if _installed(name)]
    gpus = "".join(f", {name}" for name in _gpus())
    return f"{_processor()} ({os.cpu_count()} cores){gpus}, Python {platform.python_version()}, {', '.join(found)}"


def _gpus() -> list[str]:
    """The names of the GPUs that TensorFlow computes on."""
    if "tensorflow" not in sys.modules:
        return []
    config = sys.modules["tensorflow"].config
    details = map(config.experimental.get_device_details, config.list_physical_devices("GPU"))
    return [found.get("device_name", "a GPU") for found in details]


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def interleaved(
    calls: Mapping[str, Callable[[], Any]], runs: int, warm: int = 2, clock: Callable[[], float] = perf_counter
) -> dict[str, list[float]]:
    """Seconds of each call, round by round, so that what disturbs the machine disturbs all of them."""
    for _ in range(warm):
        for call in calls.values():
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name].append(clock() - start)
    return seconds


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over the rounds of one time over the other."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
