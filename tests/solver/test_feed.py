"""Feeds are let go of: with their solver, and quickly when the process ends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import samples
from keras_caffe.solver.feed import Feed
from tests.shared_goldens import ROOT

TAIL = """
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "t" top: "loss" }
"""
INPUTS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 } } }
"""
DATA = f"""
layer {{ name: "data" type: "Data" top: "x" top: "t"
  data_param {{ source: "{samples.path("db/mnist_test_lmdb")}" backend: LMDB batch_size: 2 }} }}
"""
BATCH = {"x": np.ones((2, 4), "float32"), "t": np.zeros(2, "float32")}
SOLVER = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 4 train_net_param { %s }'


def endless() -> Iterator[dict[str, np.ndarray]]:
    while True:
        yield BATCH


KINDS: dict[str, Callable[[], Any]] = {
    "list": lambda: [BATCH] * 3,
    "generator": endless,
    "tf.data": lambda: tf.data.Dataset.from_tensors(BATCH),
    "own": lambda: None,
}


def solver_of(kind: str) -> Any:
    net = (DATA if kind == "own" else INPUTS) + TAIL
    return keras_caffe.load_solver(SOLVER % net, train_data=KINDS[kind](), data_format="channels_last")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["step", "fit"])
def test_a_dropped_solver_is_freed_with_its_feed(kind: str, way: str) -> None:
    solver = solver_of(kind)
    solver.fit(verbose=0) if way == "fit" else solver.step(2)
    left = [weakref.ref(x) for x in (solver, solver.model, solver._train)]
    del solver
    gc.collect()
    assert [reference() for reference in left] == [None, None, None]


def test_the_data_of_a_dropped_solver_are_freed() -> None:
    class Batches(list):
        """A list that can be referred to weakly."""

    data = Batches([BATCH])
    solver = keras_caffe.load_solver(SOLVER % (INPUTS + TAIL), train_data=data, data_format="channels_last")
    solver.step(1)
    left = weakref.ref(data)
    del data, solver
    gc.collect()
    assert left() is None


def test_a_dropped_data_set_is_freed_with_its_iterator() -> None:
    data = keras_caffe.dataset(DATA)
    iterator = iter(data)
    next(iterator)
    left = [weakref.ref(x) for x in (data, iterator, data.streams[0], data.streams[0].source)]
    del data, iterator
    gc.collect()
    assert [reference() for reference in left] == [None] * 4


def test_no_feed_has_the_tuner_whose_thread_holds_up_the_end() -> None:
    inputs = {name: tf.TensorSpec(array.shape, array.dtype) for name, array in BATCH.items()}
    for kind in ("list", "generator", "tf.data"):
        feed = Feed(KINDS[kind](), inputs, 1, "train data")
        next(feed.iterator)
        assert feed._open["dataset"].options().autotune.enabled is False
        assert feed.dataset(0).options().autotune.enabled is False
    assert keras_caffe.dataset(DATA).options().autotune.enabled is False


def test_a_data_set_that_asks_for_the_tuner_keeps_it() -> None:
    options = tf.data.Options()
    options.autotune.enabled = True
    inputs = {name: tf.TensorSpec(array.shape, array.dtype) for name, array in BATCH.items()}
    feed = Feed(KINDS["tf.data"]().with_options(options), inputs, 1, "train data")
    next(feed.iterator)
    assert feed._open["dataset"].options().autotune.enabled is True


def test_a_list_begins_anew_and_a_generator_goes_on_after_a_restart() -> None:
    """`seek` reads a list again up to the step; an iterator stays where it is."""
    inputs = {"x": tf.TensorSpec((1,), "float32")}
    numbers = [{"x": np.array([float(i)], "float32")} for i in range(4)]
    for data, expected in ((numbers, [1, 2, 3, 0]), (iter(numbers), [2, 3])):
        feed = Feed(data, inputs, 1, "train data")
        assert [float(next(feed.iterator)[0]["x"][0]) for _ in range(2)] == [0, 1]
        feed.seek(1)
        assert [float(next(feed.iterator)[0]["x"][0]) for _ in expected] == expected


ENDING = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.solver.test_feed import solver_of
kept = [solver_of(kind) for kind in ("list", "generator", "tf.data", "own") * 5]
for solver in kept:
    solver.step(1)
print("done", flush=True)
"""


def test_a_process_that_trained_ends_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    start = time.monotonic()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert time.monotonic() - start < 15  # 2 s on a machine that does nothing else; the tuner held it up for 60
    assert "Exception ignored" not in errors
