"""keras-caffe check."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

import keras_caffe
from keras_caffe.cli import main
from tests.nets import input_layer, layer
from tests.shared_goldens import WILD

X = input_layer("x", 2, 3, 4, 4)
CONV = layer("conv", "Convolution", "x", "y", "convolution_param { num_output: 2 kernel_size: 3 }")


@pytest.fixture
def check(tmp_path, capsys):
    """Runs the command on a text; returns the exit code and what it says as JSON."""

    def run(text: str, *more: str) -> tuple[int, Any]:
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        code = main(["check", str(path), *more, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def said(found: Any) -> str:
    return "\n".join(one["text"] for one in found["findings"])


def test_a_net_that_loads(check) -> None:
    code, found = check(X + CONV)
    assert (code, found["loads"], found["generation"], found["findings"]) == (0, True, "V2", [])
    assert found["fork"] == {"name": "bvlc", "reason": "nothing in the file tells of another Caffe"}


def test_old_formats(check) -> None:
    assert check('input: "x" input_dim: [1, 1, 2, 2] layers { name: "r" type: RELU bottom: "x" top: "y" }')[1][
        "generation"
    ] == ("V1")


def test_all_unknown_types_at_once(check) -> None:
    code, found = check(X + layer("a", "Convolutoin", "x", "y") + layer("b", "Nothing", "y", "z"))
    assert (code, found["loads"]) == (1, False)
    assert all(word in said(found) for word in ("'Convolutoin'", "Convolution", "'Nothing'", "custom_layers"))
    assert found["fork"]["name"] == "bvlc"


def test_unknown_fields_with_their_lines(check) -> None:
    text = X + CONV.replace("num_output", "nonsense: 1 num_output")
    code, found = check(text)
    line = text[: text.index("nonsense")].count("\n") + 1
    assert code == 0
    assert f"ConvolutionParameter.nonsense ({line}:" in said(found)


def test_traps(check) -> None:
    text = X + layer("bn", "BatchNorm", "x", "x", "batch_norm_param { use_global_stats: false }")
    text += layer("lrn", "LRN", "x", "x")
    code, found = check(text)
    assert code == 0
    assert "layer 'bn': use_global_stats: false holds in phase TEST too" in said(found)
    assert "layer 'lrn' (LRN): Caffe computes its output wrongly in place" in said(found)


def test_missing_sources(check) -> None:
    code, found = check(layer("d", "Data", "", "data label", "data_param { source: '/no/such' batch_size: 2 }"))
    assert code == 1
    assert "there is no /no/such" in said(found)


def test_weights(check, tmp_path) -> None:
    keras_caffe.save(keras_caffe.load(X + CONV), tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    weights = str(tmp_path / "net.caffemodel")
    assert check(X + CONV, weights)[0] == 0
    code, found = check(X + CONV.replace('"conv"', '"other"'), weights)
    assert (code, "no file fills layer 'other'" in said(found), "no layer 'conv'" in said(found)) == (0, True, True)
    code, found = check(X + CONV.replace("num_output: 2", "num_output: 4"), weights)
    assert (code, found["loads"]) == (1, False)
    assert "layer 'conv'" in said(found)


def test_summary_says_the_fork_too(tmp_path, capsys) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(X + layer("bn", "BatchNorm", "x", "y", "batch_norm_param { scale_bias: true }"))
    assert main(["summary", str(path)]) == 0
    assert "Read as the nets of nvcaffe (it has batch_norm_param.scale_bias" in capsys.readouterr().out


def test_the_table(tmp_path, capsys) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(X + CONV)
    assert main(["check", str(path)]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("V2", "bvlc", "The net would load."))
    assert main(["check", str(tmp_path / "none.prototxt")]) == 1
    assert "there is no such file" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted((WILD / "prototxts").iterdir())[::20], ids=lambda path: path.name)
def test_wild_nets_are_checked_quickly(path: Path, capsys) -> None:
    start = perf_counter()
    code = main(["check", str(path), "--json"])
    assert perf_counter() - start < 10  # seconds, ample: the machine may be busy
    assert code == (0 if json.loads(capsys.readouterr().out)["loads"] else 1)
