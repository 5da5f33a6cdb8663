"""Training beside the same nets in plain Keras, and the update alone beside NumPy's addition."""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from . import plain
from .ops import native_switch
from .report import interleaved, ratio, table

COLUMNS = ("net", "batch", "ours ms", "without native ms", "plain Keras ms", "ours / plain", "without / ours")
BATCHES = {"lenet": 64, "cifar10_full": 100, "caffenet": 32, "googlenet": 16, "resnet50": 16}
USUAL = ("lenet", "cifar10_full", "caffenet", "googlenet")
SOLVER = 'type: "SGD" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nets", nargs="+", default=USUAL, metavar="NET", choices=[*BATCHES, "update"])
    parser.add_argument("--batch", type=int, help="of all nets (default: one for each)")
    parser.add_argument("--runs", type=int, default=10, help="rounds; some iterations of each side a round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--policy", metavar="NAME", help="of both sides, such as mixed_bfloat16 (default: float32)")


def measure(args: argparse.Namespace) -> Any:
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    if args.policy:
        keras.config.set_dtype_policy(args.policy)
    rows: list[tuple[Any, ...]] = []
    for name in args.nets:
        rows += _update(args.runs) if name == "update" else _net(name, args.batch or BATCHES[name], args.runs)
    columns = UPDATE_COLUMNS if tuple(args.nets) == ("update",) else COLUMNS
    policy = f" in {args.policy}" if args.policy else ""
    return table(f"Training{policy}, {args.threads} threads, medians of {args.runs} interleaved rounds", columns, rows)


def _net(name: str, batch: int, runs: int) -> Iterator[tuple[Any, ...]]:
    from keras_caffe.proto.text import to_text

    from . import nets

    net = with_loss(nets.NETS[name](batch), batch)
    with TemporaryDirectory() as folder:
        (Path(folder) / "net.prototxt").write_text(to_text(net))
        calls = {key: _ours(Path(folder), batch) for key in ("ours", "without")} | {"plain": _plain(net, batch)}
        for key, call in calls.items():
            with native_switch("0" if key == "without" else "auto"):
                call()  # traces the step
        repeats = max(1, math.ceil(0.3 / min(map(_seconds, calls.values()))))
        seconds = interleaved({n: _repeated(call, repeats) for n, call in calls.items()}, runs)
    medians = {key: 1e3 * statistics.median(times) / repeats for key, times in seconds.items()}
    ratios = ratio(seconds["ours"], seconds["plain"]), ratio(seconds["without"], seconds["ours"])
    yield name, str(batch), *medians.values(), *ratios


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _repeated(call: Callable[[], Any], times: int) -> Callable[[], None]:
    return lambda: [call() for _ in range(times)] and None


def with_loss(net: Any, batch: int) -> Any:
    """The net with labels and a loss in place of its softmax."""
    softmax = net.layer[-1]
    net.layer.add(name="label", type="Input", top=["label"], input_param={"shape": [{"dim": [batch]}]})
    net.layer.add(name="loss", type="SoftmaxWithLoss", bottom=[softmax.bottom[0], "label"], top=["loss"])
    del net.layer[len(net.layer) - 3]
    for layer in net.layer:
        if layer.type == "BatchNorm":
            layer.ClearField("batch_norm_param")  # statistics of the batch, which training takes
    return net


def _data(shape: tuple[int, ...], classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.standard_normal(shape, "float32"), random.integers(0, classes, shape[0]).astype("float32")


def _ours(folder: Path, batch: int) -> Callable[[], Any]:
    import tensorflow as tf

    from keras_caffe.solver import load_solver

    net = folder / "net.prototxt"
    first = load_solver(f'net: "{net}" {SOLVER}', train_data=[{}], data_format="channels_last")
    x, y = _data((batch, *first.model.input["data"].shape[1:]), classes_of(first.model.net.message))
    data = tf.data.Dataset.from_tensors({"data": x, "label": y})
    solver = load_solver(f'net: "{net}" {SOLVER}', train_data=data, data_format="channels_last")
    return lambda: solver.step(1)


def classes_of(net: Any) -> int:
    return next(layer.inner_product_param.num_output for layer in reversed(net.layer) if layer.type == "InnerProduct")


def _plain(net: Any, batch: int) -> Callable[[], Any]:
    """Without XLA, which is slower on CPUs."""
    import tensorflow as tf

    model = plain.model(net)
    model.compile(plain.sgd(), loss=plain.loss(), jit_compile=False)
    data = tf.data.Dataset.from_tensors(_data((batch, *model.input_shape[1:]), classes_of(net))).repeat()
    model.make_train_function()
    iterator = iter(data)
    return lambda: float(model.train_function(iterator)["loss"])


def _update_function(optimizer: Any, gradients: list[Any], variables: list[Any]) -> Callable[[], Any]:
    import tensorflow as tf

    return tf.function(lambda: optimizer.apply(gradients, variables))


UPDATE_COLUMNS = ("update", "parameters", "ours ms", "NumPy add ms", "share of its bandwidth")
SIZES = (37_748_736, 16_777_216, 4_096_000, 884_736, 663_552, 442_368, 307_200, 34_848)  # the weights of CaffeNet
STREAMS = {"update": 5, "add": 3}  # arrays read and written: w, v, g, w, v; a, b, c


def _update(runs: int) -> Iterator[tuple[Any, ...]]:
    """SGD with momentum on arrays of CaffeNet's sizes."""
    import keras
    import tensorflow as tf

    from keras_caffe import optimizers

    for decay in (0.0, 0.0005):
        variables = [keras.Variable(np.ones(size), dtype="float32") for size in SIZES]
        gradients = [tf.fill((size,), 1e-3) for size in SIZES]
        optimizer = optimizers.SGD(0.01, momentum=0.9, weight_decay=decay)
        optimizer.build(variables)
        step = _update_function(optimizer, gradients, variables)
        arrays = [tuple(np.ones(size, "float32") for _ in range(3)) for size in SIZES]
        add = lambda arrays=arrays: [np.add(a, b, out=c) for a, b, c in arrays]  # noqa: E731
        seconds = interleaved({"update": step, "add": add}, runs)
        medians = [1e3 * statistics.median(times) for times in seconds.values()]
        share = STREAMS["update"] / STREAMS["add"] / ratio(seconds["update"], seconds["add"])
        yield f"momentum{', decay' if decay else ''}", f"{sum(SIZES):,}", *medians, share
