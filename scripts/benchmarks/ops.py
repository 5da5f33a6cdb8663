"""Native operations beside their twins and, where there is one, TensorFlow's own operation."""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .report import interleaved, ratio, table

KINDS = ("pool", "lrn", "hinge", "solver", "pixel")
COLUMNS = ("operation", "on", "native ms", "twin ms", "stock ms", "twin / native", "stock / native")
SWITCH = "KERAS_CAFFE_NATIVE"

# (N, H, W, C), kernel, stride, pad: of CaffeNet with batch 32, GoogLeNet with 16, SSD300 with 8
POOLS = {
    "MAX": [
        ("CaffeNet pool1", (32, 55, 55, 96), 3, 2, 0),
        ("CaffeNet pool2", (32, 27, 27, 256), 3, 2, 0),
        ("GoogLeNet pool1", (16, 112, 112, 64), 3, 2, 0),
        ("GoogLeNet 3a pool", (16, 28, 28, 192), 3, 1, 1),
        ("SSD pool1", (8, 300, 300, 64), 2, 2, 0),
        ("SSD pool5", (8, 19, 19, 512), 3, 1, 1),
    ],
    "MAX with mask": [("SegNet pool1", (4, 180, 240, 64), 2, 2, 0)],
    "AVE": [("GoogLeNet loss1", (16, 14, 14, 512), 5, 3, 0), ("cifar10 pool2", (100, 16, 16, 32), 3, 2, 0)],
    "STOCHASTIC": [("cifar10 pool2", (100, 16, 16, 32), 3, 2, 0)],
}
LRNS = [
    ("CaffeNet norm1", (32, 27, 27, 96), 5, "ACROSS_CHANNELS"),
    ("CaffeNet norm2", (32, 13, 13, 256), 5, "ACROSS_CHANNELS"),
    ("GoogLeNet norm1", (16, 56, 56, 64), 5, "ACROSS_CHANNELS"),
    ("GoogLeNet norm2", (16, 56, 56, 192), 5, "ACROSS_CHANNELS"),
    ("cifar10 norm1", (100, 16, 16, 32), 3, "WITHIN_CHANNEL"),
]
HINGES = [("10 classes", (64, 10)), ("1,000 classes", (256, 1000)), ("21,841 classes", (64, 21841))]
METHODS = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
UPDATED = 16_777_216  # values, the weights of CaffeNet's fc7
IMAGES = 64

Call = Callable[[], Any]


class Row(NamedTuple):
    name: str
    where: str
    calls: dict[str, Call]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--runs", type=int, default=15, help="rounds")
    parser.add_argument("--threads", type=int, default=2)


def measure(args: argparse.Namespace) -> Any:
    import tensorflow as tf

    from keras_caffe.ops import native_status

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    status = native_status()
    if not status.loaded:
        raise SystemExit(f"There are no native operations to measure: {status.reason}")
    with native_switch("1"):  # also those that are slower
        rows = [_measured(row, args.runs) for kind in args.kinds for row in ROWS[kind]()]
    return table(f"Native operations, {args.threads} threads, medians of {args.runs} interleaved rounds", COLUMNS, rows)


def _measured(row: Row, runs: int) -> tuple[Any, ...]:
    slowest = max(map(_seconds, row.calls.values()))
    repeats = max(1, math.ceil(0.005 / slowest))
    seconds = interleaved({name: partial(_repeat, call, repeats) for name, call in row.calls.items()}, runs)
    medians = {name: 1e3 * statistics.median(times) / repeats for name, times in seconds.items()}
    times = [medians.get(name, "-") for name in ("native", "twin", "stock")]
    ratios = [ratio(seconds[name], seconds["native"]) if name in seconds else "-" for name in ("twin", "stock")]
    return row.name, row.where, *times, *ratios


def _seconds(call: Call) -> float:
    call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _repeat(call: Call, times: int) -> None:
    for _ in range(times):
        call()


