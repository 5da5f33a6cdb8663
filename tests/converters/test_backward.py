"""What runs backward, against real nets' diffs; what has no gradient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_caffe import registry
from keras_caffe.converters.backward import Backward, check_gradients, needs_backward
from keras_caffe.converters.graph import Net, graph
from keras_caffe.converters.select import select
from keras_caffe.converters.splits import with_splits
from keras_caffe.converters.upgrade import upgrade
from keras_caffe.errors import LayerError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.source import SourceLayer
from tests.golden_nets import parse
from tests.shared_goldens import GOLDENS

pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")

CASES = sorted((GOLDENS / "net").glob("net_*.npz"))


def classes_of(net: Net) -> dict[int, type[CaffeLayer]]:
    classes = {node.index: registry.registered()[node.type] for node in net.nodes}
    return {index: cls for index, cls in classes.items() if not issubclass(cls, SourceLayer)}


def analysed(text: str, blobs: dict[str, int], losses: set[str], phase: str = "TRAIN") -> tuple[Net, Backward]:
    net = graph(with_splits(select(upgrade(parse(text)), phase)))
    weighted = [v.id for v in net.values.values() if v.blob in losses and not v.consumers]
    return net, needs_backward(net, [blobs.get(node.name, 0) for node in net.nodes], weighted, classes_of(net))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_blobs_and_parameters_with_a_diff(path: Path) -> None:
    with np.load(path) as file:
        meta: dict[str, Any] = json.loads(str(file["meta"]))
    losses = {blob for blob, weight in meta["blob_loss_weights"].items() if weight}
    blobs = {name: len(shapes) for name, shapes in meta["params"].items()}
    net, found = analysed(meta["prototxt"], blobs, losses, meta["phase"])
    runs = [(node, b) for node, b in found.bottoms if node in found.layers]
    written = {net.values[net.nodes[node].inputs[bottom]].blob for node, bottom in runs}
    if "blobs_with_nonzero_diff" not in meta:
        assert not written
        return
    assert written | losses == set(meta["blobs_with_nonzero_diff"])
    statistics = {"BatchNorm"}  # its backward computes none for them
    params = {
        f"{net.nodes[node].name}/{blob}"
        for node, blob in found.params
        if node in found.layers and net.nodes[node].type not in statistics
    }
    assert params == set(meta["params_with_nonzero_diff"])


HEAD = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 3 } }
"""
LABELLED = """
layer {{ name: "lab" type: "InnerProduct" bottom: "x" top: "lab" {} inner_product_param {{ num_output: 1 }} }}
layer {{ name: "loss" type: "{}" bottom: "ip" bottom: "lab" top: "loss" {} }}
"""
BLOBS = {"ip": 2, "lab": 2}


def check(param: str, loss: str, extra: str = "", net: str = "") -> None:
    text = net + HEAD + LABELLED.format(param, loss, extra)
    analysis = analysed(text, BLOBS, {"loss"})
    check_gradients(*analysis, classes_of(analysis[0]))


@pytest.mark.parametrize("loss", ["SoftmaxWithLoss", "HingeLoss", "SigmoidCrossEntropyLoss"])
def test_learnable_labels_are_refused(loss: str) -> None:
    with pytest.raises(LayerError, match="'loss'.*cannot backpropagate to 'lab', its bottom 1"):
        check("", loss)
    with pytest.raises(LayerError, match="'lab'"):
        check("", loss, net="force_backward: true")


@pytest.mark.parametrize(
    ("param", "loss", "extra"),
    [
        ("", "EuclideanLoss", ""),
        ("", "SoftmaxWithLoss", "propagate_down: true propagate_down: false"),
        ("param { lr_mult: 0 } param { lr_mult: 0 }", "SoftmaxWithLoss", ""),
    ],
)
def test_labels_without_a_gradient_are_fine(param: str, loss: str, extra: str) -> None:
    check(param, loss, extra)


def test_forcing_leaves_labels_alone() -> None:
    text = (
        "force_backward: true"
        + HEAD
        + """
layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 4 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "y" top: "loss" }"""
    )
    net, found = analysed(text, BLOBS, {"loss"})
    check_gradients(net, found, classes_of(net))
    assert {(net.nodes[n].name, b) for n, b in found.bottoms} == {("ip", 0), ("loss", 0)}


def test_a_layer_uses_its_own_lr_mult() -> None:
    """Of a shared parameter, one layer may say 0 and the other nothing."""
    text = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" lr_mult: 0 } loss_weight: 1 }
layer { name: "b" type: "InnerProduct" bottom: "x" top: "b" param { name: "w" } loss_weight: 1 }"""
    net, found = analysed(text, {"a": 1, "b": 1}, {"a", "b"})
    assert {net.nodes[node].name for node, _ in found.params} == {"b"}
