"""Parameters shared by name: who owns, what is checked, which multipliers hold."""

from __future__ import annotations

import pytest

from keras_caffe.converters.share import SharedParam, multipliers, shared_params
from keras_caffe.errors import NetError
from tests.golden_nets import GOLDENS, graph_of, meta, read_json
from tests.rejected import REJECTED, reason_for


def net_of(*params: str):
    layers = (
        f'layer {{ name: "l{number}" type: "InnerProduct" bottom: "x" top: "y{number}" {specs} }}'
        for number, specs in enumerate(params, 1)
    )
    return graph_of('layer { name: "data" type: "Input" top: "x" } ' + " ".join(layers))


def test_the_first_of_a_name_owns():
    net = net_of('param { name: "w" } param { name: "b" }', "param { }", 'param { name: "b" } param { name: "w" }')
    assert shared_params(net) == {
        (3, 0): SharedParam("b", (1, 1), "STRICT"),
        (3, 1): SharedParam("w", (1, 0), "STRICT"),
    }


def test_a_chain_of_sharers_has_one_owner():
    net = net_of(*['param { name: "w" share_mode: PERMISSIVE }'] * 3)
    assert set(shared_params(net).values()) == {SharedParam("w", (1, 0), "PERMISSIVE")}


def test_the_sharing_layer_says_how_shapes_are_compared():
    net = net_of('param { name: "w" share_mode: PERMISSIVE }', 'param { name: "w" }')
    assert shared_params(net)[2, 0].share_mode == "STRICT"


def test_one_layer_does_not_share_with_itself():
    with pytest.raises(NetError, match="layer 'l1' .*: two parameters of one layer have the same name 'w'"):
        shared_params(net_of('param { name: "w" } param { name: "w" }'))


def test_unnamed_parameters_are_not_shared():
    assert shared_params(net_of("param { } param { }", 'param { name: "" }')) == {}


@pytest.mark.parametrize("field", ["lr_mult", "decay_mult"])
def test_stated_multipliers_must_agree(field):
    net = net_of('param { name: "w" }', f'param {{ name: "w" {field}: 1 }}', f'param {{ name: "w" {field}: 2 }}')
    with pytest.raises(NetError, match=rf"'l3' \(InnerProduct\).*'w'.*{field} 1 .*received 2") as caught:
        shared_params(net)
    assert "(layer 'l1' owns it)" in str(caught.value)
    agreeing = net_of(f'param {{ name: "w" {field}: 2 }}', 'param { name: "w" }', f'param {{ name: "w" {field}: 2 }}')
    assert len(shared_params(agreeing)) == 2


def test_multipliers_stated_anywhere_hold_for_all():
    net = net_of('param { name: "w" lr_mult: 3 } param { }', 'param { name: "w" decay_mult: 0 }')
    assert multipliers(net) == {(1, 0): (3, 0), (1, 1): (1, 1), (2, 0): (3, 0)}


@pytest.mark.parametrize("case", ["siamese_share", "share_within_layer_names_only_bias"])
def test_net_goldens(case):
    record = meta(GOLDENS / "net" / f"net_{case}.npz")
    net = graph_of(record["prototxt"], record["phase"])
    expected = {"siamese_share": {(4, 0): (3, 0), (4, 1): (3, 1)}}.get(case, {(2, 1): (1, 1)})
    assert {slot: shared.owner for slot, shared in shared_params(net).items()} == expected


def test_rejected():
    cases = {case["name"]: case for case in REJECTED}
    for name in ("share_lr_mismatch", "share_decay_mismatch"):
        with pytest.raises(NetError, match=reason_for(name)):
            shared_params(graph_of(cases[name]["prototxt"]))
    for name in ("parameter_loss_no_weight_share", "share_permissive_count"):
        assert shared_params(graph_of(cases[name]["prototxt"]))


def test_a_sharing_layer_may_leave_multipliers_unstated():
    accepted = {case["name"]: case for case in read_json(GOLDENS / "errors" / "accepted.json")}
    assert shared_params(graph_of(accepted["share_unspecified_lr"]["prototxt"]))
