"""`keras-caffe log`: the curves in Caffe's logs and ours."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from keras_caffe.cli import main
from keras_caffe.errors import ReadError
from keras_caffe.solver.log import read_log

CAFFE = """\
I1126 08:00:00.000000  1234 solver.cpp:289] Solving LeNet
I1126 08:00:00.100000  1234 solver.cpp:347] Iteration 0, Testing net (#0)
I1126 08:00:01.000000  1234 solver.cpp:414]     Test net output #0: accuracy = 0.125
I1126 08:00:01.000000  1234 solver.cpp:414]     Test net output #1: loss = 2.3 (* 1 = 2.3 loss)
I1126 08:00:01.000000  1234 solver.cpp:347] Iteration 0, Testing net (#1)
I1126 08:00:01.000000  1234 solver.cpp:414]     Test net output #0: accuracy = 0.5
I1126 08:00:01.100000  1234 solver.cpp:239] Iteration 0 (-1.4e-45 iter/s, 0.9s/100 iters), loss = 2.4
I1126 08:00:01.100000  1234 solver.cpp:258]     Train net output #0: loss = 2.5 (* 1 = 2.5 loss)
I1126 08:00:01.100000  1234 sgd_solver.cpp:112] Iteration 0, lr = 0.01
I1126 08:00:02.100000  1234 solver.cpp:239] Iteration 100 (99 iter/s, 1s/100 iters), loss = -nan
I1126 08:00:02.100000  1234 solver.cpp:258]     Train net output #0: per_class = 1
I1126 08:00:02.100000  1234 solver.cpp:258]     Train net output #1: per_class = 2
I1126 08:00:02.100000  1234 sgd_solver.cpp:112] Iteration 100, lr = 1e-05, m = 0.9, wd = 0.0005, gs = 1
I1126 08:00:02.100000  1234 sgd_solver.cpp:112] Iteration 200, lr = 1e-
"""
OURS = "Iteration 0, loss = 3\n    Train net output #0: loss = 3 (* 1 = 3 loss)\nIteration 0, lr = 0.5\n"


@pytest.fixture
def logs(tmp_path: Path) -> list[str]:
    (tmp_path / "caffe.log").write_text(CAFFE)
    (tmp_path / "ours.txt").write_text(OURS)
    return [str(tmp_path / "caffe.log"), str(tmp_path / "ours.txt")]


def test_the_curves_of_a_log(logs: list[str]) -> None:
    curves = read_log(logs[0])
    assert curves["lr"] == ([0, 100], [0.01, 1e-05])
    assert curves["loss"][0] == [0, 100]
    np.testing.assert_array_equal(curves["loss"][1], [2.4, np.nan])
    assert curves["test accuracy"] == ([0], [0.125]) and curves["test 1 accuracy"] == ([0], [0.5])
    assert curves["train loss"] == ([0], [2.5])
    assert curves["train per_class"] == ([100], [1.0]) and curves["train per_class[1]"] == ([100], [2.0])
    assert read_log(logs[1]) == {"loss": ([0], [3.0]), "train loss": ([0], [3.0]), "lr": ([0], [0.5])}


def test_the_later_line_counts(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("Iteration 5, loss = 1\nIteration 6, loss = 2\nIteration 5, loss = 3\n")
    assert read_log(tmp_path / "log") == {"loss": ([5, 6], [3.0, 2.0])}


def test_a_table(logs: list[str], tmp_path: Path, capsys) -> None:
    assert main(["log", *logs, "-o", str(tmp_path / "curves.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "curves.csv").read_text().splitlines()))
    at = [(row["log"], row["iteration"]) for row in rows]
    assert at == [("caffe.log", "0"), ("caffe.log", "100"), ("ours.txt", "0")]
    assert [row["lr"] for row in rows] == ["0.01", "1e-05", "0.5"] and rows[2]["test accuracy"] == ""
    assert capsys.readouterr().out.startswith(f"wrote {tmp_path / 'curves.csv'}: test accuracy, ")


@pytest.mark.parametrize("ending", ["png", "html"])
def test_a_figure(ending: str, logs: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, which draws the figures, is not installed")
    out = tmp_path / f"curves.{ending}"
    assert main(["log", *logs, "-o", str(out)]) == 0
    written = out.read_bytes()
    if ending == "png":
        assert written.startswith(b"\x89PNG")
    else:
        assert b"<title>caffe.log, ours.txt</title>" in written and written.count(b"<svg") == 1


def test_what_is_no_log_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "other").write_text("nothing")
    with pytest.raises(ReadError, match="names no iteration"):
        read_log(tmp_path / "other")
    assert main(["log", str(tmp_path / "nowhere"), "-o", str(tmp_path / "a.csv")]) == 1
    assert "nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit:
        main(["log", str(tmp_path / "other"), "-o", str(tmp_path / "a.txt")])
    assert exit.value.code == 2
