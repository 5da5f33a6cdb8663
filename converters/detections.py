"""What a detector (SSD, YOLO) gives out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_caffe.converters.model import CaffeModel

# Their rows: image, label, score, and the box (left, top, right, bottom) in parts of the picture's sides.
DETECTORS = {"DetectionOutput", "YoloDetectionOutput", "Yolov3DetectionOutput"}


def detects(model: CaffeModel, blob: str) -> bool:
    """Whether a blob holds what a detector found."""
    detections = [value for node in model.net.nodes if node.type in DETECTORS for value in node.outputs]
    return any(model.net.values[value].blob == blob for value in detections)


def by_picture(rows: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Of each picture of a batch the rows (label, score, box), the greatest score first."""
    rows = rows.reshape(-1, 7)
    for picture in range(count):
        own = rows[(rows[:, 0] == picture) & (rows[:, 1] >= 0), 1:]
        yield own[np.argsort(-own[:, 1], kind="stable")]
