"""How long engines take, one call after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

SECONDS = 0.4
"""For each engine, about"""
ROUNDS = range(3, 50)
PAUSE = 0.01  # seconds in which the threads of the engine before, which wait for more work for a while, come to rest


def milliseconds(calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """{name: ms of a call}, in turn, so that what else the machine does meets all of them.

    It is the lower quartile, which other work disturbs less than the median: on a busy machine medians took an engine
    that needs a tenth more processor time than the fastest.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + SECONDS * len(calls)
    for round in range(ROUNDS.stop):
        if round >= ROUNDS.start and time.perf_counter() > end:
            break
        for name, call in calls.items():
            time.sleep(PAUSE)
            call()
            begin = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - begin)
    return {name: 1e3 * sorted(seconds)[len(seconds) // 4] for name, seconds in taken.items()}
