"""pycaffe's solvers: real Caffe's training runs, and what scripts see of the nets in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import SolverError
from keras_caffe.solver import load_solver
from tests.nets import HIDING
from tests.solver.golden_solver import SOLVERS, Run, check_history, close

pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")

NET = """
layer { name: "x" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
"""
RUNS = [
    *("sgd_poly_convbn", "nesterov_exp_multi", "x_sgd_siam_iter2_clip", "rmsprop_step_mlp", "adagrad_fixed_siam"),
    *("adadelta_inv_multi", "adam_multistep_mlp"),
]


def definition(**more: Any) -> str:
    fields = {"base_lr": 0.5, "lr_policy": '"fixed"', "max_iter": 4, **more}
    return "net_param {" + NET + "} " + " ".join(f"{name}: {value}" for name, value in fields.items())


def feed(solver: Any, x: np.ndarray) -> None:
    solver.net.blobs["x"].data[...] = x
    solver.net.blobs["t"].data[...] = 1


@pytest.mark.parametrize("name", [name for name in RUNS if (SOLVERS / f"{name}.npz").exists()])
def test_trajectory(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(name, SOLVERS / f"{name}.npz")
    (tmp_path / "net.prototxt").write_text(run.meta["net_prototxt"])
    (tmp_path / "solver.prototxt").write_text(run.meta["solver_prototxt"])
    solver = caffe.get_solver("solver.prototxt")
    for key, array in run.group("init").items():
        layer, _, index = key.rpartition("/")
        solver.net.params[layer][int(index)].data[...] = array
    pool, count = run.group("pool"), 0

    def next_batch(layer: int) -> None:
        nonlocal count
        if layer == 0:
            for blob, arrays in pool.items():
                solver.net.blobs[blob].data[...] = arrays[count % len(arrays)]
            count += 1

    solver.net.before_forward(next_batch)
    for iteration in (1, 2, 3, 5, 10):
        solver.step(iteration - solver.iter)
        sens = run.group(f"sens/{iteration}")
        for key, want in run.group(f"p/{iteration}").items():
            layer, _, index = key.rpartition("/")
            close(solver.net.params[layer][int(index)].data, want, sens.get(key, 0), f"{key} after {iteration}")
    np.testing.assert_allclose(solver.lr, run.arrays["lr"][10], rtol=2e-6)
    solver.net._callbacks.clear()
    solver.net.before_forward(next_batch)
    solver.step(50 - solver.iter)
    check_history(run, solver)


def test_blobs_diffs_and_parameters_are_live() -> None:
    solver = caffe.SGDSolver(definition())
    weight = solver.net.params["ip"][0].data
    weight[...] = [[1, 2, 3]]
    feed(solver, np.float32([[1, 0, 0], [0, 1, 0]]))
    solver.step(1)
    np.testing.assert_allclose(solver.net.blobs["ip"].data, [[1], [2]])
    np.testing.assert_allclose(solver.net.blobs["loss"].data, 0.25)
    np.testing.assert_allclose(solver.net.params["ip"][0].diff, [[0, 0.25, 0]])  # what was subtracted: rate * gradient
    np.testing.assert_allclose(weight, [[1, 1.75, 3]])
    assert solver.net.params["ip"][0].data is weight
    assert solver.iter == 1
    solver.param.base_lr = 0.25
    assert solver.lr == 0.25
    solver.step(1)
    np.testing.assert_allclose(solver.net.params["ip"][0].diff[0, 1], 0.25 * (1.75 - 0.25 - 1) / 2)


def test_a_class_takes_its_own_method() -> None:
    assert isinstance(caffe.get_solver(definition(type='"Nesterov"')), caffe.NesterovSolver)
    assert isinstance(caffe.get_solver(definition()), caffe.SGDSolver)
    assert caffe.AdamSolver(definition(type='"SGD"')).param.type == "Adam"
    with pytest.raises(SolverError, match="momentum"):
        caffe.AdaGradSolver(definition(momentum=0.9))


def test_updates_by_hand() -> None:
    solver = caffe.SGDSolver(definition(iter_size=2))
    solver.net.params["ip"][0].diff[...] = 4
    solver.apply_update()
    np.testing.assert_allclose(solver.net.params["ip"][0].data, -1 * np.ones((1, 3)))
    assert solver.iter == 1


def test_updates_by_hand_count_for_the_rate_and_for_snapshots(tmp_path: Path) -> None:
    solver = caffe.SGDSolver(
        definition(lr_policy='"step"', gamma=0.1, stepsize=1, base_lr=1, snapshot_prefix=f'"{tmp_path}/by_hand"')
    )
    weights = solver.net.params["ip"][0]
    for step, iteration in ((1, 1), (0.1, 2)):
        before = weights.data.copy()
        weights.diff[...] = 1
        solver.apply_update()
        np.testing.assert_allclose(before - weights.data, step, rtol=1e-6)
        assert solver.iter == iteration
    assert solver.snapshot()[0].endswith("by_hand_iter_2.caffemodel")


def test_each_call_of_step_smooths_the_loss_anew(capsys: pytest.CaptureFixture[str]) -> None:
    solver = caffe.SGDSolver(definition(average_loss=9, display=1))
    for value in (1, 2):
        feed(solver, np.full((2, 3), value, "float32"))
        solver.step(1)
        assert f"loss = {solver.net.blobs['loss'].data:.6g}" in capsys.readouterr().out


class Growing:
    """Delivers one row more in each pass."""

    def setup(self, bottom: Any, top: Any) -> None:
        self.rows = 0

    def reshape(self, bottom: Any, top: Any) -> None:
        self.rows += 1
        top[0].reshape(self.rows, 1)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = 1


def test_outputs_of_several_shapes_have_no_mean() -> None:
    text = """base_lr: 1 lr_policy: "fixed" test_iter: 2 test_interval: 1 display: 1 net_param {
        layer { name: "data" type: "Python" top: "data" python_param { module: "m" layer: "Growing" } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 1 } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "data" bottom: "ip" top: "loss" }
        layer { name: "out" type: "Power" bottom: "ip" top: "out" } }"""
    solver = caffe.SGDSolver(text, python_layers={"m.Growing": Growing})
    with pytest.raises(SolverError, match=r"output 'out' of a test net .*\(\d+, 1\) and \(\d+, 1\)"):
        solver.step(1)


def test_callbacks_see_the_gradients() -> None:
    solver, seen = caffe.SGDSolver(definition()), []
    feed(solver, np.ones((2, 3), "float32"))
    gradient = solver.net.params["ip"][1].diff
    solver.add_callback(lambda: seen.append(float(gradient[0])), lambda: seen.append(float(gradient[0])))
    solver.step(2)
    assert seen == [0, -1, 0, pytest.approx(1)]


def test_test_nets_use_the_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    solver = caffe.SGDSolver(definition(test_iter=2, test_interval=2, display=1))
    feed(solver, np.ones((2, 3), "float32"))
    (test,) = solver.test_nets
    test.blobs["x"].data[...] = 1
    solver.step(1)
    np.testing.assert_allclose(test.forward()["loss"], 0.5 * test.blobs["ip"].data[0, 0] ** 2)
    np.testing.assert_allclose(test.params["ip"][1].data, solver.net.params["ip"][1].data)
    lines = capsys.readouterr().out
    assert "Iteration 0, Testing net (#0)" in lines
    assert "Test net output #0: loss = 0 " in lines
    assert "Train net output #0: loss = 0.5 (* 1 = 0.5 loss)" in lines


@pytest.mark.parametrize("snapshot_format", ["BINARYPROTO", "HDF5"])
def test_solve_snapshots_and_resumes(snapshot_format: str, tmp_path: Path) -> None:
    fields = {"snapshot": 2, "snapshot_prefix": f'"{tmp_path}/s"', "snapshot_format": snapshot_format, "momentum": 0.9}
    solver = caffe.SGDSolver(definition(base_lr=0.05, **fields))
    feed(solver, np.ones((2, 3), "float32"))
    solver.solve()
    ending = ".h5" if snapshot_format == "HDF5" else ""
    assert (tmp_path / f"s_iter_4.caffemodel{ending}").exists()
    other = caffe.SGDSolver(definition(base_lr=0.05, **fields))
    feed(other, np.ones((2, 3), "float32"))
    other.solve(str(tmp_path / f"s_iter_2.solverstate{ending}"))
    assert other.iter == 4
    np.testing.assert_array_equal(other.net.params["ip"][0].data, solver.net.params["ip"][0].data)
    batches = [{"x": np.ones((2, 3), "float32"), "t": np.ones((2, 1), "float32")}]
    third = load_solver(definition(base_lr=0.05, **fields), train_data=batches)  # the other way of training
    third.restore(tmp_path / f"s_iter_2.solverstate{ending}")
    third.step(2)
    np.testing.assert_allclose(third.model.get_caffe_params()["ip"][0], solver.net.params["ip"][0].data, rtol=1e-6)


def test_a_parameter_that_is_no_number_is_refused_though_the_loss_hides_it() -> None:
    solver = caffe.SGDSolver(f'net_param {{ {HIDING} }} base_lr: 0.1 lr_policy: "fixed"')
    solver.net.blobs["data"].data[...] = 1
    solver.step(1)
    solver.net.params["conv"][1].data[1] = np.nan
    assert np.isfinite(solver.net.forward()["loss"])
    with pytest.raises(SolverError, match="the loss is nan in iteration 1"):
        solver.step(1)


def test_a_loss_that_is_no_number_is_refused() -> None:
    solver = caffe.SGDSolver(definition())
    feed(solver, np.full((2, 3), np.nan, "float32"))
    with pytest.raises(SolverError, match="iteration 0"):
        solver.step(1)
    assert not solver.net.params["ip"][0].data.any()


def test_images_of_several_sizes(tmp_path: Path) -> None:
    """Every pass another size, with momentum and a test net: as the other way of training goes."""
    for i, size in enumerate([(9, 8), (12, 6), (7, 13)]):
        image = np.random.default_rng(i).integers(0, 255, (*size, 3), np.uint8)
        (tmp_path / f"{i}.png").write_bytes(tf.io.encode_png(image).numpy())
    (tmp_path / "list").write_text("".join(f"{tmp_path}/{i}.png {i % 2}\n" for i in range(3)))
    small = 'weight_filler { type: "gaussian" std: 0.1 }'
    net = f"""
        layer {{ name: "d" type: "ImageData" top: "x" top: "label" transform_param {{ scale: 0.01 }}
          image_data_param {{ source: "{tmp_path}/list" batch_size: 1 }} }}
        layer {{ name: "c" type: "Convolution" bottom: "x" top: "c"
          convolution_param {{ num_output: 3 kernel_size: 3 pad: 3 {small} }} }}
        layer {{ name: "n" type: "LRN" bottom: "c" top: "n" }}
        layer {{ name: "p" type: "Pooling" bottom: "n" top: "p"
          pooling_param {{ pool: AVE kernel_size: 2 stride: 2 }} }}
        layer {{ name: "up" type: "Deconvolution" bottom: "p" top: "up"
          convolution_param {{ num_output: 3 kernel_size: 4 stride: 2 {small} }} }}
        layer {{ name: "crop" type: "Crop" bottom: "up" bottom: "x" top: "crop" crop_param {{ axis: 2 offset: 1 }} }}
        layer {{ name: "loss" type: "EuclideanLoss" bottom: "crop" bottom: "x" top: "loss" }}
        layer {{ name: "quiet" type: "Silence" bottom: "label" }}"""
    text = definition(base_lr=0.002, momentum=0.9, test_iter=3, test_interval=2).replace(NET, net)
    solver, other = caffe.SGDSolver(text), load_solver(text)
    other.model.set_caffe_params({name: [b.data for b in blobs] for name, blobs in solver.net.params.items()})
    losses = []
    for _ in range(7):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    np.testing.assert_allclose(losses, other.step(7), rtol=1e-5)
    for name, arrays in other.model.get_caffe_params().items():
        for blob, array in zip(solver.net.params[name], arrays, strict=True):
            np.testing.assert_allclose(blob.data, array, rtol=1e-4, atol=1e-6)
