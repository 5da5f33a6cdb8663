#!/usr/bin/env python3
"""Runs the tutorials docs/tutorials/*.py and writes each as a page with what it prints and draws.

    python scripts/generate_tutorials.py [NAME ...]

The texts are in jupytext's format `py:percent`: `jupytext --to ipynb docs/tutorials/NAME.py` makes a notebook of one.
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

FOLDER = ROOT / "docs" / "tutorials"
NAMES = ("first_look", "fine_tune", "train_lenet", "read_lmdb", "serve", "detector", "own_layer")
NOTE = "<!-- Written by scripts/generate_tutorials.py from {name}.py; run it after a change. -->"
RUN = """\
*Each block is followed by what it printed or drew. To run this tutorial yourself, run [{name}.py]({name}.py), or
turn that file into a notebook with `jupytext --to ipynb {name}.py`. The tutorial needs
`pip install '.[tensorflow,view]'` in a checkout.*"""


@dataclass
class Cell:
    """A cell, and what came of it.

    Args:
        kind: "markdown" or "code".
        source: its text.
        printed: what it printed.
        figure: the figure that its last line gives, if it is one.
    """

    kind: str
    source: str
    printed: str = ""
    figure: Any = field(default=None, repr=False)


def cells(name: str) -> list[Cell]:
    """The cells of a tutorial."""
    return [Cell(cell.cell_type, cell.source) for cell in jupytext.read(FOLDER / f"{name}.py").cells]


def run(tutorial: Iterable[Cell]) -> dict[str, Any]:
    """Runs the code in the working directory and notes in the cells what came of it.

    Returns:
        The names that the code leaves.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in tutorial:
        if cell.kind == "code":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                cell.figure = _figure_of(cell.source, names)
            cell.printed = printed.getvalue()
    return names


def _figure_of(source: str, names: dict[str, Any]) -> Any:
    """Runs the code; the figure that its last line gives, which a notebook would show."""
    file = f"<cell {hash(source)}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file  # for AutoGraph, as IPython does
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), file, "exec"), names)  # noqa: S102
    value = last and eval(compile(ast.Expression(last.value), file, "eval"), names)  # noqa: S307
    return value if hasattr(value, "savefig") else None


def page(name: str, tutorial: Iterable[Cell]) -> str:
    """The tutorial as a page of Markdown."""
    title, _, rest = "\n\n".join(_parts(name, tutorial)).partition("\n\n")
    return "\n\n".join([NOTE.format(name=name), title, RUN.format(name=name), rest]) + "\n"


def _parts(name: str, tutorial: Iterable[Cell]) -> Iterator[str]:
    pictures = 0
    for cell in tutorial:
        if cell.kind == "markdown":
            yield cell.source
            continue
        yield f"```python\n{cell.source}\n```"
        if cell.printed.strip():
            yield f"```text\n{cell.printed.rstrip()}\n```"
        if cell.figure is not None:
            pictures += 1
            yield f"![{_title(cell.figure)}](pictures/{name}-{pictures}.png)"


def _title(figure: Any) -> str:
    """What a picture shows, for those who do not see it."""
    titles = [axes.get_title(loc=place) for axes in figure.axes for place in ("center", "left")]
    return ", ".join(filter(None, titles))


def without_results(text: str) -> str:
    """A page with `#` for each number of a result: they differ a little from machine to machine."""
    results = re.compile(r"(?<=^```text\n).*?(?=^```$)|(?<=^!\[).*?(?=\])", re.MULTILINE | re.DOTALL)
    return results.sub(lambda found: re.sub(r" *-?\d[\d.]*(e[+-]?\d+)?", "#", found[0]), text)


def draw(name: str, tutorial: Iterable[Cell]) -> None:
    """Writes the pictures of a tutorial that has run."""
    from PIL import Image

    figures = (cell.figure for cell in tutorial if cell.figure is not None)
    for number, figure in enumerate(figures, 1):
        file = FOLDER / "pictures" / f"{name}-{number}.png"
        file.parent.mkdir(exist_ok=True)
        figure.savefig(file)
        with Image.open(file) as picture:
            picture.convert("RGB").quantize(32).save(file, optimize=True)


def main(names: list[str]) -> None:
    for name in names or NAMES:
        tutorial = cells(name)
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            run(tutorial)
            os.chdir(ROOT)
        draw(name, tutorial)
        (FOLDER / f"{name}.md").write_text(page(name, tutorial), encoding="utf-8")
        print(f"docs/tutorials/{name}.md")


if __name__ == "__main__":
    main(sys.argv[1:])
