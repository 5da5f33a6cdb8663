"""The benchmark of exported models: engines take turns, and numbers that differ are not timed."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from scripts.benchmarks import inference


def test_engines_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "PAUSE", 0)
    calls: list[str] = []
    seconds = inference.in_turn({name: lambda name=name: calls.append(name) for name in "ab"}, 3)
    assert calls == ["a", "a", "b", "b"] * 3
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}


def test_other_numbers_are_not_timed() -> None:
    ours = [np.float32([[1, 2], [3, 4]])]
    inference.check("net", {"ours": ours, "other": [ours[0].reshape(4)]})
    with pytest.raises(SystemExit, match="net: other differs"):
        inference.check("net", {"ours": ours, "other": [ours[0] * 1.01]})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_every_engine_runs(tmp_path: Path) -> None:
    for package in ("cv2", "onnxruntime", "openvino", "tf2onnx"):
        pytest.importorskip(package, reason="the engines of the benchmark are not all there")
    args = Namespace(dynamic=False, threads=1)
    calls, transposes = inference.engines("lenet", 2, args, tmp_path)
    assert set(calls) == set(inference.ENGINES) and transposes == 1
    inference.check("lenet", {name: call() for name, call in calls.items()})
