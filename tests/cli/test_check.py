"""keras-caffe check."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from tests.nets import input_layer, layer
from tests.shared_goldens import WILD, needs_wild

X = input_layer("x", 2, 3, 4, 4)
CONV = layer("conv", "Convolution", "x", "y", "convolution_param { num_output: 2 kernel_size: 3 }")


@pytest.fixture
def check(tmp_path, capsys):
    """Runs the command on a text; returns the exit code and what it says as JSON."""

    def run(text: str, *more: str) -> tuple[int, Any]:
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        code = main(["check", str(path), *more, "--json"])
        found = json.loads(capsys.readouterr().out)
        assert (code == 0) == found["loads"] == all(one["severity"] != "error" for one in found["findings"])
        return code, found["findings"]

    return run


def of_kind(found: Any, kind: str) -> list[Any]:
    return [one for one in found if one["kind"] == kind]


def line_of(text: str, what: str) -> int:
    return text[: text.index(what)].count("\n") + 1


def test_a_net_that_loads(check) -> None:
    code, found = check(X + CONV)
    assert code == 0
    assert [(one["kind"], one["severity"], one["text"]) for one in found] == [
        ("generation", "note", "V2"),
        ("dialect", "note", "bvlc (nothing in the file points to another Caffe)"),
    ]


def test_python_gives_the_same(check) -> None:
    text = X + layer("a", "Convolutoin", "x", "y") + layer("b", "Nothing", "y", "z")
    found = keras_caffe.check(text)
    assert isinstance(found, tuple)
    assert [one.kind for one in found] == [one["kind"] for one in check(text)[1]]
    one = next(one for one in found if one.severity == "error")
    assert (one.kind, one.layer, one.line) == ("unknown type", "a", line_of(text, 'name: "a"'))
    assert "custom_layers={'Convolutoin': ...}" in one.cure
    with pytest.raises(AttributeError, match="kind"):
        one.kind = "other"


def test_a_file_that_is_not_there() -> None:
    (found,) = keras_caffe.check("none.prototxt")
    assert (found.kind, found.severity, found.text) == ("file", "error", "there is no such file")


def test_old_formats(check) -> None:
    text = 'input: "x" input_dim: [1, 1, 2, 2] layers { name: "r" type: RELU bottom: "x" top: "y" }'
    assert of_kind(check(text)[1], "generation")[0]["text"] == "V1"


def test_a_famous_net_is_named(check) -> None:
    (known,) = of_kind(check(samples.path("lenet.prototxt").read_text())[1], "known net")
    assert known["severity"] == "note"
    assert known["text"].startswith("looks like LeNet: grey 0 to 255")


def test_all_unknown_types_at_once(check) -> None:
    text = X + layer("a", "Convolutoin", "x", "y") + layer("b", "Nothing", "y", "z") + layer("c", "Gather", "z", "w")
    code, found = check(text + layer("d", "Nothing", "w", "v"))
    assert code == 1
    first, second, third = of_kind(found, "unknown type")
    assert "did you mean Convolution" in first["text"]
    assert (second["layer"], second["line"]) == ("b", line_of(text, 'name: "b"'))
    assert "which 2 layers have" in second["text"]
    assert "yjxiong/caffe has it" in third["text"]
    assert all("custom_layers" in one["cure"] and "python_layers" in one["cure"] for one in (first, second, third))


def test_load_says_the_same_of_unknown_types() -> None:
    with pytest.raises(keras_caffe.CaffeError) as refused:
        keras_caffe.load(X + layer("a", "Convolutoin", "x", "y") + layer("c", "Gather", "y", "w"))
    said = str(refused.value)
    assert all(
        word in said for word in ("did you mean Convolution", "yjxiong/caffe", "custom_layers=", "python_layers")
    )


def test_unknown_fields_with_their_lines(check) -> None:
    text = (
        X + CONV.replace("num_output", "nonsense: 1 num_output") + layer("r", "ReLU", "y", "z", "relu_param { a: 1 }")
    )
    code, found = check(text)
    assert code == 0
    assert [(one["line"], one["text"].split()[0]) for one in of_kind(found, "unknown field")] == [
        (line_of(text, "nonsense"), "ConvolutionParameter.nonsense"),
        (line_of(text, "a: 1"), "ReLUParameter.a"),
    ]


def test_traps(check) -> None:
    text = X + layer("bn", "BatchNorm", "x", "x", "batch_norm_param { use_global_stats: false }")
    text += layer("lrn", "LRN", "x", "x")
    code, found = check(text)
    assert code == 0
    (statistics,), (in_place,) = of_kind(found, "batch statistics"), of_kind(found, "in-place")
    assert (statistics["layer"], statistics["line"]) == ("bn", line_of(text, '"bn"'))
    assert (in_place["layer"], in_place["line"]) == ("lrn", line_of(text, '"lrn"'))
    assert "Caffe computes its output wrongly in place" in in_place["text"]


def test_missing_sources(check) -> None:
    code, found = check(layer("d", "Data", "", "data label", "data_param { source: '/no/such' batch_size: 2 }"))
    assert code == 1
    (missing,) = of_kind(found, "missing source")
    assert (missing["layer"], "there is no /no/such" in missing["text"]) == ("d", True)


def test_weights(check, tmp_path) -> None:
    keras_caffe.save(keras_caffe.load(X + CONV), tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    weights = str(tmp_path / "net.caffemodel")
    assert not of_kind(check(X + CONV, weights)[1], "weights")
    code, found = check(X + CONV.replace('"conv"', '"other"'), weights)
    assert code == 0
    assert {(one["layer"], one["severity"]) for one in of_kind(found, "weights")} == {
        ("other", "warning"),
        ("conv", "note"),
    }
    wider = X + CONV.replace("num_output: 2", "num_output: 4")
    code, found = check(wider, weights)
    assert (code, [(one["layer"], one["severity"]) for one in of_kind(found, "weights")]) == (1, [("conv", "error")])
    assert check(wider, weights, "--skip-mismatch")[0] == 0


def test_gradients_that_load_refuses(check) -> None:
    text = X + layer("l", "SoftmaxWithLoss", "x x", "loss")
    refused = pytest.raises(keras_caffe.CaffeError, keras_caffe.load, text, phase="TRAIN").value
    code, found = check(text, "--phase", "TRAIN")
    assert (code, found[-1]["text"].split(";")[0]) == (1, refused.problem)


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


@needs_wild
@pytest.mark.parametrize("path", sorted((WILD / "prototxts").glob("*"))[::20], ids=lambda path: path.name)
def test_wild_nets_are_checked_quickly(path: Path, capsys) -> None:
    start = perf_counter()
    code = main(["check", str(path), "--json"])
    assert perf_counter() - start < 10  # seconds, ample: the machine may be busy
    assert code == (0 if json.loads(capsys.readouterr().out)["loads"] else 1)
