"""Old nets and solvers become what Caffe's own upgrade tools make of them."""

from __future__ import annotations

import base64
import warnings

import pytest

from keras_caffe import proto
from keras_caffe.converters.upgrade import V1_TYPES, upgrade, upgrade_solver
from keras_caffe.errors import CaffeWarning, NetError, SolverError
from tests.golden_nets import GOLDENS, parse, read_json

CASES = read_json(GOLDENS / "net" / "upgrades.json")
ACCEPTED = [case for case in CASES["text"] if case["rc"] >= 0]
ABORTED = [case for case in CASES["text"] if case["rc"] < 0]


def by_name(case: dict) -> str:
    return case["name"]


@pytest.mark.parametrize("case", ACCEPTED, ids=by_name)
def test_text_as_caffe_upgrades_it(case):
    net = parse(case["before"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        new = upgrade(net)
    assert new == parse(case["after"])
    assert net == parse(case["before"])
    assert bool(caught) == (case["rc"] == 1), [str(warning.message) for warning in caught]
    assert all(warning.category is CaffeWarning for warning in caught)


@pytest.mark.parametrize("case", ABORTED, ids=by_name)
def test_text_that_caffe_refuses(case):
    with pytest.raises(NetError, match="bottom 'nowhere' is not the top of any layer"):
        upgrade(parse(case["before"]))


@pytest.mark.parametrize("case", CASES["binary"], ids=by_name)
def test_binary_with_weights(case):
    before, after = (
        proto.NetParameter.FromString(base64.b64decode(case[f"{key}_base64"])) for key in ("before", "after")
    )
    assert upgrade(before) == after


@pytest.mark.parametrize("case", CASES["solver"], ids=lambda case: case["before"].split("\n")[0])
def test_solver(case):
    before = parse(case["before"], "SolverParameter")
    assert upgrade_solver(before) == parse(case["after"], "SolverParameter")
    assert before == parse(case["before"], "SolverParameter")


def test_upgrading_twice_changes_nothing():
    for case in ACCEPTED:
        after = parse(case["after"])
        new = upgrade(after)
        assert new == after
        assert new is not after


def test_every_v1_type_has_its_name():
    enum = proto.V1LayerParameter.DESCRIPTOR.fields_by_name["type"].enum_type
    assert set(V1_TYPES) == {value.name for value in enum.values}
    assert len(set(V1_TYPES.values())) == len(V1_TYPES)


def test_every_v1_field_is_carried_over():
    special = {"param", "blob_share_mode", "blobs_lr", "weight_decay", "layer"}
    kept = set(proto.LayerParameter.DESCRIPTOR.fields_by_name)
    assert set(proto.V1LayerParameter.DESCRIPTOR.fields_by_name) - special <= kept


def test_solver_upgrades_the_nets_inside():
    net = 'layers { name: "r" type: RELU bottom: "a" top: "b" }'
    solver = parse(
        f"net_param {{ {net} }} train_net_param {{ {net} }} test_net_param {{ {net} }} test_net_param {{ {net} }}",
        "SolverParameter",
    )
    new = upgrade_solver(solver)
    nets = [new.net_param, new.train_net_param, *new.test_net_param]
    assert [[layer.type for layer in inner.layer] for inner in nets] == [["ReLU"]] * 4
    assert not any(inner.layers for inner in nets)


def test_solver_with_both_types():
    with pytest.raises(SolverError, match="NESTEROV"):
        upgrade_solver(parse('solver_type: NESTEROV type: "SGD"', "SolverParameter"))


def test_error_names_the_line_of_the_layer():
    net = parse('input: "x" layers { layer { name: "d" type: "convv" } bottom: "x" top: "d" }')
    with pytest.raises(NetError, match=r"^net\.prototxt:7: layer 'd': .*Did you mean 'conv'\?$") as caught:
        upgrade(net, {"d": "net.prototxt:7"}.get)
    assert caught.value.where == "net.prototxt:7"


def v0_chain(*layers: str) -> proto.NetParameter:
    return parse('input: "x" input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4 ' + " ".join(layers))


PAD = 'layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "x" top: "p" }'


def test_each_consumer_takes_over_the_padding():
    new = upgrade(
        v0_chain(
            PAD,
            'layers { layer { name: "c" type: "conv" } bottom: "p" top: "c" }',
            'layers { layer { name: "q" type: "pool" } bottom: "p" top: "q" }',
        )
    )
    assert [(layer.name, list(layer.bottom)) for layer in new.layer[1:]] == [("c", ["x"]), ("q", ["x"])]
    assert list(new.layer[1].convolution_param.pad) == [2]
    assert new.layer[2].pooling_param.pad == 2


@pytest.mark.parametrize(
    "consumer",
    [
        'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }',
        'layers { layer { name: "r" type: "padding" } bottom: "p" top: "r" }',
        'layers { layer { name: "r" type: "conv" } bottom: "p" bottom: "x" top: "r" }',
    ],
)
def test_padding_before_anything_else_is_refused(consumer):
    with pytest.raises(NetError, match="'r'.*padding"):
        upgrade(v0_chain(PAD, consumer))


def test_v0_files_lose_input_shape_and_state_as_in_caffe():
    net = v0_chain('layers { layer { name: "r" type: "relu" } bottom: "x" top: "r" }')
    net.input_shape.add(dim=[1, 2])
    net.state.level = 3
    new = upgrade(net)
    assert list(new.layer[0].input_param.shape[0].dim) == [1, 1, 4, 4]
    assert not new.HasField("state")


def test_v1_layer_in_a_v0_file_is_reported():
    net = v0_chain(
        'layers { layer { name: "a" type: "relu" } bottom: "x" top: "a" }',
        'layers { name: "b" type: RELU bottom: "a" top: "b" }',
    )
    with pytest.warns(CaffeWarning, match="'b'"):
        new = upgrade(net)
    assert [layer.type for layer in new.layer] == ["Input", "ReLU", ""]


def test_only_old_data_layers_get_a_transform_param():
    new = upgrade(
        parse(
            'layers { name: "d" type: DATA top: "d" data_param { source: "s" crop_size: 3 } }'
            'layers { name: "h" type: HDF5_DATA top: "h" }'
        )
    )
    assert new.layer[0].transform_param == proto.TransformationParameter(crop_size=3)
    assert new.layer[0].data_param == proto.DataParameter(source="s")
    assert not new.layer[1].HasField("transform_param")
    today = parse('layer { name: "d" type: "Data" top: "d" data_param { crop_size: 3 } }')
    assert upgrade(today) == today


def test_mixed_layer_and_layers():
    for old in ('layers { name: "d" type: RELU }', 'layers { layer { name: "d" type: "relu" } }'):
        with pytest.raises(NetError, match="both"):
            upgrade(parse(f'{old} layer {{ name: "r" type: "ReLU" }}'))


@pytest.mark.parametrize("shapes", ["input_dim: 1 input_dim: 2 input_dim: 3", "input_shape { dim: 1 }"])
def test_inputs_without_a_shape_for_each(shapes):
    with pytest.raises(NetError, match="too few"):
        upgrade(parse(f'input: "a" input: "b" {shapes}'))


def test_spare_input_dims_are_reported():
    net = parse('input: "a" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5')
    with pytest.warns(CaffeWarning, match="5 input_dim for 4"):
        new = upgrade(net)
    assert list(new.layer[0].input_param.shape[0].dim) == [1, 2, 3, 4]


def test_inputs_without_shapes_are_dropped():
    new = upgrade(parse('input: "a" layer { name: "r" type: "ReLU" bottom: "a" top: "r" }'))
    assert [layer.name for layer in new.layer] == ["r"]
    assert not new.input


def test_present_but_empty_parameters_stay_present():
    new = upgrade(parse('layers { name: "r" type: RELU relu_param { } }'))
    assert new.layer[0].HasField("relu_param")
