"""Every registered layer type against real Caffe's arrays: tops, gradients and changed blobs, in both data formats,
eagerly and in a graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import CaffeWarning
from tests.layers.golden_case import KINDS, Golden, Run, assert_close, cases

Step = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]]
OPTIMIZED = "7"  # A case's name ends in its number.


def has_images(case: Golden) -> bool:
    """Whether a blob has more than three axes; without one, the model is the same in both data formats."""
    return any(array.ndim > 3 for key in ("bottom", "top") for array in case.group(key).values())


def rows() -> Iterator[Any]:
    """Every case in every data format that makes a difference to it."""
    for case in (case for kind in KINDS for case in cases(kind) if case.compares):
        for data_format in ("channels_last", "channels_first") if has_images(case) else ("channels_last",):
            yield pytest.param(case, data_format, id=f"{case}-{data_format}")


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    """Cases may name files in the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def grappler(request) -> Iterator[None]:
    """TensorFlow's graph optimizer, which costs more than it saves here, works on every tenth case only."""
    old = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    case = request.node.callspec.params["case"]
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not case.name.endswith(OPTIMIZED)})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": old})


@pytest.mark.usefixtures("grappler")
@pytest.mark.parametrize(("case", "data_format"), list(rows()))
def test_matches_caffe(case: Golden, data_format: str, tmp_path: Path) -> None:
    for key, content in case.arrays.items():
        if key.startswith("file/"):
            (tmp_path / key[len("file/") :]).write_bytes(content.tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)  # Some cases are unusual on purpose.
        run = Run(case, data_format)
    with operation_by_operation():
        check(run, run.step, "eager")
    if run.tops is not None:
        run.begin()
        check(run, compiled(run), "graph")


@contextmanager
def operation_by_operation() -> Iterator[None]:
    """Nothing is compiled inside, not even what `keras_caffe.ops.compiled` would run as a graph."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def compiled(run: Run) -> Step:
    """The case's step in a graph that knows of the inputs what the model declares: their first axes are mostly open."""
    specs = {tensor.name: tf.TensorSpec(tensor.shape, "float32") for tensor in run.tops.inputs}
    return tf.function(run.step, input_signature=[specs], autograph=False)


def check(run: Run, step: Step, mode: str) -> None:
    """Runs the case's passes and compares all that the golden has."""
    case = run.case
    tops, diffs = run.outcome(*step(run.fed(case.group("bottom"))))
    for i, want in case.group("top").items():
        assert_close(case, tops[i], want, f"{mode}: top {i}")
    for key in ("bottom_diff", "param_diff"):
        for i, want in case.group(key).items():
            got = diffs.get(f"{key}/{i}")
            assert_close(case, np.zeros_like(want) if got is None else got, want, f"{mode}: {key} {i}", gradient=True)
    check_blobs(run, "param_after", mode)
    if case.group("bottom_step2"):
        tops, _ = run.outcome(*step(run.fed(case.group("bottom_step2"))))
        for i, want in case.group("top_step2").items():
            assert_close(case, tops[i], want, f"{mode}: second top {i}")
        check_blobs(run, "param_after_step2", mode)


def check_blobs(run: Run, key: str, mode: str) -> None:
    """Compares the blobs that a pass changes."""
    params = run.model.get_caffe_params()
    for i, want in run.case.group(key).items():
        layer, index = run.slots[i]
        assert_close(run.case, params[layer][index], want, f"{mode}: {key} {i}", gradient=True)
