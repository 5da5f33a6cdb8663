"""Whether all doors give the same blobs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.random_nets import doors
from tests.random_nets.feeds import Arrays, Fed
from tests.random_nets.net import RandomNet

ROUNDING = 1e-5  # of a blob's largest value: sums of float32 in another order
TIMES_OFF = 8  # or so many times what float32 is off from float64 in that blob, as where almost nothing is divided by
MESSAGE = 600  # characters of an error that are shown; TensorFlow's hold whole arrays
TINY = 1e-30  # TensorFlow takes smaller numbers for 0, but not everywhere


@dataclass
class Report:
    """What came of one net.

    Args:
        failures: one line for each door that failed or differs.
        seconds: {door: the time that it took}.
    """

    failures: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, door: str, kind: str) -> Iterator[None]:
        """An error is a failure, too."""
        start = time.perf_counter()
        try:
            yield
        except Exception as error:  # Whatever a door raises is what this looks for.
            self.failures.append(f"{door}: {type(error).__name__}: {str(error)[:MESSAGE]}")
        self.seconds[kind] = self.seconds.get(kind, 0) + time.perf_counter() - start


@dataclass
class Comparison:
    """The blobs that the first door gave, eager calls channels first, to which all others are compared."""

    fed: Fed
    report: Report = field(default_factory=Report)
    wanted: dict[int, Arrays] = field(default_factory=dict)

    def compare(self, door: str, batch: int, found: Arrays) -> None:
        """Adds the first blob that differs, if one does, to the report."""
        wanted = self.wanted.setdefault(batch, found)
        blobs = [name for name in wanted if name in found]
        wrong = next((name for name in blobs if difference(found[name], wanted[name])), None)
        if wrong is not None:  # Rare, so what costs time is looked at only now.
            off = _off(self.fed, batch, wanted)
            wrong = next((n for n in blobs if difference(found[n], wanted[n], TIMES_OFF * off.get(n, 0))), None)
        if wrong is not None or not blobs:
            what = (
                f"blob {wrong!r}: {difference(found[wrong], wanted[wrong])}" if wrong else f"no blob of {list(wanted)}"
            )
            self.report.failures.append(f"{door}, batch {batch}: {what}")


def check(net: RandomNet, folder: Path | None = None) -> Report:
    """Computes a net through all doors; through files, too, if there is a folder for them."""
    comparison = Comparison(fed := Fed.of(net))
    report = comparison.report
    for data_format in doors.FORMATS:
        for batches in fed.groups:
            with report.timed(f"load {data_format}", "load"):
                model = doors.load(fed, data_format, batches[0])
            for kind, door in doors.doors(net, folder).items():
                name = f"{kind} {data_format}"
                with report.timed(name, kind):
                    doors.reset(model)
                    results = door(model, [fed.batches[batch] for batch in batches])
                    for batch, blobs in zip(batches, results, strict=True):
                        comparison.compare(name, batch, blobs)
    with report.timed("pycaffe", "pycaffe"):
        for batch, blobs in enumerate(doors.pycaffe_net(fed)):
            comparison.compare("pycaffe", batch, blobs)
    return report


def difference(found: np.ndarray, wanted: np.ndarray, allowed: float = 0.0) -> str:
    """How two blobs differ, by more than rounding or what is allowed; "" if they do not."""
    if found.shape != wanted.shape:
        return f"shape {found.shape} instead of {wanted.shape}"
    known = np.isfinite(wanted)
    largest = np.abs(wanted[known]).max(initial=0)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(found - wanted) <= max(ROUNDING * largest, allowed, TINY))
    wrong = np.where(known, wrong, ~((found == wanted) | (np.isnan(found) & np.isnan(wanted))))
    if not wrong.any():
        return ""
    place = tuple(int(index) for index in np.argwhere(wrong)[0])
    values = f"{found[place]!r} instead of {wanted[place]!r} at {place}"
    return f"{wrong.sum()} of {wrong.size} values, {values}; largest {largest:.3g}"


def _off(fed: Fed, batch: int, wanted: Arrays) -> dict[str, float]:
    """{blob: how far float32 is off from float64}, where both are finite."""
    model = doors.load(fed, doors.FORMATS[0], batch, dtype="float64")
    (exact,) = doors.eager(model, [fed.batches[batch]])
    with np.errstate(invalid="ignore"):
        offs = {name: np.abs(exact[name] - wanted[name]) for name in wanted if exact[name].shape == wanted[name].shape}
    return {name: float(off[np.isfinite(off)].max(initial=0)) for name, off in offs.items()}
