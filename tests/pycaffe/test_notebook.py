"""`python -m keras_caffe.pycaffe --notebook`: notebooks that import caffe."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_caffe.errors import CaffeError, ReadError
from keras_caffe.pycaffe.notebook import run_notebook
from tests.shared_goldens import ROOT

nbformat = pytest.importorskip("nbformat", reason="nbclient, which runs notebooks, is not installed")
pytest.importorskip("nbclient", reason="nbclient, which runs notebooks, is not installed")
pytest.importorskip("ipykernel", reason="ipykernel, in which notebooks run, is not installed")


def write(folder: Path, *cells: str) -> Path:
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]
    metadata = {"kernelspec": {"name": "python2", "display_name": "Python 2"}}
    path = folder / "old.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=metadata), path)
    return path


def test_it_runs_in_its_folder_and_is_written_up_to_what_fails(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "mine.py").write_text("number = 5\n")
    path = write(tmp_path, "!echo hello\nimport caffe, mine", "print(caffe.Net.__module__, mine.number)", "1 / 0", "2")
    with pytest.raises(CaffeError, match="ZeroDivisionError"):
        run_notebook(path, tmp_path / "run.ipynb")
    cells = nbformat.read(tmp_path / "run.ipynb", 4).cells
    assert [cell.source for cell in cells][2] == "1 / 0" and len(cells) == 4
    assert cells[1].outputs[0].text == "keras_caffe.pycaffe.net 5\n"
    assert cells[2].outputs[0].ename == "ZeroDivisionError" and not cells[3].outputs
    assert not nbformat.read(path, 4).cells[1].outputs


def test_a_cell_of_python_2_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "%matplotlib inline\nx = 1", "for i in range(3):\n    !ls\n    print i")
    with pytest.raises(CaffeError, match=r"old\.ipynb, cell 1:3: the script is written for Python 2"):
        run_notebook(path)


def test_what_is_no_notebook(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("print(1)")
    with pytest.raises(ReadError, match="not a notebook"):
        run_notebook(tmp_path / "a.ipynb")
    with pytest.raises(ReadError, match="no such file"):
        run_notebook(tmp_path / "b.ipynb")
