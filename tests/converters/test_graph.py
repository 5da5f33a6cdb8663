"""The graph: values, inputs, outputs, and what Caffe refuses to connect."""

from __future__ import annotations

import dataclasses

import pytest

from keras_caffe.converters.graph import graph
from keras_caffe.converters.upgrade import upgrade
from keras_caffe.errors import CaffeError, CaffeWarning, NetError, UnknownLayerError
from tests.golden_nets import (
    GOLDENS,
    MODELS,
    WILD,
    blob_names,
    check_record,
    graph_of,
    meta,
    needs_models,
    needs_wild,
    parse,
    read_json,
    selected,
    substitute,
)
from tests.nets import layer
from tests.rejected import REJECTED, reason_for

DATA = 'layer { name: "data" type: "Input" top: "x" } '


def refusal(text: str, phase: str = "TEST") -> str:
    with pytest.raises(NetError) as caught:
        graph_of(text, phase)
    return str(caught.value)


# ---- what real Caffe recorded


@pytest.mark.filterwarnings("ignore:.*wrongly in place")
@pytest.mark.parametrize("path", sorted((GOLDENS / "net").glob("net_*.npz")), ids=lambda path: path.stem)
def test_net_goldens(path):
    record = meta(path)
    check_record(selected(record["prototxt"], record["phase"]), record)


def wild_files() -> list[str]:
    return sorted(read_json(WILD / "shapes.json.gz")) if WILD.is_dir() else ["none"]


@needs_wild
@pytest.mark.parametrize("name", wild_files())
def test_wild_nets(name):
    entry = read_json(WILD / "shapes.json.gz")[name]
    text = (WILD / "prototxts" / name).read_text()
    if "part" in entry:
        text = substitute().net_text(text)[0]
    for record in entry["nets"]:
        given = substitute().substitute(text, tuple(record["chw"]))[0] if "sub" in record else text
        net = selected(given, record["phase"], stages=tuple(record.get("stages", ())), lenient=True)
        check_record(net, record)
    for phases in entry.get("phase_errors", {}).values():
        for phase in phases:
            with pytest.raises(NetError, match=f"left out in phase {phase}"):
                graph(selected(given, phase, lenient=True))


@needs_wild
def test_wild_nets_that_caffe_refuses_for_a_bottom():
    for name, entry in read_json(WILD / "refused.json.gz").items():
        if any(kind == "unknown_bottom" for kind, _ in entry["refused"].values()):
            with pytest.raises(NetError, match="bottom"):
                graph(selected((WILD / "prototxts" / name).read_text(), lenient=True))


def model_variants() -> list[tuple[str, str]]:
    entries = read_json(MODELS / "manifest.json").items() if MODELS.is_dir() else ()
    pairs = [(name, variant) for name, entry in entries for variant in entry.get("variants", [entry])]
    return [(f"{name}/{variant['prototxt']}", f"{name}/{variant['golden']}") for name, variant in pairs] or [("", "")]


@needs_models
@pytest.mark.parametrize(("prototxt", "golden"), model_variants())
def test_model_layers(prototxt, golden):
    record = {key: meta(MODELS / golden)[key] for key in ("layers", "inputs", "outputs")}
    check_record(selected((MODELS / prototxt).read_text(), lenient=True), record)


# Refused elsewhere: by the parser, or because a layer class knows how many bottoms and tops it takes.
ELSEWHERE = {
    "v1_unknown_type": "parser",
    "unknown_layer_type": "registry",
    "type_case": "registry",
    "too_many_bottoms": "arity",
    "relu_two_bottoms": "arity",
    "softmaxloss_one_bottom": "arity",
    "ip_no_top": "arity",
    "conv_bottom_top_counts": "arity",
    "input_with_bottom": "arity",
}
CATEGORIES = {"connectivity", "state rules", "legacy", "layer type"}
REFUSED = [case for case in REJECTED if case["category"] in CATEGORIES and case["name"] not in ELSEWHERE]
ACCEPTED = [case for case in read_json(GOLDENS / "errors" / "accepted.json") if case["kind"] == "net"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_rejected(case):
    with pytest.raises(CaffeError, match=reason_for(case["name"])) as caught:
        graph_of(case["prototxt"], case["phase"])
    assert repr(case["layer"]) in str(caught.value) or not case["layer"]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["name"])
def test_accepted(case):
    graph_of(case["prototxt"], case["phase"])


# ---- values


CHAIN = (
    DATA + layer("conv", "Convolution", "x", "c") + layer("bn", "BatchNorm", "c", "c") + layer("relu", "ReLU", "c", "c")
)


