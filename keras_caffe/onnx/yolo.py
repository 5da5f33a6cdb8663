"""Detections of the YOLO ports: one list for all classes and images of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.detection import cells, chosen_or_nothing, suppressed
from keras_caffe.onnx.graph import Operand, Tensor
from keras_caffe.onnx.losses import number
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Site


@writes(layers.Yolov3DetectionOutput, precise=True)
def yolov3_detection_output(site: Site, *maps: Tensor) -> Tensor:
    layer, boxes, scores = site.layer, [], []
    for index, (sizes, scale) in enumerate(zip(layer.anchors, layer.scales, strict=True)):
        box, there, classes = _parts(site, index, len(sizes), 8 if layer.gaussian_box else 4)
        there = site.op("Sigmoid", there)
        if layer.gaussian_box:
            there = site.op("Mul", there, _certainty(site, site.op("Gather", box, [1, 3, 5, 7], axis=4)))
            box = site.op("Gather", box, [0, 2, 4, 6], axis=4)
        boxes.append(_corners(site, index, box, sizes, scale))
        scores.append(_flat(site, site.op("Mul", site.op("Sigmoid", classes), there)))
    score = _joined(site, scores)
    return _rows(site, _joined(site, boxes), score, site.op("Greater", score, float(layer.confidence_threshold)))


@writes(layers.YoloDetectionOutput, precise=True)
def yolo_detection_output(site: Site, *maps: Tensor) -> Tensor:
    layer, boxes, scores = site.layer, [], []
    for index in range(len(maps)):
        box, there, classes = _parts(site, index, len(layer.anchors), 4)
        boxes.append(_corners(site, index, box, layer.anchors, 1.0))
        there, chances = site.op("Sigmoid", there), site.op("Softmax", classes, axis=4)
        scores.append(_flat(site, site.op("Mul", there, chances)))
    score = _joined(site, scores)
    best = site.op("Equal", site.op("ArgMax", score, axis=1, keepdims=1), list(range(layer.num_classes)))
    enough = site.op("GreaterOrEqual", score, float(layer.confidence_threshold))
    return _rows(site, _joined(site, boxes), score, site.op("And", best, enough))


def _parts(site: Site, index: int, boxes: int, numbers: int) -> Sequence[Tensor]:
    """(N, H, W, boxes, ...) of one map: the numbers of a box, whether something is there, and the classes."""
    classes, (batch, _, *sizes) = site.layer.num_classes, site.sizes(index)
    split = site.reshape(site.inputs[index], [batch, boxes, numbers + 1 + classes, *sizes])
    x = site.op("Transpose", split, perm=[0, 3, 4, 1, 2])
    return tuple(site.op("Split", x, [numbers, 1, classes], axis=4, outputs=3))


def _corners(site: Site, index: int, box: Tensor, anchors: Sequence[Sequence[float]], scale: float) -> Tensor:
    """(boxes, 4) in units of the image; see `keras_caffe.ops.yolo.yolo_boxes`."""
    high, wide = site.sizes(index)[2:]
    place, stretch = site.op("Split", box, [2, 2], axis=4, outputs=2)
    map_size = _pair(site, number(site, wide), number(site, high))
    centre = site.op("Div", site.op("Add", site.op("Sigmoid", place), cells(site, high, wide)), map_size)
    size = site.op("Div", np.asarray(anchors, "float32"), site.op("Mul", map_size, float(scale)))
    half = site.op("Div", site.op("Mul", site.op("Exp", stretch), size), 2.0)
    return str(
        site.op(
            "Reshape", site.op("Concat", site.op("Sub", centre, half), site.op("Add", centre, half), axis=4), [-1, 4]
        )
    )


def _flat(site: Site, scores: Tensor) -> Tensor:
    return str(site.op("Reshape", scores, [-1, site.layer.num_classes]))


def _joined(site: Site, parts: Sequence[Tensor]) -> Tensor:
    return str(site.op("Concat", *parts, axis=0)) if len(parts) > 1 else parts[0]


def _rows(site: Site, boxes: Tensor, scores: Tensor, found: Tensor) -> Tensor:
    """(1, 1, R, 7) of (boxes, 4) corners, (boxes, classes) scores, and which of these count."""
    places = site.op("NonZero", found)
    box, label = (site.op("Squeeze", one, [0]) for one in site.op("Split", places, [1, 1], axis=0, outputs=2))
    place = site.op("Add", site.op("Mul", box, [site.layer.num_classes]), label)
    score = site.op("Gather", site.op("Reshape", scores, [-1]), place)
    corners = site.op("Gather", boxes, box)
    # Here an overlap equal to the threshold is too much.
    below = float(np.nextafter(np.float32(site.layer.nms_threshold), np.float32(-1)))
    kept = suppressed(
        site, site.op("Unsqueeze", corners, [0]), site.op("Unsqueeze", score, [0, 1]), below, site.graph.size(score, 0)
    )
    kept = site.op("Squeeze", site.slice(kept, 1, 2, 3), [1])
    columns = [site.cast(site.op("Add", label, [1]), "float"), score]
    rows = site.op("Concat", *(site.op("Unsqueeze", one, [1]) for one in columns), corners, axis=1)
    rows = site.op("Pad", site.op("Gather", rows, kept), [0, 1, 0, 0])
    return chosen_or_nothing(site, rows, None, site.sizes()[0])


def _pair(site: Site, first: Operand, second: Operand) -> Operand:
    """Two numbers in one tensor."""
    if isinstance(first, float) and isinstance(second, float):
        return np.asarray([first, second], "float32")
    return str(site.op("Concat", *(site.op("Reshape", one, [1]) for one in (first, second)), axis=0))


def _certainty(site: Site, uncertainty: Tensor) -> Tensor:
    """(..., 1): the mean of 1 - sigmoid(s) of (..., 4)."""
    return site.reduce("ReduceMean", site.op("Sub", 1.0, site.op("Sigmoid", uncertainty)), [4])
