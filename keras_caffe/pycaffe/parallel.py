"""What pycaffe has for several GPUs, where one process has one solver here, and its timer."""

from __future__ import annotations

from time import perf_counter
from typing import Any
from uuid import uuid4

from keras_caffe.errors import CaffeError

CURE = (
    "Use keras_caffe.load_solver in the scope of a tf.distribute strategy: it trains on all GPUs that TensorFlow sees."
)


def set_solver_count(count: int) -> None:
    """Accepts 1, the number of solvers of a process.

    Raises:
        CaffeError: another number.
    """
    if count != 1:
        raise CaffeError("there is one solver in a process", received=f"set_solver_count({count})", fix=CURE)


def set_solver_rank(rank: int) -> None:
    """Accepts 0, the rank of the only solver.

    Raises:
        CaffeError: another rank.
    """
    if rank != 0:
        raise CaffeError("there is one solver in a process", received=f"set_solver_rank({rank})", fix=CURE)


def set_multiprocess(multiprocess: bool) -> None:
    """Does nothing: the only solver may be in a process of its own."""


class NCCL:
    """Lets the only solver work together with itself, which scripts for several GPUs do where they get one.

    Args:
        solver: the solver.
        uid: from `new_uid`.
    """

    def __init__(self, solver: Any, uid: str) -> None:
        self.solver: Any = solver
        self.uid: str = uid

    @staticmethod
    def new_uid() -> str:
        """The name of a group of solvers."""
        return uuid4().hex

    def bcast(self) -> None:
        """Does nothing: there is no other solver to give the parameters to."""

    def __call__(self, *_: object) -> None:
        """Does nothing: as a callback, it would sum the diffs of all solvers."""


class Timer:
    """A stopwatch: `start()`, `stop()`, then `ms`."""

    def __init__(self) -> None:
        self._start = self._stop = 0.0

    def start(self) -> None:
        self._start = perf_counter()

    def stop(self) -> None:
        self._stop = perf_counter()

    @property
    def ms(self) -> float:
        """Milliseconds from `start` to `stop`."""
        return 1e3 * (self._stop - self._start)
