"""The data benchmark runs and gives a rate for every row."""

from __future__ import annotations

import argparse

import pytest

from scripts.benchmarks import data


@pytest.mark.parametrize(("encoded", "rows"), [(False, 8), (True, 7)])
def test_reading_databases_is_measured(encoded: bool, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "AHEAD", 1)
    monkeypatch.setattr(data, "REST", 0)
    made = data.measure(argparse.Namespace(records=16, batches=1, runs=1, encoded=encoded))
    assert made.row_count == rows
    assert all(float(rate) > 0 for rate in made.columns[1].cells)
