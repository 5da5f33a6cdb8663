"""`keras-caffe draw`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from keras_caffe import samples
from keras_caffe.cli import main

NET = str(samples.path("lenet_train_test.prototxt"))


def test_a_net_in_one_phase(tmp_path: Path, capsys) -> None:
    pytest.importorskip("pydot", reason="pydot is not there")
    file = tmp_path / "net.dot"
    assert main(["draw", NET, "-o", str(file), "--phase", "TEST", "--rankdir", "BT", "--display-lrm"]) == 0
    assert capsys.readouterr().out == f"wrote {file}\n"
    text = file.read_text()
    assert "rankdir=BT" in text and "accuracy (Accuracy)" in text and "lr mult: 1.0, 2.0" in text
    assert text.count("mnist (Data)") == 1 and '"Batch 100"' in text


def test_nothing_is_left_of_a_picture_that_cannot_be_drawn(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "pydot", None)
    assert main(["draw", NET, "-o", str(tmp_path / "net.png")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: pydot is needed") and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_name_must_tell_the_format(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["draw", NET, "-o", str(tmp_path / "net")])
    assert exit.value.code == 2
    assert "must end in a format" in capsys.readouterr().err
