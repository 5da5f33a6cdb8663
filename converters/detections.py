"""What a detector (SSD, YOLO) gives out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_caffe.converters.graph import Net
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import NetError

# Their rows: image, label, score, and the box (left, top, right, bottom) in parts of the picture's sides.
DETECTORS = {"DetectionOutput", "YoloDetectionOutput", "Yolov3DetectionOutput"}


def detects(model: CaffeModel, blob: str) -> bool:
    """Whether a blob holds what a detector found."""
    detections = [value for node in model.net.nodes if node.type in DETECTORS for value in node.outputs]
    return any(model.net.values[value].blob == blob for value in detections)


def raw_outputs(net: Net) -> list[str]:
    """The net's outputs, with what its detectors are given (locations, scores, priors) in place of what they give.

    Raises:
        NetError: it has no detector.
    """
    made_by = {value: net.nodes[net.values[value].producer] for value in net.outputs}
    if not any(node.type in DETECTORS for node in made_by.values()):
        raise NetError("the net gives no detections", expected=f"a layer of type {' or '.join(sorted(DETECTORS))}")
    ends = [end for value, node in made_by.items() for end in (node.inputs if node.type in DETECTORS else (value,))]
    blobs = {end: net.values[end].blob for end in ends if end not in net.inputs}
    return [blob if net.blobs.get(blob) == end else end for end, blob in blobs.items()]


def by_picture(rows: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Of each picture of a batch the rows (label, score, box), the greatest score first."""
    rows = rows.reshape(-1, 7)
    for picture in range(count):
        own = rows[(rows[:, 0] == picture) & (rows[:, 1] >= 0), 1:]
        yield own[np.argsort(-own[:, 1], kind="stable")]
