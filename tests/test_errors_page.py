"""What is said of each kind of error: `keras-caffe explain`, docs/errors.md."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

import keras_caffe
from keras_caffe import errors, samples
from keras_caffe.cli import main
from keras_caffe.cli.explain import KINDS, meaning
from scripts import generate_error_docs


def test_the_page_is_current() -> None:
    page = generate_error_docs.PAGE.read_text(encoding="utf-8")
    assert page == generate_error_docs.page(), "run scripts/generate_error_docs.py"


@pytest.mark.parametrize("name", KINDS)
def test_the_example_raises_the_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = re.search(r"Example:\n\n(.*?)\n\nCure: ", meaning(name), re.DOTALL)
    assert example is not None
    with warnings.catch_warnings(), pytest.raises(KINDS[name]) as raised:
        warnings.simplefilter("error", errors.CaffeWarning)
        exec(dedent(example[1]), {"keras_caffe": keras_caffe, "samples": samples, "np": np})
    assert type(raised.value).__name__ == name


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "ReadError"]) == 0
    assert capsys.readouterr().out.startswith(
        "ReadError (also a CaffeError, ValueError, RuntimeError)\n\nA file is missing"
    )
    assert main(["explain"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(KINDS)
