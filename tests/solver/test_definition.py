"""Solver definitions: what Caffe refuses, what it makes of the rest, and which nets they name."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_caffe import optimizers, pycaffe
from keras_caffe.errors import CaffeError, CaffeWarning, LayerError, ReadError, SolverError, WeightsError
from keras_caffe.solver import load_solver
from keras_caffe.solver.definition import read_solver
from tests.rejected import REJECTED, reason_for

# Caffe opens the net before it looks at the solver's numbers; here it is the other way round.
COMPLETED = {"solver_missing_net_file": "base_lr: 0.1"}

NET = """
name: "n"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" %s }
"""
LEARNT_LABELS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 } }
layer { name: "labels" type: "InnerProduct" bottom: "x" top: "labels" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "HingeLoss" bottom: "ip" bottom: "labels" top: "loss" }
"""
BATCH = {"x": np.ones((2, 3), "float32"), "t": np.zeros((2, 1), "float32")}


def load(folder: Path, text: str, net: str = NET % "", **arguments: Any) -> Any:
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(text)
    return load_solver(folder / "solver.prototxt", **{"train_data": [BATCH], "test_data": [BATCH], **arguments})


def test_a_loss_does_not_learn_its_labels(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="'loss'.*cannot backpropagate to 'labels', its bottom 1"):
        load(tmp_path, 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed"', LEARNT_LABELS)


def test_a_test_net_s_loss_learns_nothing(tmp_path: Path) -> None:
    test = "force_backward: true" + LEARNT_LABELS.replace('"ip"', '"scores"')  # a layer of its own, with weights of 0
    nets = f'train_net: "net.prototxt" test_net_param {{ {test} }} test_iter: 1 test_interval: 1'
    solver = load(tmp_path, nets + ' base_lr: 0.1 lr_policy: "fixed"')
    assert solver.test() == [{"loss": 1}]


@pytest.mark.parametrize("entry", [e for e in REJECTED if e["kind"] == "solver"], ids=lambda entry: entry["name"])
def test_what_caffe_refuses(entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    batch = {"data": np.ones((2, 8, 8, 3), "float32"), "label": np.zeros(2, "float32")}
    text = entry["solver_prototxt"] + COMPLETED.get(entry["name"], "")
    with pytest.raises((ReadError, SolverError, WeightsError), match=reason_for(entry["name"])):
        solver = load(tmp_path, text, entry["prototxt"], train_data=[batch], test_data=[batch])
        if entry.get("restore_file"):
            if entry.get("restore_base64"):
                Path(entry["restore_file"]).write_bytes(base64.b64decode(entry["restore_base64"]))
            solver.restore(entry["restore_file"])
        solver.step(2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('lr_policy: "fixed"', "base_lr is missing"),
        ('base_lr: 1 lr_policy: "poly"', "needs max_iter"),
        ('base_lr: 1 lr_policy: "sigmoid" gamma: 1', "needs stepsize"),
        ('base_lr: 1 lr_policy: "plateau" gamma: 1', "needs plateau_winsize"),
        ('base_lr: 1 lr_policy: "inv" gamma: -1 power: 1', "gamma must be a number of at least 0"),
        ('base_lr: 1 lr_policy: "fixed" iter_size: 0', "iter_size is below 1"),
        ('base_lr: 1 lr_policy: "fixed" type: "adam"', "unknown type"),
        ('base_lr: 1 lr_policy: "fixed" type: "RMSProp" rms_decay: -0.1', "rms_decay"),
    ],
)
def test_what_is_missing_or_contradictory(text: str, problem: str) -> None:
    with pytest.raises(SolverError, match=problem):
        read_solver(f'net: "net.prototxt" {text}')


def test_a_solver_that_only_saves_needs_no_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = 'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 dim: 3 } } }'
    net += ' layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip" inner_product_param { num_output: 2 } }'
    with pytest.warns(CaffeWarning, match="max_iter is 0 and lr_policy is missing: nothing is trained"):
        solver = pycaffe.get_solver(f'train_net_param {{ {net} }} base_lr: 1 max_iter: 0 snapshot_prefix: "nn"')
    solver.solve()
    assert Path("nn_iter_0.caffemodel").exists()
    with pytest.raises(SolverError, match="lr_policy is missing"):
        read_solver('net: "net.prototxt" base_lr: 1 max_iter: 1')


@pytest.mark.parametrize("text", [NET % "", 'layers { name: "r" type: RELU bottom: "d" top: "r" }'])
def test_a_net_is_no_solver(text: str) -> None:
    with pytest.raises(ReadError, match="this is a net, not a solver"):
        read_solver(text)


def test_near_match() -> None:
    with pytest.raises(SolverError, match="Did you mean 'RMSProp'"):
        read_solver('net: "n" base_lr: 1 lr_policy: "fixed" type: "RMSprop"')


@pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")
def test_unset_values_read_zero() -> None:
    param = read_solver('net: "n" base_lr: 1 lr_policy: "step" stepsize: 2 type: "Adam"').param
    from keras_caffe.solver.definition import make_optimizer, make_policy

    assert float(make_policy(param)(1)) == 1
    assert float(make_policy(param)(2)) == 0
    optimizer = make_optimizer(param)
    assert isinstance(optimizer, optimizers.Adam)
    assert (optimizer.momentum, optimizer.weight_decay, optimizer.clip_gradients) == (0, 0, -1)


def test_max_iter_is_needed_to_fit(tmp_path: Path) -> None:
    solver = load(tmp_path, 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed"')
    assert len(solver.step(2)) == 2
    with pytest.raises(SolverError, match="max_iter"):
        solver.fit(verbose=0)


BASE = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 2 snapshot_after_train: false '
INLINE = NET % ""


@pytest.mark.parametrize(
    ("names", "tests"),
    [
        ('net: "net.prototxt"', 0),
        ('train_net: "net.prototxt"', 0),
        (f"net_param {{ {INLINE} }}", 0),
        (f"train_net_param {{ {INLINE} }}", 0),
        ('net: "net.prototxt" test_iter: 1 test_interval: 1', 1),
        ('train_net: "net.prototxt" test_net: "net.prototxt" test_iter: 2 test_interval: 1', 1),
        (f'net: "net.prototxt" test_net_param {{ {INLINE} }} test_iter: 1 test_iter: 3 test_interval: 1', 2),
    ],
)
def test_ways_to_name_nets(tmp_path: Path, names: str, tests: int) -> None:
    solver = load(tmp_path, BASE + names)
    assert len(solver.test_models) == tests
    solver.step(1)
    scores = solver.test()
    assert len(scores) == tests
    for model, net in zip(solver.test_models, scores, strict=True):
        assert (
            model.caffe_layers["ip"].caffe_blobs[0].variable is solver.model.caffe_layers["ip"].caffe_blobs[0].variable
        )
        assert net == {"loss": pytest.approx(scores["loss"])}


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        ('net: "nets/net.prototxt" snapshot_prefix: "nets/snap"', "nets/snap"),  # Caffe: from the working directory
        ('net: "net.prototxt" snapshot_prefix: "snap"', "snap"),  # also where the net is found beside the solver only
        ('net: "net.prototxt" snapshot_prefix: "nets"', "nets/solver"),  # a folder
        ('net: "net.prototxt"', "{working}/nets/solver"),
        (f'net_param {{ {INLINE} }} snapshot_prefix: "snap"', "snap"),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_snapshots_start_at_the_working_directory(
    names: str, prefix: str, absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.prototxt").write_text(INLINE)
    (tmp_path / "nets" / "solver.prototxt").write_text(BASE + "snapshot: 1 " + names)
    folder = tmp_path if absolute else Path()
    solver = load_solver(folder / "nets" / "solver.prototxt", train_data=[BATCH])
    assert Path(solver.prefix) == Path(prefix.format(working=tmp_path))


def test_states_and_stages_select_layers(tmp_path: Path) -> None:
    net = (
        NET % ""
        + """
layer { name: "a" type: "Power" bottom: "ip" top: "a" include { stage: "a" } }
layer { name: "b" type: "Power" bottom: "ip" top: "b" include { phase: TEST stage: "b" } }
layer { name: "c" type: "Power" bottom: "ip" top: "c" include { min_level: 3 } }
"""
    )
    text = (
        BASE
        + """net: "net.prototxt" train_state { stage: "a" } test_iter: 1 test_iter: 1 test_interval: 1
        test_state { stage: "b" } test_state { stage: "a" level: 3 }"""
    )
    solver = load(tmp_path, text, net)
    assert "a" in solver.model.blobs and "c" not in solver.model.blobs
    assert [sorted({"a", "b", "c"} & set(m.blobs)) for m in solver.test_models] == [["b"], ["a", "c"]]
    other = load(tmp_path, BASE + 'net: "net.prototxt"', net, stages=["a"], level=3)
    assert {"a", "c"} <= set(other.model.blobs)


@pytest.mark.filterwarnings("ignore:.*no layer of this net")
def test_weights_are_loaded_by_name(tmp_path: Path) -> None:
    first = load(tmp_path, BASE + 'net: "net.prototxt"')
    first.model.set_caffe_params({"ip": [np.full((1, 3), 7.0), np.full(1, 8.0)]})
    file, _ = first.snapshot()
    for arguments, field in (({"weights": file}, ""), ({}, f'weights: "{file}"')):
        solver = load(tmp_path, BASE + f'net: "net.prototxt" {field}', **arguments)
        np.testing.assert_array_equal(solver.model.get_caffe_params()["ip"][0], np.full((1, 3), 7.0))
    with pytest.warns(CaffeWarning, match="no layer of this net"):
        renamed = load(tmp_path, BASE + 'net: "net.prototxt"', (NET % "").replace('"ip"', '"new"'), weights=file)
    assert not np.any(renamed.model.get_caffe_params()["new"][0] == 7)


def test_a_test_net_with_other_shapes(tmp_path: Path) -> None:
    other = (NET % "").replace("num_output: 1", "num_output: 2").replace("dim: 2 dim: 1", "dim: 2 dim: 2")
    with pytest.raises(CaffeError, match="other parameters"):
        load(tmp_path, BASE + f'net: "net.prototxt" test_net_param {{ {other} }} test_iter: 1 test_interval: 1')


def test_input_layers_need_data(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="Input layers"):
        load(tmp_path, BASE + 'net: "net.prototxt"', train_data=None)


def test_memory_data_needs_data_too(tmp_path: Path) -> None:
    net = """
layer { name: "m" type: "MemoryData" top: "x" top: "t"
  memory_data_param { batch_size: 2 channels: 1 height: 1 width: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "x" bottom: "t" top: "loss" }
"""
    with pytest.raises(
        CaffeError, match="no train data are given: the net has MemoryData layers; .* x, t.* Pass train_data="
    ):
        load(tmp_path, BASE + 'net: "net.prototxt"', net, train_data=None)
    batch = {"x": np.full((2, 1, 1, 1), 3, np.float32), "t": np.ones((2, 1, 1, 1), np.float32)}
    assert load(tmp_path, BASE + 'net: "net.prototxt"', net, train_data=[batch]).step(1) == [2]


def test_an_iteration_that_no_step_can_be_compiled_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SolverError, match=r"solver.*iter_size is too large.*at most 1000; received 2147483647"):
        load(tmp_path, BASE + 'net: "net.prototxt" iter_size: 2147483647')


def test_random_seed_repeats_the_fillers(tmp_path: Path) -> None:
    text = BASE + 'net: "net.prototxt" random_seed: 5'
    first, second = load(tmp_path, text), load(tmp_path, text)
    np.testing.assert_array_equal(first.model.get_caffe_params()["ip"][0], second.model.get_caffe_params()["ip"][0])


FILE = 'net: "net.prototxt" ' + BASE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE, "no train net is given"),
        (FILE + 'train_net: "net.prototxt"', "more than one train net is given"),
        (FILE + "test_interval: 1 test_state { }", "test_state must be given once for each test net, or not at all"),
        (FILE + "test_iter: 1", "test nets need a test_interval"),
        (FILE + 'test_net: "net.prototxt"', "test_iter must be given once for each test net"),
        (FILE + "iter_size: 0", "iter_size is below 1"),
        (FILE + 'type: "Sgd"', "unknown type 'Sgd'. Did you mean 'SGD'?"),
        (FILE + 'type: "AdaGrad" momentum: 0.5', "momentum cannot be used with AdaGrad"),
        (FILE.replace("fixed", "Fixed"), "unknown lr_policy 'Fixed'. Did you mean 'fixed'?"),
        (
            FILE + 'snapshot: 1 snapshot_prefix: "no/where"',
            "snapshots cannot be written; expected a snapshot_prefix in a",
        ),
        (FILE + 'solver_type: ADAM type: "SGD"', "both solver_type (old enum) and type (string) are given"),
    ],
)
@pytest.mark.parametrize("open_solver", [load_solver, pycaffe.get_solver])
def test_every_error_of_a_solver_names_its_file(
    tmp_path: Path, text: str, said: str, open_solver: Callable[[str], Any]
) -> None:
    (tmp_path / "net.prototxt").write_text(INLINE)
    (tmp_path / "s.prototxt").write_text(text)
    with pytest.raises(SolverError) as caught:
        open_solver(str(tmp_path / "s.prototxt"))
    assert str(caught.value).startswith(f"{tmp_path}/s.prototxt: {said}")
