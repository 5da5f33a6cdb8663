"""What a net says of a picture: as lines to read, JSON, or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_caffe.errors import DataError

if TYPE_CHECKING:
    import numpy as np

Prediction = Mapping[str, Any]
"""score, index, label (if there are names), and of a detector's box left, top, right, bottom in pixels."""

SIDES = ("left", "top", "right", "bottom")


def best(scores: np.ndarray, top: int, labels: Sequence[str] | None) -> Iterator[Prediction]:
    """The greatest scores with their places and names.

    Raises:
        DataError: there are more or fewer labels than scores.
    """
    import numpy as np

    if labels is not None and len(labels) != len(scores):
        raise DataError("the labels do not fit the output", expected=f"{len(scores)} labels", received=len(labels))
    for place in np.argsort(-scores, kind="stable")[:top]:
        name = {} if labels is None else {"label": labels[place]}
        yield {"score": float(scores[place]), "index": int(place), **name}


def boxes(
    rows: np.ndarray, count: int, labels: Sequence[str] | None, place: tuple[float, float, float, float]
) -> Iterator[Prediction]:
    """A detector's first `count` rows (label, score, box); boxes in the picture's pixels.

    `place` is (top, left, height, width) of what the net saw of the picture.
    """
    import numpy as np

    top, left, height, width = place
    for number, score, *box in rows[:count]:
        index = int(number)
        name = {"label": labels[index]} if labels and index < len(labels) and labels[index] else {}
        pixels = np.rint(box * np.array([width, height] * 2) + [left, top] * 2).astype(int)
        yield {"score": float(score), "index": index, **name, **dict(zip(SIDES, map(int, pixels), strict=True))}


def as_lines(found: Sequence[Prediction]) -> Iterator[str]:
    """One line a prediction: `0.3134  281  tabby cat`, of a box `0.9312  7 car  left 120, top 88, ...`."""
    for one in found:
        label = one.get("label", "")
        if "left" in one:
            sides = ", ".join(f"{side} {one[side]}" for side in SIDES)
            yield f"{one['score']:.4f}  {one['index']}{label and f' {label}'}  {sides}"
        else:
            yield f"{one['score']:.4f}  {one['index']}{label and f'  {label}'}"
    if not found:
        yield "nothing found"


def print_lines(predictions: Iterable[tuple[str, list[Prediction]]]) -> None:
    """The picture's name, and its predictions below it."""
    for image, found in predictions:
        print(image)
        for line in as_lines(found):
            print(f"  {line}")


def print_json(predictions: Iterable[tuple[str, list[Prediction]]]) -> None:
    """A list with an object for each picture, once all are done."""
    print(json.dumps([{"image": image, "predictions": found} for image, found in predictions], indent=2))


def print_csv(predictions: Iterable[tuple[str, list[Prediction]]]) -> None:
    """A row for each prediction; those of a picture follow each other."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = ("score", "index", "label", *SIDES)
    writer.writerow(("image", "rank", *columns))
    for image, found in predictions:
        for rank, one in enumerate(found, 1):
            writer.writerow((image, rank, *(one.get(column, "") for column in columns)))


FORMATS = {"lines": print_lines, "json": print_json, "csv": print_csv}
