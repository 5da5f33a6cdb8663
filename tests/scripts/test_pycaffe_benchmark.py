"""The benchmark of pycaffe runs and gives a row for each thing that must cost nothing."""

from __future__ import annotations

from argparse import Namespace

import pytest
import tensorflow as tf

from scripts.benchmarks import pycaffe


def test_it_has_a_row_for_each_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", lambda count: None)  # it is too late
    table = pycaffe.measure(Namespace(net="lenet", runs=1, threads=1))
    columns = {column.header: list(column.cells) for column in table.columns}
    assert columns["at most"] == ["1.3", "1.1", "1.5", "-"]
    assert all(float(value) > 0 for value in columns["ratio"])
