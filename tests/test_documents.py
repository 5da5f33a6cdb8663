"""The blocks and commands of README.md and docs/*.md run as they stand there, each page in a folder of its own."""

from __future__ import annotations

import re
import shlex
import sys
import webbrowser
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import optimizers, samples
from keras_caffe.cli import COMMANDS, main
from scripts import generate_cli_docs as cli_docs
from tests.documents import Item, items, pages, write_files
from tests.shared_goldens import ROOT

pytest.importorskip("PIL", reason="needs the extra images")

ELSEWHERE = {  # pages that a test of their own runs
    "docs/errors.md": "tests/test_errors_page.py",
    "docs/exports.md": "tests/test_exports_doc.py",
    "docs/extending.md": "tests/test_extending.py",
}
SKIPPED = {  # what a page's test leaves out, by the words that it has
    "import grpc": "needs a server",
    "keras_caffe.pycaffe.install()": "tests/pycaffe, in processes of its own",
    "MultiWorkerMirroredStrategy()": "tests/data/test_delivery.py, in processes of its own",
    "grpc://dispatcher:5050": "tests/data/test_graph.py, with a dispatcher",
    "apache_beam.Pipeline": "tests/beam, where Apache Beam is",
    "ssd.caffemodel": "tests/cli/test_predict.py has a detector",
    "keras-caffe selftest": "tests/cli/test_about.py",
    "enable_tensor_float_32_execution": "switches TF32 on for the whole process",
    "x = inception": "an excerpt of what `to_code` writes",
    "x = caffe_lstm": "an excerpt, too",
}
WRITES_DATABASE = {"docs/migrate.md"}
NEEDS = {"docs/engines.md": "onnxruntime", "docs/view.md": "tensorboard"}


class Fitted(keras.layers.Identity):
    """Stands for a model: takes one batch of what `fit` is given."""

    def fit(self, data: Any, steps_per_epoch: int) -> None:
        pictures, labels = next(iter(data))
        assert len(pictures) == len(labels)


def given(page: str) -> dict[str, Any]:
    """Names that stand in a page's blocks and come from the reader's own code."""
    names: dict[str, Any] = {"keras": keras, "tf": tf, "np": np, "keras_caffe": keras_caffe, "optimizers": optimizers}
    if page == "docs/data.md":
        names |= {"model": Fitted(), "caffe": keras_caffe.pycaffe}
        names["pairs"] = [(np.zeros((3, 8, 8), "uint8"), 0)]
    if page == "docs/pycaffe.md":
        names["n"] = spec = keras_caffe.pycaffe.NetSpec()
        spec.data = keras_caffe.pycaffe.layers.Input(shape=dict(dim=[1, 3, 64, 64]))
        spec.score_fr = keras_caffe.pycaffe.layers.Convolution(spec.data, num_output=21, kernel_size=2, stride=32)
    if page == "docs/training.md":
        batch = {"data": np.zeros((4, 28, 28, 3), "float32"), "label": np.zeros(4, "float32")}
        names |= {"dataset": [batch], "first": [batch], "second": [batch]}
        names["model"] = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    if page == "docs/engines.md":
        names["digits"] = names["typical_inputs"] = np.moveaxis(samples.digits()[0][:50], 1, -1) * samples.SCALE
    if page in ("docs/view.md", "docs/serving.md"):
        names["model"] = keras_caffe.load("deploy.prototxt", "net.caffemodel")
        names["array"] = np.zeros((4, 8, 8))
        names["Doubled"] = type("Doubled", (keras_caffe.layers.AbsVal,), {})
    return names


def run(item: Item, page: str, names: dict[str, Any]) -> None:
    if item.language == "command":
        assert main(shlex.split(item.text, comments=True)[1:]) == 0, f"{page}:{item.line}"
    if item.language == "python":
        exec(compile("\n" * item.line + item.text, page, "exec"), names)  # noqa: S102


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("page", [page for page in pages() if page not in ELSEWHERE])
def test_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "caffe", keras_caffe.pycaffe)  # for what is run where Caffe runs
    monkeypatch.setattr(webbrowser, "open", lambda address: True)
    write_files(tmp_path, page not in WRITES_DATABASE)
    names = given(page)
    for item in items(page):
        if not any(words in item.text for words in SKIPPED):
            run(item, page, names)


@pytest.mark.parametrize("page", pages())
def test_commands_and_flags_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = [
        *re.findall(r"`keras-caffe ([^`]*)`", text),
        *re.findall(r"^    (?:\$ )?keras-caffe (.*)$", text, re.MULTILINE),
    ]
    for words in (command.partition(" #")[0].split() for command in named):
        if re.fullmatch(r"[a-z]+", words[0]):
            flags = {word.strip("[]").partition("=")[0] for word in words if word.strip("[]").startswith("--")}
            assert flags - {"--help", "--debug"} <= flags_of(words), f"{page}: keras-caffe {' '.join(words)}"


def flags_of(words: list[str]) -> set[str]:
    """The flags of the command that these words begin with; those that are named, of a program of Caffe's."""
    commands = COMMANDS
    for word in words:
        assert word in commands or "|" in word or word == "...", f"there is no command {word}"
        if "|" in word or hasattr(commands[word], "TAKES_ARGUMENTS"):
            return {word.strip("[]").partition("=")[0] for word in words}
        if not hasattr(commands[word], "COMMANDS"):
            return set(re.findall(r"--[\w-]+", "\n".join(cli_docs.section(word, commands[word]))))
        commands = commands[word].COMMANDS
    return set()


def test_what_is_skipped_stands_in_a_page() -> None:
    texts = [item.text for page in pages() for item in items(page)]
    assert all(any(words in text for text in texts) for words in SKIPPED)
    assert set(ELSEWHERE) <= set(pages())
