"""Nets as pictures."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from keras_caffe import proto, samples
from keras_caffe import pycaffe as caffe
from keras_caffe.errors import ExportError
from keras_caffe.pycaffe.draw import draw_net, draw_net_to_file, get_pydot_graph

NET = samples.path("lenet_train_test.prototxt")
needs_pydot = pytest.mark.usefixtures("pydot")
needs_graphviz = pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not there")


@pytest.fixture
def pydot() -> Any:
    return pytest.importorskip("pydot", reason="pydot is not there")


def labels(graph: Any) -> list[str]:
    return [node.get("label").strip('"') for node in graph.get_nodes()]


def arrows(graph: Any) -> list[tuple[str, str, str | None]]:
    """(from, to, label), layers and blobs by the first word of their labels."""
    names = {node.get_name(): node.get("label").strip('"').split(r"\n")[0] for node in graph.get_nodes()}
    return [(names[e.get_source()], names[e.get_destination()], e.get("label")) for e in graph.get_edges()]


@needs_pydot
def test_layers_and_blobs_of_one_phase() -> None:
    graph = get_pydot_graph(NET, "LR", phase=caffe.TRAIN)
    assert graph.get_rankdir() == "LR"
    assert labels(graph)[:6] == [
        r"mnist\n(Data)",
        *("data", "label"),
        r"conv1\n(Convolution)\nkernel size: 5\nstride: 1\npad: 0",
        "conv1",
        r"pool1\n(Pooling MAX)\nkernel size: 2\nstride: 2\npad: 0",
    ]
    assert arrows(graph)[:4] == [
        ("mnist", "data", '"Batch 64"'),
        ("mnist", "label", '"Batch 64"'),
        ("data", "conv1", None),
        ("conv1", "conv1", '"20"'),
    ]
    assert not any("Accuracy" in label for label in labels(graph))


@needs_pydot
def test_all_phases_at_once() -> None:
    found = labels(get_pydot_graph(NET, "LR"))
    assert found.count(r"mnist\n(Data)") == 2 and r"accuracy\n(Accuracy)" in found
    assert found.count("data") == 1


@needs_pydot
def test_colours_learning_rates_and_room() -> None:
    graph = get_pydot_graph(NET, "TB", label_edges=False, display_lrm=True)
    colours = {node.get("label").strip('"'): node.get("fillcolor") for node in graph.get_nodes()}
    assert colours["ip1 (InnerProduct) lr mult: 1.0, 2.0"] == '"#CC33FF"'
    assert colours["conv1 (Convolution) kernel size: 5 stride: 1 pad: 0 lr mult: 1.0, 2.0"] == '"#FF5050"'
    assert colours["relu1 (ReLU)"] == '"#90EE90"'
    assert {label for *_, label in arrows(graph)} == {None}


@needs_pydot
@pytest.mark.parametrize(
    ("layer", "label"),
    [
        ('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', r"x\n(Pooling AVE)"),
        (
            'type: "Convolution" convolution_param { num_output: 2 kernel_h: 3 kernel_w: 5 stride: 2 stride: 1 }',
            r"x\n(Convolution)\nkernel size: 3x5\nstride: 2x1\npad: 0\nlr mult: 1.0, 1.0",
        ),
        ('type: "InnerProduct" param { lr_mult: 0 } param { lr_mult: 0 }', r"x\n(InnerProduct)"),
        ('type: "InnerProduct" param { lr_mult: 3 }', r"x\n(InnerProduct)\nlr mult: 3.0, 1.0"),
        ('type: "OfAFork"', r"x\n(OfAFork)"),
    ],
)
def test_labels(layer: str, label: str) -> None:
    graph = get_pydot_graph(f'layer {{ name: "x" bottom: "b" top: "t" {layer} }}', "LR", display_lrm=True)
    assert labels(graph)[0] == label


@needs_pydot
def test_old_nets_are_drawn_as_new_ones() -> None:
    net = proto.NetParameter(name="old")
    net.input.append("data")
    net.input_dim.extend([1, 2, 3, 4])
    layer = net.layers.add(name="r", bottom=["data"], top=["data"])
    layer.type = layer.RELU
    assert labels(get_pydot_graph(net, "LR")) == [r"input\n(Input)", "data", r"r\n(ReLU)"]
    assert not net.layer


def odd_net() -> Any:
    """A net whose names are full of what Graphviz's language uses."""
    return proto.NetParameter(
        name='a "net": {1}',
        layer=[
            proto.LayerParameter(name=r"in\n|<b>", type="Input", top=["größe;"]),
            proto.LayerParameter(name='"', type="ReLU", bottom=["größe;"], top=["node"]),
        ],
    )


@needs_pydot
@pytest.mark.parametrize("ext", ["dot", "gv", "raw"])
def test_graphviz_s_language_needs_no_graphviz(ext: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / f"net.{ext}"
    draw_net_to_file(odd_net(), file)
    text = file.read_text(encoding="utf-8")
    assert text.startswith(r'digraph "a \"net\": {1}"')
    assert 'label="größe;"' in text and r'label="in\\n|<b>\n(Input)"' in text


@needs_pydot
@needs_graphviz
def test_pictures(tmp_path: Path) -> None:
    file = tmp_path / "net.svg"
    draw_net_to_file(odd_net(), str(file), "TB")
    assert all(f">{text}</text>" in file.read_text(encoding="utf-8") for text in ("größe;", "node", "&quot; (ReLU)"))
    assert draw_net(NET, "BT", phase=caffe.TEST).startswith(b"\x89PNG")
    with pytest.raises(ExportError, match=r"cannot draw \.nope files.*not recognized"):
        draw_net(NET, "LR", "nope")


@needs_pydot
def test_without_graphviz_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"Graphviz is needed.*apt install graphviz.*\.dot file"):
        draw_net(NET, "LR")


def test_without_pydot_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(ExportError, match=r"pip install 'keras-caffe\[draw\]'"):
        draw_net(NET, "LR", "dot")
