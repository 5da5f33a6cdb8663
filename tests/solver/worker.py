"""One process of test_distribute: trains a small net alone, on two replicas, as one of two workers or the only one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

SIZE, STEPS = 4, 6
NET = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: {n} dim: 1 dim: 8 dim: 8 }} }} }}
layer {{ name: "t" type: "Input" top: "t" input_param {{ shape {{ dim: {n} }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "x" top: "conv" param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  convolution_param {{ num_output: 3 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "t" top: "loss" }}
"""
SOLVERS = {
    "sgd": 'type: "SGD" momentum: 0.9 base_lr: 0.1 lr_policy: "inv" gamma: 0.1 power: 0.5 weight_decay: 0.01',
    "clipped": 'type: "Nesterov" momentum: 0.9 base_lr: 0.1 lr_policy: "fixed" clip_gradients: 0.3 iter_size: 2',
    "adam": 'type: "Adam" momentum: 0.9 base_lr: 0.01 delta: 0.0001 lr_policy: "fixed" weight_decay: 0.01',
}


def batches(size: int, first: int = 0, every: int = 1) -> list[dict[str, np.ndarray]]:
    """The records cut into batches; of these every so many, from the first."""
    random = np.random.default_rng(0)
    count = 2 * SIZE * STEPS * 2
    x = random.standard_normal((count, 8, 8, 1)).astype("float32")
    t = random.integers(0, 5, count).astype("float32")
    cut = [{"x": x[i : i + size], "t": t[i : i + size]} for i in range(0, count, size)]
    return cut[first::every]


def main(mode: str, case: str, folder: Path) -> None:
    from keras_caffe.solver import load_solver

    if mode == "mirrored":
        strategy = on_two_devices()
    elif mode.startswith(("worker", "cluster")):
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.get_strategy()
    if case == "keras":
        np.savez(folder / f"{mode}.npz", **train_in_keras(strategy))
        return
    size = SIZE * (2 if mode == "single" else 1)
    data = batches(size, int(mode[-1]), 2) if mode.startswith("worker") else batches(size)
    if case == "clipped" and mode != "single":  # A replica's passes of an iteration follow each other.
        data = in_pairs(batches(SIZE), mode)
    text = SOLVERS[case] + f' snapshot_prefix: "{folder}/{mode}" train_net_param {{ {NET.format(n=size)} }} max_iter: 6'
    with strategy.scope():
        solver = load_solver(text, train_data=data, data_format="channels_last")
        start = {
            name: [np.random.default_rng(1).standard_normal(a.shape) * 0.2 for a in arrays]
            for name, arrays in solver.model.get_caffe_params().items()
        }
        solver.model.set_caffe_params(start)
        losses = solver.step(3)
        solver.fit(verbose=0)
    found = {f"{n}/{i}": a for n, arrays in solver.model.get_caffe_params().items() for i, a in enumerate(arrays)}
    history = {f"history/{i}": a for i, a in enumerate(solver.history.get())}
    np.savez(folder / f"{mode}.npz", losses=losses, **found, **history)


def on_two_devices() -> tf.distribute.Strategy:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def train_in_keras(strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """A plain Keras model with Caffe's loss and optimizer."""
    import keras

    from keras_caffe import losses, optimizers

    random = np.random.default_rng(0)
    x, t = random.standard_normal((8, 6)).astype("float32"), random.integers(0, 3, 8)
    with strategy.scope():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, kernel_initializer="ones")])
        model.compile(optimizers.SGD(0.1), loss=losses.SoftmaxWithLoss())
        history = model.fit(x, t, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return {"loss": np.array(history.history["loss"]), "kernel": model.get_weights()[0]}


def in_pairs(quarters: list, mode: str) -> list:
    """Quarters 0, 1, 2, 3 of an iteration make two passes of (0, 1) and (2, 3); two replicas see 0, 2 and 1, 3."""
    order = [i for start in range(0, len(quarters), 4) for i in (start, start + 2, start + 1, start + 3)]
    if mode.startswith("worker"):
        order = [i for i in order if i % 2 == int(mode[-1])]
    return [quarters[i] for i in order]


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
