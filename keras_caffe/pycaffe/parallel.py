"""What pycaffe has for several GPUs, where one process has one solver here, and its timer."""

from __future__ import annotations

from time import perf_counter

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
    """Accepts False.

    Raises:
        CaffeError: True.
    """
    if multiprocess:
        raise CaffeError("solvers of several processes do not work together", fix=CURE)


class NCCL:
    """Refuses to be made.

    Raises:
        CaffeError: always.
    """

    def __init__(self, *_: object) -> None:
        raise CaffeError("there is no NCCL here", fix=CURE)

    @staticmethod
    def new_uid() -> str:
        """Refuses too."""
        raise CaffeError("there is no NCCL here", fix=CURE)


class Timer:
    """A stop watch: `start()`, `stop()`, and then `ms`."""

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
