"""`keras-caffe upgrade`."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from keras_caffe import proto, samples
from keras_caffe.cli import main

V0 = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "data" top: "pad" }
layers { layer { name: "conv" type: "conv" num_output: 4 kernelsize: 3 } bottom: "pad" top: "conv" }
layers { layer { name: "relu" type: "relu" } bottom: "conv" top: "conv" }
"""
V1 = """
layers { name: "d" type: DUMMY_DATA top: "d" dummy_data_param { num: 1 channels: 1 height: 2 width: 2 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "d" top: "ip" blobs_lr: 1 blobs_lr: 2
  inner_product_param { num_output: 2 } }
"""


def parsed(text: str, kind=None):
    return text_format.Parse(text, (kind or proto.NetParameter)())


@pytest.fixture
def old(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "old.prototxt"
        path.write_text(text)
        return str(path)

    return write


def test_v0_to_standard_output(old, capsys) -> None:
    assert main(["upgrade", old(V0)]) == 0
    net = parsed(capsys.readouterr().out)
    assert [(layer.name, layer.type) for layer in net.layer] == [
        ("input", "Input"),
        ("conv", "Convolution"),
        ("relu", "ReLU"),
    ]
    assert net.layer[1].convolution_param.pad == [1]
    assert list(net.layer[1].bottom) == ["data"]


def test_v1_to_a_file_that_may_be_the_same(old, tmp_path: Path, capsys) -> None:
    path = old(V1)
    assert main(["upgrade", path, path]) == 0
    assert capsys.readouterr().out == ""
    net = parsed(Path(path).read_text())
    assert [layer.type for layer in net.layer] == ["DummyData", "InnerProduct"]
    assert [spec.lr_mult for spec in net.layer[1].param] == [1, 2]
    assert [file.name for file in tmp_path.iterdir()] == ["old.prototxt"]


def test_a_caffemodels_definition_without_its_values(capsys) -> None:
    assert main(["upgrade", str(samples.path("lenet.caffemodel")), "-"]) == 0
    net = parsed(capsys.readouterr().out)
    assert "Convolution" in {layer.type for layer in net.layer}
    assert not any(layer.blobs for layer in net.layer)


def test_solvers(old, capsys) -> None:
    assert main(["upgrade", "--solver", old('net: "n.prototxt" base_lr: 0.1 solver_type: ADAM')]) == 0
    solver = parsed(capsys.readouterr().out, proto.SolverParameter)
    assert (solver.type, solver.net) == ("Adam", "n.prototxt")
    assert not solver.HasField("solver_type")


def test_a_net_that_cannot_be_upgraded_leaves_no_file(old, tmp_path: Path, capsys) -> None:
    mixed = old(V1 + 'layer { name: "r" type: "ReLU" }')
    assert main(["upgrade", mixed, str(tmp_path / "new.prototxt")]) == 1
    assert "both `layer` and `layers`" in capsys.readouterr().err
    assert not (tmp_path / "new.prototxt").exists()
