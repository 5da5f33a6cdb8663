"""How long engines take: in turn, and hardly disturbed by what else the machine does."""

from __future__ import annotations

import pytest

from keras_caffe.engines import timing


def test_calls_take_turns_and_slow_rounds_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now, made = [0.0], list[str]()
    costs = {"a": [9.0, 1.0, 1.0, 9.0], "b": [2.0, 2.0, 2.0, 2.0]}

    def call(name: str) -> None:
        made.append(name)
        now[0] += costs[name][(made.count(name) - 1) // 2]  # two calls a round, of which the second counts

    monkeypatch.setattr(timing, "ROUNDS", range(4, 4))
    monkeypatch.setattr(timing, "PAUSE", 0)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    assert timing.milliseconds({"a": lambda: call("a"), "b": lambda: call("b")}) == {"a": 1000.0, "b": 2000.0}
    assert made == ["a", "a", "b", "b"] * 4
