"""Runs a notebook that imports caffe, unchanged, with this package in caffe's place."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from keras_caffe.converters.write import replacing
from keras_caffe.errors import CaffeError, unreadable
from keras_caffe.pycaffe.script import check_source

PREPARE = "from keras_caffe.pycaffe.script import prepare\nprepare({name!r}, [], {folder!r})"
VERSION = 4  # of the notebook's format
KERNEL = "python3"  # whatever Python a notebook of Caffe's time asks for


def run_notebook(path: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> None:
    """Runs a notebook's cells in its folder, and writes it with what they show.

    Args:
        path: of the notebook.
        output: what to write; default: the notebook itself.

    Raises:
        ReadError: it cannot be read or written. CaffeError: nbclient is missing, a cell is written for Python 2, or a
            cell fails: then with its traceback, and the notebook is written up to there.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError:
        fix = "Install it with `pip install 'keras-caffe[notebook]'`."
        raise CaffeError("running notebooks needs nbclient", fix=fix) from None
    notebook = _read(nbformat, path)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and not cell.source.lstrip().startswith("%%"):
            with suppress(SyntaxError):  # what else only IPython reads
                check_source(_without_magics(cell.source), f"{path}, cell {number}")
    folder = str(Path(path).resolve().parent)
    first = nbformat.v4.new_code_cell(PREPARE.format(name=str(path), folder=folder))
    notebook.cells.insert(0, first)
    client = NotebookClient(notebook, timeout=None, kernel_name=KERNEL, resources={"metadata": {"path": folder}})
    try:
        client.execute()
    except CellExecutionError as error:
        raise CaffeError(f"a cell fails: {error}", where=str(path)) from None
    finally:
        notebook.cells.remove(first)
        with replacing(path if output is None else output) as file:
            nbformat.write(notebook, file)


def _read(nbformat: Any, path: str | os.PathLike[str]) -> Any:
    try:
        return nbformat.read(path, VERSION)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise unreadable(path, error, problem="this is not a notebook") from None


def _without_magics(source: str) -> str:
    """The lines of a cell, with `pass` in the place of those that only IPython reads."""
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
