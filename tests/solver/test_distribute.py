"""`tf.distribute`: two replicas with a batch each are one process with both; one replica is as without a strategy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from tests.shared_goldens import ROOT

WORKER = Path(__file__).with_name("worker.py")
CASES = ("sgd", "clipped")


def run(folder: Path, mode: str, case: str, cluster: dict | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    if cluster:
        environment["TF_CONFIG"] = json.dumps(cluster)
    return subprocess.Popen(
        [sys.executable, str(WORKER), mode, case, str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def result(process: subprocess.Popen[str], folder: Path, name: str) -> dict[str, np.ndarray]:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    with np.load(folder / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def same(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert got.keys() == want.keys()
    for key in want:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """One process with the doubled batch."""
    folder = tmp_path_factory.mktemp("single")
    return {case: result(run(folder, "single", case), folder, "single") for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_mirrored(tmp_path: Path, case: str, single: dict) -> None:
    same(result(run(tmp_path, "mirrored", case), tmp_path, "mirrored"), single[case])


def test_losses_of_plain_keras_models(tmp_path: Path) -> None:
    """Keras divides its own losses among the replicas, and ours."""
    alone, shared = (result(run(tmp_path, mode, "keras"), tmp_path, mode) for mode in ("single", "mirrored"))
    same(shared, alone)


@pytest.mark.parametrize("case", CASES)
def test_two_workers(tmp_path: Path, case: str, single: dict) -> None:
    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    tasks = [{"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}} for index in range(2)]
    workers = [run(tmp_path, f"worker{index}", case, task) for index, task in enumerate(tasks)]
    for index, worker in enumerate(workers):
        same(result(worker, tmp_path, f"worker{index}"), single[case])


def test_a_cluster_of_one_worker(tmp_path: Path) -> None:
    task = {"cluster": {"worker": [f"127.0.0.1:{free_ports(1)[0]}"]}, "task": {"type": "worker", "index": 0}}
    alone, worker = run(tmp_path, "alone", "sgd"), run(tmp_path, "cluster", "sgd", task)
    same(result(worker, tmp_path, "cluster"), result(alone, tmp_path, "alone"))


def test_parameter_servers_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = object.__new__(tf.distribute.ParameterServerStrategy)  # making one waits for its servers
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    with pytest.raises(keras_caffe.errors.SolverError, match="ParameterServerStrategy.*at different times.*Keras 3"):
        keras_caffe.load_solver(f"{SOLVERS['SGD']} train_net_param {{ {NET} }}", train_data=[{}])


NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 6 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 } } }
layer { name: "ip0" type: "InnerProduct" bottom: "x" top: "ip0"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "ip0" top: "bn" }
layer { name: "ip" type: "InnerProduct" bottom: "bn" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "t" top: "loss" }
"""
SOLVERS = {
    "SGD": 'type: "SGD" base_lr: 0.1 momentum: 0.9 lr_policy: "inv" gamma: 0.1 power: 0.5 display: 3',
    "Nesterov": 'type: "Nesterov" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" clip_gradients: 0.3 iter_size: 2',
    "AdaGrad": 'type: "AdaGrad" base_lr: 0.01 lr_policy: "step" stepsize: 2 gamma: 0.5',
    "RMSProp": 'type: "RMSProp" base_lr: 0.01 rms_decay: 0.9 lr_policy: "fixed" regularization_type: "L1"',
    "AdaDelta": 'type: "AdaDelta" base_lr: 0.1 momentum: 0.9 lr_policy: "plateau" plateau_winsize: 2 gamma: 0.5',
    "Adam": 'type: "Adam" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" clip_gradients: 0.3',
}
STRATEGIES = {
    "mirrored": lambda: tf.distribute.MirroredStrategy(["CPU:0"]),
    "workers": tf.distribute.MultiWorkerMirroredStrategy,
    "one device": lambda: tf.distribute.OneDeviceStrategy("/cpu:0"),
    "default": tf.distribute.get_strategy,
}


def trained(settings: str, strategy: tf.distribute.Strategy) -> tuple[np.ndarray, list[float]]:
    """All parameters, histories and losses of a run in which `step` and `fit` follow each other."""
    random = np.random.default_rng(0)
    shapes = {"x": random.standard_normal((9, 4, 6)), "t": random.integers(0, 5, (9, 4))}
    data = [{name: array[i].astype("float32") for name, array in shapes.items()} for i in range(9)]
    nets = f"train_net_param {{ {NET} }} test_net_param {{ {NET} }} test_iter: 2 test_interval: 3"
    keras.utils.set_random_seed(1)
    with strategy.scope():
        solver = keras_caffe.load_solver(
            f"{settings} random_seed: 1 max_iter: 5 snapshot_after_train: false {nets}",
            train_data=data,
            test_data=data,
            data_format="channels_last",
        )
        losses = solver.step(2)
        losses += solver.fit(verbose=0).history["loss"]
        losses += solver.step(2)
        losses.append(solver.test()["loss"])
    arrays = [a for arrays in solver.model.get_caffe_params().values() for a in arrays] + solver.history.get()
    return np.concatenate([np.ravel(a) for a in arrays]), losses


@pytest.fixture(scope="module")
def without() -> dict[str, tuple[np.ndarray, list[float]]]:
    return {name: trained(settings, STRATEGIES["default"]()) for name, settings in SOLVERS.items()}


@pytest.mark.parametrize(
    ("method", "strategy"),
    [*((method, "mirrored") for method in SOLVERS), ("SGD", "workers"), ("Nesterov", "one device")],
)
def test_one_replica_is_as_without_a_strategy(method: str, strategy: str, without: dict) -> None:
    arrays, losses = trained(SOLVERS[method], STRATEGIES[strategy]())
    np.testing.assert_array_equal(arrays, without[method][0])
    assert losses == without[method][1]


@pytest.mark.parametrize("strategy", ["mirrored", "one device"])
def test_a_loss_that_is_no_number_changes_nothing_with_a_strategy(strategy: str) -> None:
    batch = {"x": np.full((4, 6), np.nan, "float32"), "t": np.zeros(4, "float32")}
    with STRATEGIES[strategy]().scope():
        solver = keras_caffe.load_solver(
            f"{SOLVERS['SGD']} train_net_param {{ {NET} }}", train_data=[batch], data_format="channels_last"
        )
        before = solver.model.get_caffe_params()
        with pytest.raises(keras_caffe.errors.SolverError, match="the loss is nan in iteration 0"):
            solver.step(1)
        after = solver.model.get_caffe_params()
    for name, arrays in before.items():
        for index, array in enumerate(arrays):
            np.testing.assert_array_equal(after[name][index], array, err_msg=name)
