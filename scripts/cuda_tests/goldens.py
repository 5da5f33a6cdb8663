"""The arrays that real Caffe computed (tests/goldens/layers), run through the CUDA kernels in both layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .library import Library, LrnShape
from .reference import Windows

GOLDENS = Path(__file__).resolve().parents[2] / "tests" / "goldens" / "layers"
FORWARD, GRADIENT = (1e-5, 1e-6), (1e-4, 1e-5)  # relative and absolute tolerances


@dataclass
class Case:
    """One golden; `fields` are the layer's parameters as text."""

    name: str
    arrays: dict[str, np.ndarray]

    @property
    def fields(self) -> dict[str, str]:
        layer = str(self.arrays["prototxt"]).partition('name: "layer"')[2]
        return dict(re.findall(r"(\w+): (\S+)", layer))

    def close(self, got: np.ndarray, key: str, tolerance: tuple[float, float]) -> None:
        want = self.arrays[key]
        finite = want[np.isfinite(want)]
        scale = max(1.0, float(np.abs(finite).max())) if finite.size else 1.0
        np.testing.assert_allclose(got, want, tolerance[0], tolerance[1] * scale, err_msg=f"{self.name} {key}")


def cases(kind: str) -> Iterator[Case]:
    with np.load(GOLDENS / f"{kind}.npz") as file:
        grouped: dict[str, dict[str, np.ndarray]] = {}
        for key in file.files:
            name, _, rest = key.partition("/")
            grouped.setdefault(name, {})[rest] = file[key]
    for name, arrays in grouped.items():
        yield Case(f"{kind} {name} ({arrays['note']})", arrays)


def to_layout(array: np.ndarray, last: bool) -> np.ndarray:
    return np.moveaxis(array, 1, -1) if last else array


def from_layout(array: np.ndarray, last: bool) -> np.ndarray:
    return np.moveaxis(array, -1, 1) if last else array


def pooling(library: Library) -> int:
    """How many cases were compared."""
    found = [*cases("Pooling"), *cases("Pooling_stochastic_derived")]
    for case in found:
        for last in (False, True):
            _pool(library, case, last)
    return 2 * len(found)


def windows(case: Case) -> Windows:
    fields = case.fields
    if fields.get("global_pooling") == "true":
        height, width = case.arrays["bottom/0"].shape[2:]
        return Windows((height, width), (1, 1))

    def pair(name: str, both: str, default: str) -> tuple[int, int]:
        sizes = [int(fields.get(f"{name}_{axis}", fields.get(both, default))) for axis in "hw"]
        return sizes[0], sizes[1]

    return Windows(pair("kernel", "kernel_size", "0"), pair("stride", "stride", "1"), pair("pad", "pad", "0"))


def _pool(library: Library, case: Case, last: bool) -> None:
    x, kind = to_layout(case.arrays["bottom/0"], last), case.fields.get("pool", "MAX")
    bottom, top = case.arrays["bottom/0"].shape, case.arrays["top/0"].shape
    shape = windows(case).shape(bottom, top[2:], last)
    dy = to_layout(case.arrays["top_diff/0"], last) if "top_diff/0" in case.arrays else None
    if kind == "STOCHASTIC":
        y, dx = library.stochastic_mean_pool(shape, x), None
    elif kind == "AVE":
        y = library.average_pool(shape, x)
        dx = None if dy is None else library.average_pool_grad(shape, dy, x.shape)
    else:
        y, mask = library.max_pool(shape, x)
        np.testing.assert_array_equal(library.max_pool_alone(shape, x), y)
        if "top/1" in case.arrays:
            case.close(from_layout(mask, last), "top/1", (0, 0))
        dx = None if dy is None else library.mask_pool_grad(shape, dy, mask, x.shape)
    exact = kind == "MAX"
    case.close(from_layout(y, last), "top/0", (0, 0) if exact else FORWARD)
    for key in {"bottom_diff/0", "bottom_diff_kink/0"} & set(case.arrays):
        case.close(from_layout(dx, last), key, (0, 0) if exact else GRADIENT)


def lrn(library: Library) -> int:
    count = 0
    for case in cases("LRN"):
        fields = case.fields
        within = fields.get("norm_region") == "WITHIN_CHANNEL"
        numbers = [float(fields.get(name, default)) for name, default in (("alpha", 1), ("beta", 0.75), ("k", 1))]
        for last in (False, True):
            shape = LrnShape(*case.arrays["bottom/0"].shape, int(fields.get("local_size", 5)), *numbers, within, last)
            x, dy = (to_layout(case.arrays[key], last) for key in ("bottom/0", "top_diff/0"))
            case.close(from_layout(library.lrn(shape, x), last), "top/0", GRADIENT if within else FORWARD)
            case.close(from_layout(library.lrn_grad(shape, x, dy), last), "bottom_diff/0", GRADIENT)
            count += 1
    return count


def hinge(library: Library) -> int:
    count = 0
    for case in cases("HingeLoss"):
        bottom = case.arrays["bottom/0"]
        scores, labels = bottom.reshape(len(bottom), -1), case.arrays["bottom/1"].reshape(-1)[: len(bottom)]
        loss, gradient = library.hinge_loss(scores, labels, case.fields.get("norm") == "L2")
        case.close(loss, "top/0", FORWARD)
        case.close(gradient.reshape(bottom.shape) * case.arrays["top_diff/0"], "bottom_diff/0", GRADIENT)
        count += 1
    return count


CHECKS: dict[str, Any] = {"pooling": pooling, "LRN": lrn, "hinge loss": hinge}
