"""Caffe's Split layers, made again from the graph (the recorded nets are compared in test_graph.py)."""

from __future__ import annotations

import pytest

from keras_caffe.converters.splits import with_splits
from keras_caffe.errors import NetError
from tests.golden_nets import GOLDENS, meta, parse, selected

pytestmark = pytest.mark.filterwarnings("ignore:.*wrongly in place")
RECORDS = [meta(path) for path in sorted((GOLDENS / "net").glob("net_*.npz"))]


def test_splitting_twice_changes_nothing():
    for record in RECORDS:
        once = with_splits(selected(record["prototxt"], record["phase"]))
        assert with_splits(once) == once


def test_the_given_net_stays_as_it_is():
    for record in RECORDS:
        net = selected(record["prototxt"], record["phase"])
        with_splits(net)
        assert net == selected(record["prototxt"], record["phase"])


def loss_weights(text: str) -> dict[str, list[float]]:
    return {layer.name: list(layer.loss_weight) for layer in with_splits(parse(text)).layer}


def test_a_loss_weight_moves_to_the_first_split_top():
    text = """
        layer { name: "d" type: "Input" top: "d" }
        layer { name: "h" type: "InnerProduct" bottom: "d" top: "h" loss_weight: 0.5 }
        layer { name: "a" type: "ReLU" bottom: "h" top: "a" }
        layer { name: "b" type: "ReLU" bottom: "h" top: "b" }
    """
    net = with_splits(parse(text))
    assert loss_weights(text) == {"d": [], "h": [], "h_h_0_split": [0.5, 0, 0], "a": [], "b": []}
    assert [list(layer.bottom) for layer in net.layer[3:]] == [["h_h_0_split_1"], ["h_h_0_split_2"]]


@pytest.mark.parametrize("weight", ["", "loss_weight: 0"])
def test_one_reader_and_no_stated_loss_weight_make_no_split(weight):
    text = f"""
        layer {{ name: "d" type: "Input" top: "d" }}
        layer {{ name: "l" type: "EuclideanLoss" bottom: "d" bottom: "d" top: "l" {weight} }}
        layer {{ name: "r" type: "ReLU" bottom: "l" top: "r" }}
    """
    assert [layer.name for layer in with_splits(parse(text)).layer] == ["d", "d_d_0_split", "l", "r"]


def test_a_split_names_producer_and_position():
    text = """
        layer { name: "in" type: "Input" top: "a" top: "b" }
        layer { name: "act" type: "ReLU" bottom: "b" top: "b" }
        layer { name: "e" type: "Eltwise" bottom: "b" bottom: "a" bottom: "b" top: "e" }
        layer { name: "s" type: "Slice" bottom: "a" top: "s" top: "t" }
        layer { name: "f" type: "Eltwise" bottom: "t" bottom: "t" top: "f" }
    """
    net = with_splits(parse(text))
    assert [layer.name for layer in net.layer if layer.type == "Split"] == [
        "a_in_0_split",
        "b_act_0_split",
        "t_s_1_split",
    ]
    assert list(next(layer for layer in net.layer if layer.name == "e").bottom) == [
        "b_act_0_split_0",
        "a_in_0_split_0",
        "b_act_0_split_1",
    ]


def test_nets_that_do_not_connect_are_refused():
    with pytest.raises(NetError, match="bottom 'a' is not the top of any layer"):
        with_splits(parse('layer { name: "r" type: "ReLU" bottom: "a" top: "b" }'))
