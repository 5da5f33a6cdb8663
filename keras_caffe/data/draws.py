"""Random numbers that depend on nothing but a seed and on what they are drawn for.

A record's crop and mirror are the same in every run, whichever worker, thread or resumed iterator reads it.
"""

from __future__ import annotations

import numpy as np

_STEP, _MIX1, _MIX2 = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def draws(seed: int, numbers: np.ndarray, count: int) -> np.ndarray:
    """`count` uniform 32-bit numbers for each running record number: SplitMix64 of (seed, number, which).

    Args:
        seed: any integer.
        numbers: (N,) running record numbers.
        count: draws for each.

    Returns:
        (N, count) int64, from 0 to 2^32 - 1.
    """
    with np.errstate(over="ignore"):
        start = _mix(np.uint64(seed % 2**64) + _STEP)
        each = _mix(start ^ (np.asarray(numbers).astype(np.uint64) * _STEP))
        which = np.arange(1, count + 1, dtype=np.uint64) * _STEP
        return (_mix(each[:, None] + which) >> np.uint64(32)).astype(np.int64)


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * _MIX1
    x = (x ^ (x >> np.uint64(27))) * _MIX2
    return x ^ (x >> np.uint64(31))


def generator(seed: int, *what: int) -> np.random.Generator:
    """NumPy's generator for one purpose: a permutation of an epoch, the noise of a batch."""
    return np.random.default_rng([seed % 2**64, *what])
