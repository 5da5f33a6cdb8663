"""YoloDetectionOutput (eric612/MobileNet-YOLO, src/caffe/layers/yolo_detection_output_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import items, number, numbers, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import full_precision
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.layout import Order, caffe_order
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.yolo import yolo2_detections
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size


@serializable
@register_layer("YoloDetectionOutput")
class YoloDetectionOutput(CaffeLayer):
    """Decodes the feature map of a YOLO v2 network, or two with the same anchors, and drops overlapping boxes.

    A cell (h, w) and an anchor give the centre (w + sigmoid(x), h + sigmoid(y)) / side, the size e^w anchor / side and
    the score sigmoid(objectness) softmax(classes) of the best class, the first of equal ones. Rows (0, class + 1,
    score, xmin, ymin, xmax, ymax) stand by falling score. As in that fork, boxes of all classes and of all images of a
    batch compete, and rows do not tell the image: use batches of one. If nothing is found there is one row
    (image, -1, ...) per image.

    Args:
        num_classes: without background (20).
        anchors: (width, height) in cells of the boxes of a cell.
        confidence_threshold: least score (0.01).
        nms_threshold: a box is dropped that overlaps a better one by this or more (0.45).

    Shapes: (N, side, side, boxes * (5 + num_classes)) each -> (1, 1, rows, 7); the number of rows differs.

    Raises:
        LayerError: biases that are not two for each box. ShapeError: other bottoms.

    Caffe: src/caffe/layers/yolo_detection_output_layer.cpp (eric612/MobileNet-YOLO)
    """

    bottoms: Arity = (1, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = None  # the values decide how many boxes are compared
    has_gradient = False

    def __init__(
        self,
        num_classes: int = 20,
        anchors: Sequence[Sequence[float]] = (),
        confidence_threshold: float = 0.01,
        nms_threshold: float = 0.45,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.num_classes: int = whole("num_classes", num_classes, 1)
        self.anchors: list[tuple[float, ...]] = anchor_sizes(anchors)
        if not self.anchors:
            raise LayerError("there are no anchors", expected="one (width, height) or more", received=anchors)
        self.confidence_threshold: float = number("confidence_threshold", confidence_threshold)
        self.nms_threshold: float = number("nms_threshold", nms_threshold)
        self.supports_jit = False  # The number of rows depends on the values.

    @compiled
    def call(self, inputs: Any) -> Any:
        maps = [ops.stop_gradient(x) for x in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        limits = {"threshold": self.confidence_threshold, "nms_threshold": self.nms_threshold}
        return yolo2_detections(maps, self.anchors, **limits)[None, None]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        for shape in shapes:
            check_map(shape, len(self.anchors) * (5 + self.num_classes))
            if None not in shape[1:3] and shape[1] != shape[2]:
                raise ShapeError("a feature map must be as high as it is wide", received=shape)
        return [(1, 1, None, 7)]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(4)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.yolo_detection_output_param
        if param.coords != 4:
            raise LayerError("boxes have four coordinates", expected="coords: 4", received=param.coords)
        names = ("num_classes", "confidence_threshold", "nms_threshold")
        anchors = paired(param.biases, param.num_box)
        return cls(anchors=anchors, **{name: getattr(param, name) for name in names}, **kwargs)


def anchor_sizes(anchors: Any) -> list[tuple[float, ...]]:
    """(width, height) of each anchor. Raises LayerError for other numbers of values."""
    sizes = [numbers("anchors", size) for size in items(anchors)]
    for size in sizes:
        if len(size) != 2:
            raise LayerError("an anchor must be two numbers", expected="(width, height)", received=size)
    return sizes


def paired(biases: Sequence[float], boxes: int) -> list[tuple[float, float]]:
    """The first so many anchors of a message's biases. Raises LayerError where there are fewer."""
    if len(biases) < 2 * boxes:
        raise LayerError("biases are missing", expected=f"{2 * boxes}, two for each box", received=len(biases))
    return list(zip(biases[: 2 * boxes : 2], biases[1 : 2 * boxes : 2], strict=True))


def check_map(shape: Shape, channels: Size) -> None:
    """Raises ShapeError unless a bottom is a map (N, H, W, channels)."""
    if len(shape) != 4:
        raise ShapeError("a feature map needs 4 axes", received=shape)
    check_size(shape[3], channels, "wrong number of channels")
