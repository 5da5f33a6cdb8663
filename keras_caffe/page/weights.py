"""What a layer's weights hold: pictures, histograms, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_caffe.converters.infer import Plan
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.weights import MatchedBlobs
from keras_caffe.page.pictures import filter_maps, png, tiled
from keras_caffe.shapes import ceil_div

BARS = 40
SAMPLES = 100_000  # of a histogram
PICTURES = 96  # filters that are shown
SIDE = 512  # pixels of a matrix's picture
FILTER = 48  # pixels of a filter beyond which it is thinned out

Values = Callable[[int, int], np.ndarray | None]
"""(node index, blob index) -> the blob in Caffe's order; None if nothing is known of it"""


def of_model(model: CaffeModel) -> Values:
    """The values of a loaded model."""
    return lambda node, blob: model.plan.bound_blobs(node)[blob].get()


def of_files(matched: MatchedBlobs) -> Values:
    """The values that weight files have; nothing is built."""

    def values(node: int, blob: int) -> np.ndarray | None:
        stored = matched.get(node, {}).get(blob)
        return None if stored is None else stored.copy()

    return values


def seen(plan: Plan, node: int, values: Values) -> list[dict[str, Any]]:
    """What is to be seen of each blob of a node; {} where its values are not known or are another layer's."""
    found = []
    for number, blob in enumerate(plan.blobs(node)):
        array = None if (node, number) in plan.owners else values(node, number)
        found.append({} if array is None else {**statistics(array), **_pictures(blob.name, array)})
    return found


def statistics(array: np.ndarray) -> dict[str, Any]:
    """Range, mean, deviation, share of zeros, numbers of NaN and infinities, and a histogram of the finite values.

    The histogram of a large array is one of evenly spread samples.
    """
    whole = bool(array.size) and bool(np.isfinite(array.min()) and np.isfinite(array.max()))  # as nearly all are
    nan, infinite = (0, 0) if whole else (int(np.isnan(array).sum()), int(np.isinf(array).sum()))
    found = {"count": array.size, "nan": nan, "infinite": infinite}
    finite = array.ravel() if whole else array[np.isfinite(array)]
    if not finite.size:
        return found
    low, high = _short(finite.min()), _short(finite.max())
    sample = finite[:: max(1, finite.size // SAMPLES)].astype("float64")
    return found | {
        "zeros": round(1 - np.count_nonzero(array) / array.size, 4),
        "min": low,
        "max": high,
        "mean": _short(finite.mean(dtype="float64")),
        "std": _short(finite.std(dtype="float64")) if finite.size <= SAMPLES else _short(sample.std()),
        "histogram": _heights(sample, low, high) if low < high else _heights(sample, low - 0.5, low + 0.5),
    }


def _heights(sample: np.ndarray, low: float, high: float) -> list[int]:
    """The counts of `BARS` equal bins, five times as fast as `np.histogram`, which allows for bins of any width."""
    places = ((sample - low) * (BARS / (high - low))).astype(np.intp)
    return np.bincount(places.clip(0, BARS - 1), minlength=BARS).tolist()


def dead(array: np.ndarray) -> list[int]:
    """The filters of a weight blob in which every value is zero."""
    return [] if array.ndim < 2 else np.flatnonzero(~array.reshape(len(array), -1).any(1)).tolist()


def _pictures(name: str, array: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if array.ndim > 1 and array.size:
        if none := dead(array):
            found["dead"] = none
        if array.ndim == 2:
            steps = [ceil_div(size, SIDE // 2) for size in array.shape]
            picture = tiled(array[None, :: steps[0], :: steps[1]])
        else:
            maps = filter_maps(array)[:PICTURES]
            step = max(1, ceil_div(max(maps.shape[1:3]), FILTER))
            picture = tiled(maps[:, ::step, ::step], per_map=False, columns=12)
            found["colours"] = maps.ndim == 4
        found["picture"], found["size"] = png(picture), list(picture.shape[1::-1])
    return found


def _short(number: Any) -> float:
    return float(f"{float(number):.5g}")


def problems(blobs: Sequence[str], looks: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with a layer's values, in words."""
    found = []
    for blob, look in zip(blobs, looks, strict=True):
        if look.get("nan") or look.get("infinite"):
            counts = [f"{look[key]:,} {word}" for key, word in (("nan", "NaN"), ("infinite", "infinite")) if look[key]]
            found.append(f"{blob} holds {' and '.join(counts)} of {look['count']:,} values")
        elif look.get("zeros") == 1 and look["count"] > 1 and blob not in ("bias", "mean", "beta"):
            found.append(f"{blob} is zero throughout")
        elif look.get("dead"):
            found.append(f"{len(look['dead'])} filters of {blob} are zero: {_some(look['dead'])}")
    return found


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