@contextmanager
def native_switch(value: str) -> Iterator[None]:
    """What is traced inside takes native operations, or not."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = value
    yield
    if before is None:
        del os.environ[SWITCH]
    else:
        os.environ[SWITCH] = before


def _random(shape: tuple[int, ...]) -> Any:
    import tensorflow as tf

    return tf.random.stateless_uniform(shape, (1, 2))


def _rows(name: str, where: str, x: Any, functions: dict[str, Callable[[Any], Any]]) -> Iterator[Row]:
    """The functions in graphs: values alone, and with the gradient."""
    import tensorflow as tf

    def first(function: Callable[[Any], Any], x: Any) -> Any:
        y = function(x)
        return y[0] if isinstance(y, tuple) else y

    def with_gradient(function: Callable[[Any], Any], x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = first(function, x)
        return tape.gradient(y, x)

    for suffix, wrap in (("", first), (" + gradient", with_gradient)):
        taken = dict(functions)
        if taken.pop("native, training", None) and name == "Pool MAX" and suffix:
            taken["native"] = functions["native, training"]
        calls = {key: partial(wrap, function) for key, function in taken.items()}
        yield Row(name + suffix, where, {key: partial(tf.function(call), x) for key, call in calls.items()})


def _pools() -> Iterator[Row]:
    import tensorflow as tf

    from keras_caffe.ops import pooling
    from keras_caffe.ops.pool_axis import Axis

    faces = {
        "MAX": (pooling.max_pool, pooling.max_pool_twin),
        "MAX with mask": (pooling.max_pool_with_index, pooling.max_pool_with_index_twin),
        "AVE": (pooling.average_pool, pooling.average_pool_twin),
        "STOCHASTIC": (pooling.stochastic_pool, pooling.stochastic_pool_twin),
    }
    stock = {"MAX": tf.nn.max_pool2d, "AVE": tf.nn.avg_pool2d}
    for kind, cases in POOLS.items():
        for where, shape, kernel, stride, pad in cases:
            axes, x = [Axis(kernel, stride, pad, clip=pad > 0)] * 2, _random(shape)
            out = [axis.output(size) for axis, size in zip(axes, shape[1:3], strict=True)]
            uniform = (_random((shape[0], *out, shape[3])),) if kind == "STOCHASTIC" else ()
            ours, twin = faces[kind]
            functions = {
                "native": lambda x, f=ours, a=axes, u=uniform: f(x, a, *u),
                "native, training": lambda x, a=axes: pooling.max_pool(x, a, training=True),
                "twin": lambda x, f=twin, a=axes, u=uniform: f(x, a, *u),
            }
            if kind in stock:  # nearly the same windows
                functions["stock"] = lambda x, f=stock[kind], k=kernel, s=stride: f(x, k, s, "SAME")
            yield from _rows(f"Pool {kind}", f"{where} {kernel}/{stride}", x, functions)


def _lrns() -> Iterator[Row]:
    import tensorflow as tf

    from keras_caffe.ops.lrn import lrn, lrn_twin

    for where, shape, size, region in LRNS:
        functions = {
            "native": lambda x, n=size, r=region: lrn(x, n, 1e-4, 0.75, 1.0, r),
            "twin": lambda x, n=size, r=region: lrn_twin(x, n, 1e-4, 0.75, 1.0, r),
        }
        if region == "ACROSS_CHANNELS":
            functions["stock"] = lambda x, n=size: tf.nn.lrn(x, n // 2, 1.0, 1e-4 / n, 0.75)
        yield from _rows(f"Lrn {region.split('_')[0].lower()}", where, _random(shape), functions)


def _hinges() -> Iterator[Row]:
    import tensorflow as tf

    from keras_caffe.ops.losses import hinge_loss, hinge_loss_twin

    for where, shape in HINGES:
        labels = tf.range(shape[0]) % shape[1]
        for norm in ("L1", "L2"):
            functions = {
                "native": lambda x, t=labels, n=norm: hinge_loss(x, t, n),
                "twin": lambda x, t=labels, n=norm: hinge_loss_twin(x, t, n),
            }
            yield from _rows(f"HingeLoss {norm}", where, _random(shape), functions)


def _solvers() -> Iterator[Row]:
    """Without weight decay and with it; "stock" is NumPy's a += b, for the bandwidth."""
    a, b = np.ones(UPDATED, "float32"), np.ones(UPDATED, "float32")
    for method in METHODS:
        for decay in (0.0, 0.0005):
            calls = {name: _updated(method, decay, value) for name, value in (("native", "1"), ("twin", "0"))}
            name = f"SolverUpdate {method}{' with decay' if decay else ''}"
            yield Row(name, f"{UPDATED:,} values (stock: a += b)", {**calls, "stock": partial(np.add, a, b, out=a)})


def _updated(method: str, decay: float, switch: str) -> Call:
    import keras
    import tensorflow as tf

    from keras_caffe import optimizers

    variable, gradient = keras.Variable(np.ones(UPDATED, "float32")), tf.fill((UPDATED,), 1e-3)
    optimizer = getattr(optimizers, method)(0.01, weight_decay=decay)
    optimizer.build([variable])
    with native_switch(switch):
        return tf.function(lambda: optimizer.apply([gradient], [variable])).get_concrete_function()


def _pixels() -> Iterator[Row]:
    """What is done with JPEGs once they are decoded."""
    import tensorflow as tf

    from keras_caffe.ops.pixel_batch import pixel_batch, pixel_batch_twin

    random = np.random.default_rng(0)
    images = [tf.constant(random.integers(0, 256, (231, 240, 3), np.uint8)) for _ in range(IMAGES)]
    windows = tf.constant([[number % 2, 2, 7] for number in range(IMAGES)])
    mean, size = np.array([104.0, 117.0, 123.0], np.float32), (3, 227, 227)
    for data_format in ("channels_first", "channels_last"):
        how = {"size": size, "scale": 0.0078125, "data_format": data_format}
        calls = {"native": partial(pixel_batch, images, windows, mean, **how)}
        calls["twin"] = partial(pixel_batch_twin, images, windows, mean, **how)
        yield Row("PixelBatch", f"{IMAGES} images, {data_format}", {n: tf.function(c) for n, c in calls.items()})


ROWS = {"pool": _pools, "lrn": _lrns, "hinge": _hinges, "solver": _solvers, "pixel": _pixels}