def test_every_write_is_a_value():
    net = graph_of(CHAIN + layer("pool", "Pooling", "c", "p"))
    assert list(net.values) == ["x@data", "c@conv", "c@bn", "c@relu", "p@pool"]
    assert [node.inputs for node in net.nodes] == [(), ("x@data",), ("c@conv",), ("c@bn",), ("c@relu",)]
    assert net.blobs == {"x": "x@data", "c": "c@relu", "p": "p@pool"}
    assert net.inputs == ("x@data",)
    assert net.outputs == ("p@pool",)


def test_values_are_found_by_blob_and_by_id():
    net = graph_of(CHAIN)
    assert net.value("c") is net.value("c@relu")
    assert net.value("c@conv").blob == "c"
    assert net.value("c@conv").consumers == (2,)
    assert net.producer("c").name == "relu"
    assert net.node("bn").index == 2
    for name in ("nope", "c@nope"):
        with pytest.raises(KeyError, match=f"no blob '{name}'"):
            net.value(name)
    with pytest.raises(KeyError, match="no layer 'nope'"):
        net.node("nope")


def test_readers_below_an_in_place_layer_see_its_result():
    net = graph_of(CHAIN + layer("a", "Pooling", "c", "a") + layer("b", "Eltwise", "c c", "b"))
    assert net.node("a").inputs == ("c@relu",)
    assert net.value("c").consumers == (4, 5, 5)


def test_duplicate_layer_names_get_distinct_values():
    net = graph_of(DATA + layer("r", "ReLU", "x", "x") + layer("r", "ReLU", "x", "x") + layer("r", "ReLU", "x", "x"))
    assert list(net.values) == ["x@data", "x@r", "x@r#2", "x@r#3"]
    assert net.node("r").index == 1


def test_ids_stay_unique_where_names_hold_the_separators():
    net = graph_of(
        layer("b@c", "Input", tops="a") + layer("c", "Input", tops="a@b") + layer("c#2", "ReLU", "a@b", "a@b")
    )
    assert list(net.values) == ["a@b@c", "a@b@c#2", "a@b@c#2#2"]


def test_outputs_are_in_alphabetical_order():
    net = graph_of(DATA + layer("s", "Slice", "x", "b a B é _ Z"))
    assert blob_names(net, net.outputs) == ["B", "Z", "_", "a", "b", "é"]


def test_an_unread_input_is_an_output():
    net = graph_of(DATA + layer("label", "Input", tops="label") + layer("r", "ReLU", "x", "x"))
    assert blob_names(net, net.inputs) == ["x", "label"]
    assert net.outputs == ("label@label", "x@r")


def test_a_loss_without_a_top_has_an_anonymous_value():
    net = graph_of(DATA + layer("l", "EuclideanLoss", "x x") + layer("l", "EuclideanLoss", "x x"))
    assert net.node("l").outputs == ("(automatic)@l",)
    assert net.value("(automatic)@l#2").blob == "(automatic)"
    assert net.outputs == ()
    assert net.blobs["(automatic)"] == "(automatic)@l#2"
    assert [net.cell(value) for value in ("x@data", "(automatic)@l")] == ["x", "(automatic)@l"]


def test_no_layer_reads_an_anonymous_value():
    with pytest.raises(NetError, match=r"bottom '\(automatic\)' is not the top of any layer"):
        graph_of(DATA + layer("l", "EuclideanLoss", "x x") + layer("s", "Silence", "(automatic)"))


def test_other_layers_without_tops_have_no_values():
    net = graph_of(DATA + layer("s", "Silence", "x"))
    assert net.node("s").outputs == ()


def test_name_phase_and_places():
    net = graph(selected('name: "n" ' + DATA, "TRAIN"), {"data": "n.prototxt:1"}.get)
    assert (net.name, net.phase, net.nodes[0].where) == ("n", "TRAIN", "n.prototxt:1")


