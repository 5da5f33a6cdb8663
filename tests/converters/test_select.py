"""include and exclude rules by phase, level and stages."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.converters.select import select, select_state, solver_state
from keras_caffe.converters.upgrade import upgrade
from keras_caffe.errors import NetError
from tests.golden_nets import GOLDENS, check_record, parse, read_json, selected

RECORDS = [
    (name, read_json(GOLDENS / "net" / f"{name}.json")["prototxt"], record)
    for name in ("states", "states_in_net")
    for record in read_json(GOLDENS / "net" / f"{name}.json")["states"]
]
IN_NET = read_json(GOLDENS / "net" / "states_in_net.json")


def describe(value) -> str:
    return "-".join([value["phase"], str(value["level"]), *value["stages"]]) if isinstance(value, dict) else ""


@pytest.mark.parametrize(("name", "text", "record"), RECORDS, ids=describe)
def test_states_as_caffe_selects_them(name, text, record):
    net = parse(text)
    check_record(select(net, record["phase"], record["level"], record["stages"]), record)
    assert net == parse(text)


def test_a_solvers_nets_merge_phase_net_and_solver_state():
    net, solver = parse(IN_NET["prototxt"]), parse(IN_NET["solver_prototxt"], "SolverParameter")
    train = solver_state("TRAIN", net, solver.train_state)
    check_record(select_state(net, train), IN_NET["solver_train_net"])
    for state, record in zip(solver.test_state, IN_NET["solver_test_nets"], strict=True):
        check_record(select_state(net, solver_state("TEST", net, state)), record)


def test_layers_get_the_phase_of_the_net():
    text = 'layer { name: "a" type: "ReLU" } layer { name: "b" type: "ReLU" phase: TEST }'
    assert [layer.phase for layer in selected(text, "TRAIN").layer] == [0, 1]
    assert selected(text, "TRAIN").state.phase == 0
    assert [layer.phase for layer in selected(text, "TEST").layer] == [1, 1]


def test_selecting_twice_changes_nothing():
    for _, text, record in RECORDS:
        arguments = record["phase"], record["level"], record["stages"]
        once = select(upgrade(parse(text)), *arguments)
        assert select(once, *arguments[:2]) == once


@pytest.mark.parametrize("phase", ["TRAIN", 0, np.int64(0)])
def test_spellings_of_a_phase(phase):
    net = parse('layer { name: "a" type: "ReLU" include { phase: TRAIN } }')
    assert len(select(net, phase).layer) == 1


@pytest.mark.parametrize("phase", ["train", "Test", "", 2, -1, None, b"TRAIN", [0]])
def test_what_is_no_phase(phase):
    with pytest.raises(NetError, match='expected "TRAIN" or "TEST"'):
        select(parse(""), phase)


@pytest.mark.parametrize("arguments", [{"level": "high"}, {"level": 2**40}, {"stages": [1]}, {"stages": 3}])
def test_what_is_no_level_or_stage(arguments):
    with pytest.raises(NetError, match="level"):
        select(parse(""), **arguments)


def test_one_stage_may_be_a_plain_string():
    net = parse('layer { name: "a" type: "ReLU" include { stage: "deploy" } }')
    assert len(select(net, stages="deploy").layer) == 1


def test_include_beside_exclude():
    net = parse('layer { name: "a" type: "ReLU" include { phase: TRAIN } exclude { stage: "x" } }')
    with pytest.raises(NetError, match=r"^n\.prototxt:3: layer 'a' \(ReLU\): has both"):
        select(net, where={"a": "n.prototxt:3"}.get)
