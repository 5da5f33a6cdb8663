"""Random cases that can be run again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def generators(seed: int, count: int) -> Iterator[np.random.Generator]:
    """A generator for each case. pytest shows what a failing test printed: the last line is the case that failed."""
    for case in range(count):
        print(f"np.random.default_rng([{seed}, {case}])")
        yield np.random.default_rng([seed, case])
