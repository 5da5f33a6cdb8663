"""Yolov3DetectionOutput (eric612/MobileNet-YOLO, src/caffe/layers/yolov3_detection_output_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import flag, items, number, numbers, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.loss import full_precision
from keras_caffe.layers.yolo_detection_output import anchor_sizes, check_map
from keras_caffe.layout import Order, caffe_order
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.yolo import yolo_detections
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Yolov3DetectionOutput")
class Yolov3DetectionOutput(CaffeLayer):
    """Decodes the feature maps of a YOLO v3 network and drops overlapping boxes.

    A cell (h, w) and an anchor give the centre ((w + sigmoid(x)) / W, (h + sigmoid(y)) / H), the size (e^w anchor_w /
    (W scale), e^h anchor_h / (H scale)) and, for each class, the score sigmoid(class) sigmoid(objectness). Rows
    (0, class + 1, score, xmin, ymin, xmax, ymax) stand by falling score. As in that fork, boxes of all classes and of
    all images of a batch compete, and rows do not tell the image: use batches of one. If nothing is found there is one
    row (image, -1, ...) per image.

    Args:
        num_classes: without background.
        anchors: for each bottom, (width, height) in pixels of the boxes of a cell.
        scales: pixels to a cell of each bottom.
        confidence_threshold: scores must be greater (0.01).
        nms_threshold: a box is dropped that overlaps a better one by this or more (0.45).
        gaussian_box: a box's x, y, width and height are each followed by an uncertainty s, and the mean of the four
            1 - sigmoid(s) multiplies its scores (False).

    Shapes: (N, H, W, boxes * (5 + num_classes)) each (gaussian_box: 9 + num_classes) -> (1, 1, rows, 7); the
    number of rows differs.

    Raises:
        LayerError: masks, biases or scales are missing. ShapeError: other bottoms.

    Caffe: src/caffe/layers/yolov3_detection_output_layer.cpp (eric612/MobileNet-YOLO)
    """

    bottoms: Arity = (1, None)
    stores = "channels_last"
    flops_per_top_value: int | None = None  # the values decide how many boxes are compared
    has_gradient = False

    def __init__(
        self,
        num_classes: int,
        anchors: Sequence[Sequence[Sequence[float]]],
        scales: Sequence[float],
        confidence_threshold: float = 0.01,
        nms_threshold: float = 0.45,
        gaussian_box: bool = False,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.num_classes: int = whole("num_classes", num_classes, 0)
        self.scales: tuple[float, ...] = numbers("scales", scales)
        self.anchors: list[list[tuple[float, ...]]] = [anchor_sizes(sizes) for sizes in items(anchors)]
        if len(self.anchors) != len(self.scales):
            raise LayerError(
                "scales (anchors_scale in files) must be given for each bottom",
                expected=len(self.anchors),
                received=len(self.scales),
            )
        self.confidence_threshold: float = number("confidence_threshold", confidence_threshold)
        self.nms_threshold: float = number("nms_threshold", nms_threshold)
        self.gaussian_box: bool = flag("gaussian_box", gaussian_box)
        self.supports_jit = False  # The number of rows depends on the values.

    @compiled
    def call(self, inputs: Any) -> Any:
        maps = [ops.stop_gradient(x) for x in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        rows = yolo_detections(
            *(maps, self.anchors, self.scales),
            threshold=self.confidence_threshold,
            nms_threshold=self.nms_threshold,
            gaussian=self.gaussian_box,
        )
        return rows[None, None]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        for shape, anchors in zip(shapes, self.anchors, strict=True):
            check_map(shape, len(anchors) * ((9 if self.gaussian_box else 5) + self.num_classes))
        return [(1, 1, None, 7)]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(4)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.yolov3_detection_output_param
        if param.mask_group_num != len(bottoms):
            raise LayerError(
                "mask_group_num must be the number of bottoms", expected=len(bottoms), received=param.mask_group_num
            )
        sizes = list(zip(param.biases[::2], param.biases[1::2], strict=False))
        step = len(param.mask) // len(bottoms)
        masks = [list(param.mask[step * i : step * i + param.num_box]) for i in range(len(bottoms))]
        if any(len(mask) < param.num_box or max(mask, default=0) >= len(sizes) for mask in masks):
            raise LayerError("masks or biases are missing", received=f"{len(sizes)} biases, mask {list(param.mask)}")
        return cls(
            num_classes=required(param, "num_classes"),
            anchors=[[sizes[i] for i in mask] for mask in masks],
            scales=param.anchors_scale[: len(bottoms)],
            confidence_threshold=param.confidence_threshold,
            nms_threshold=param.nms_threshold,
            gaussian_box=param.gaussian_box,
            **kwargs,
        )
