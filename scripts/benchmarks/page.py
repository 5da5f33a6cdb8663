"""Making the page of a net with a picture, its size, and opening it in Chromium."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

MOST_SECONDS = 60
COLUMNS = ("net", "layers", "made s", "processor s", "size MB", "usable s")
USABLE = "return document.querySelectorAll('.box').length > 0 && document.querySelectorAll('aside h2').length > 0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nets", nargs="+", default=["lenet", "googlenet", "resnet152"], help="see benchmarks/nets.py")
    parser.add_argument("--runs", type=int, default=3, help="pages made, and times each is opened")


def measure(args: argparse.Namespace) -> Any:
    from tests.page.browser import chromium

    from .report import table

    with TemporaryDirectory() as folder, chromium(Path(folder)) as browser:
        rows = [_row(name, args.runs, Path(folder), browser) for name in args.nets]
    return table(f"A page with weights and one picture, medians of {args.runs}", COLUMNS, rows)


def _row(name: str, runs: int, folder: Path, browser: Any) -> tuple[Any, ...]:
    from . import nets, weights

    net = nets.NETS[name](1)
    files, page = weights.write(net, folder), folder / f"{name}.html"
    before = _children()
    made = median(_timed(lambda: _view(files, _picture(folder), page)) for _ in range(runs))
    processor = (_children() - before) / runs
    opened = median(_timed(lambda: _open(browser, page)) for _ in range(runs))
    return name, len(net.layer), made, processor, page.stat().st_size / 1e6, opened


def _children() -> float:
    """Processor seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _picture(folder: Path) -> Path:
    """A picture of soft patches, which compress as photographs do."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), "uint8")
    Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC).save(folder / "picture.jpg")
    return folder / "picture.jpg"


def _view(files: tuple[Path, Path], picture: Path, page: Path) -> None:
    command = [sys.executable, "-m", "keras_caffe", "view", *files, "--image", picture, "-o", page]
    subprocess.run([*map(str, command)], check=True, capture_output=True)


def _open(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())
    deadline = perf_counter() + MOST_SECONDS
    while not browser.execute_script(USABLE):
        if perf_counter() > deadline:
            raise TimeoutError(f"{page.name} is not usable after {MOST_SECONDS} s in the browser")
        sleep(0.01)


def _timed(call: Any) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start