def test_the_graph_is_immutable():
    net = graph_of(CHAIN)
    for holder, field in ((net, "name"), (net.nodes[0], "name"), (net.value("c"), "blob")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(holder, field, "other")
    for mapping in (net.values, net.blobs):
        with pytest.raises(TypeError, match="item assignment"):
            mapping["c"] = None


def test_an_empty_net():
    net = graph_of("")
    assert (net.nodes, net.inputs, net.outputs) == ((), (), ())


def test_a_very_deep_net():
    depth = 20_000
    net = selected(DATA)
    for number in range(depth):
        net.layer.add(name=f"r{number}", type="ReLU", bottom=["x"], top=["x"])
    assert graph(net).blobs["x"] == f"x@r{depth - 1}"


# ---- refusals


def test_unknown_bottom_suggests_a_near_name():
    text = layer("in", "Input", tops="conv1") + layer("r", "ReLU", "conv_1", "r")
    assert "layer 'r' (ReLU): bottom 'conv_1' is not the top of any layer" in refusal(text)
    assert "Did you mean 'conv1'?" in refusal(text)


def test_a_bottom_from_below():
    assert "'a' is produced only by layer 'two'" in refusal(
        DATA + layer("one", "ReLU", "a", "b") + layer("two", "ReLU", "b", "a")
    )
    assert "'a' is not the top of any layer" in refusal(layer("one", "ReLU", "a", "a"))


def test_two_producers():
    assert "already produced by layer 'data'" in refusal(DATA + layer("other", "Input", tops="x"))
    assert "listed twice" in refusal(DATA + layer("s", "Slice", "x", "a a"))


def test_in_place_counts_at_the_same_position_only():
    two = layer("in", "Input", tops="a b")
    assert graph_of(two + layer("e", "Python", "a b", "a b")).blobs == {"a": "a@e", "b": "b@e"}
    assert "same position" in refusal(two + layer("e", "Python", "a b", "b a"))
    assert "same position" in refusal(two + layer("e", "Python", "a b", "c a"))


def test_in_place_after_another_reader():
    text = DATA + layer("pool", "Pooling", "x", "p") + layer("relu", "ReLU", "x", "x")
    assert "'relu' (ReLU): overwrites blob 'x' in place, which is also read by layer 'pool'" in refusal(text)
    assert "itself a second time" in refusal(DATA + layer("e", "Eltwise", "x x", "x"))


def test_in_place_after_a_loss_weight():
    def net(weight: float) -> str:
        return DATA + layer("ip", "Power", "x", "i", f"loss_weight: {weight}") + layer("relu", "ReLU", "i", "i")

    assert "has a loss_weight in layer 'ip'" in refusal(net(0.5))
    assert graph_of(net(0)).blobs["i"] == "i@relu"


@pytest.mark.parametrize("type", ["AbsVal", "Flatten", "Reshape", "Split"])
def test_types_that_caffe_refuses_in_place(type):
    assert f"layer of type {type} cannot work in place" in refusal(DATA + layer("l", type, "x", "x"))


def test_propagate_down_is_given_for_all_bottoms_or_none():
    nets = [DATA + layer("e", "Eltwise", "x x", "e", "propagate_down: true " * count) for count in range(4)]
    for count in (0, 2):
        graph_of(nets[count])
    for count in (1, 3):
        assert f"expected 2; received {count}" in refusal(nets[count])


def test_a_layer_without_a_type():
    for text in ('layer { name: "q" }', 'layers { name: "q" }', 'layers { name: "q" type: NONE }'):
        with pytest.raises(UnknownLayerError, match="'q': the layer has no type"):
            graph(upgrade(parse(text)))


def test_errors_name_the_line():
    with pytest.raises(NetError, match=r"^n\.prototxt:5: layer 'r' \(ReLU\): bottom"):
        graph(selected(layer("r", "ReLU", "x", "x")), {"r": "n.prototxt:5"}.get)


# ---- layers that Caffe computes wrongly in place


@pytest.mark.parametrize(
    ("phase", "chain"),
    [
        ("TEST", layer("l", "LRN", "x", "x")),
        ("TEST", layer("y", "Input", tops="y") + layer("l", "Eltwise", "x y", "x")),
        ("TRAIN", layer("l", "BNLL", "x", "x")),
        ("TRAIN", layer("l", "Clip", "x", "x")),
        ("TRAIN", layer("l", "Log", "x", "x")),
        ("TRAIN", layer("l", "ELU", "x", "x", "elu_param { alpha: -1 }")),
        ("TRAIN", layer("l", "Power", "x", "x", "power_param { power: 2 }")),
        ("TRAIN", layer("l", "Power", "x", "x", "power_param { scale: 2 }")),
        ("TRAIN", layer("l", "ReLU", "x", "x", "relu_param { negative_slope: -0.5 }")),
        ("TRAIN", layer("s", "Sigmoid", "x", "s") + layer("l", "ReLU", "s", "s")),
    ],
)
def test_warns_where_caffe_is_wrong_in_place(phase, chain):
    with pytest.warns(CaffeWarning, match=r"^layer 'l' \(.*mathematically right"):
        graph_of(DATA + chain, phase)


@pytest.mark.parametrize(
    ("phase", "chain"),
    [
        ("TEST", layer("l", "BNLL", "x", "x")),
        ("TEST", layer("s", "Sigmoid", "x", "s") + layer("l", "ReLU", "s", "s")),
        (
            "TRAIN",
            layer("y", "Input", tops="y") + layer("l", "Eltwise", "x y", "x", "eltwise_param { operation: PROD }"),
        ),
        ("TRAIN", layer("l", "ReLU", "x", "x", "relu_param { negative_slope: 0.5 }")),
        ("TRAIN", layer("l", "LRN", "x", "y")),
        ("TRAIN", CHAIN.replace(DATA, "")),
    ],
)
def test_is_silent_where_caffe_is_right_in_place(phase, chain, recwarn):
    graph_of(DATA + chain, phase)
    assert not recwarn.list
