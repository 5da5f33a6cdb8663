"""Yolov3 (eric612/MobileNet-YOLO, src/caffe/layers/yolov3_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import flag, items, number, numbers, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.box_loss import BoxLoss
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.ops.yolo3_loss import Yolo3Rules, logistic_slopes, yolo3_errors
from keras_caffe.registry import register_layer

NUMBERS = ("object_scale", "class_scale", "coord_scale", "thresh", "iou_thresh", "label_smooth_eps")


@serializable
@register_layer("Yolov3")
class Yolov3(BoxLoss):
    """The loss of YOLO v3 on one map: the sum of the squared errors of the predicted boxes over the number of images.

    A box as of `Yolov3DetectionOutput` has objectness 0 to learn, unless it overlaps a truth by more than `thresh`. In
    a truth's cell those boxes learn the truth whose anchor fits its size best of all anchors, or by more than
    `iou_thresh`; the last truth of a box counts, and the classes of all. The gradient is the errors themselves over the
    number of images, as the fork has it, not the derivative.

    Args:
        num_class: number of classes (20).
        anchors: (width, height) in pixels, those of the net's other maps, too.
        mask: the numbers of the anchors that this map has, one for each box of a cell.
        anchors_scale: pixels to a cell (32).
        object_scale: how much the objectness of learning boxes counts, with use_logic_gradient only (1).
        class_scale, coord_scale: how much the other parts count (1, 5).
        thresh: overlap with a truth from which a box is not pushed down (0.2).
        iou_thresh: fit from which further boxes learn a truth; none do from 1 on (0.5).
        label_smooth_eps: what of a class's certainty goes to all classes alike (0.1).
        use_logic_gradient: the gradient passes the sigmoids (False).
        use_focal_loss: classes count less the better they are known (False).

    Shapes: (N, H, W, boxes * (5 + num_class)), truths (N, 1, truths, 5) with rows (class, x, y, width, height) in parts
    of the image, ended by a row of zeros -> (). A truth whose middle is outside the image is left out.

    Raises:
        LayerError: no anchors, a mask that names others, or (once called) a truth of no class.
        ShapeError: other bottoms.

    Caffe: src/caffe/layers/yolov3_layer.cpp (eric612/MobileNet-YOLO)
    """

    def __init__(
        self,
        num_class: int = 20,
        anchors: Sequence[Sequence[float]] = (),
        mask: Sequence[int] = (),
        anchors_scale: int = 32,
        object_scale: float = 1.0,
        class_scale: float = 1.0,
        coord_scale: float = 5.0,
        thresh: float = 0.2,
        iou_thresh: float = 0.5,
        label_smooth_eps: float = 0.1,
        use_logic_gradient: bool = False,
        use_focal_loss: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_class: int = whole("num_class", num_class, 1)
        self.anchors_scale: int = whole("anchors_scale", anchors_scale, 1)
        self.anchors: tuple[tuple[float, ...], ...] = tuple(
            numbers("anchors", pair, above=0) for pair in items(anchors)
        )
        self.mask: tuple[int, ...] = tuple(whole("mask", one, 0, len(self.anchors) - 1) for one in items(mask))
        if not self.mask or any(len(pair) != 2 for pair in self.anchors):
            raise LayerError(
                "Yolov3 needs anchors, (width, height) each, and a mask", received=(self.anchors, self.mask)
            )
        self.object_scale: float = number("object_scale", object_scale)
        self.class_scale: float = number("class_scale", class_scale)
        self.boxes: int = len(self.mask)
        self.coord_scale: float = number("coord_scale", coord_scale)
        self.thresh: float = number("thresh", thresh)
        self.iou_thresh: float = number("iou_thresh", iou_thresh)
        self.label_smooth_eps: float = number("label_smooth_eps", label_smooth_eps)
        self.use_logic_gradient: bool = flag("use_logic_gradient", use_logic_gradient)
        self.use_focal_loss: bool = flag("use_focal_loss", use_focal_loss)

    def call(self, inputs: Any) -> Any:
        maps, labels = (ops.stop_gradient(x) for x in inputs)
        rules = Yolo3Rules(
            object=self.object_scale if self.use_logic_gradient else 1.0,
            classes=self.class_scale,
            coordinates=self.coord_scale,
            idle_overlap=self.thresh,
            learn_overlap=self.iou_thresh,
            smoothing=self.label_smooth_eps,
            focal=self.use_focal_loss,
        )
        truths = ops.reshape(labels, (*ops.shape(labels)[::2], 5))
        errors = yolo3_errors(maps, truths, self.anchors, self.mask, self.anchors_scale, rules)
        slopes = errors * logistic_slopes(maps, len(self.mask)) if self.use_logic_gradient else errors
        images = ops.cast(ops.shape(maps)[0], maps.dtype)
        return with_gradient_of(ops.sum(errors * errors) / images, ops.sum(slopes * inputs[0]) / images)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        param = layer.yolov3_param
        if enum_name(param, "iou_loss") != "MSE":
            raise LayerError("Yolov3 learns boxes by MSE here", expected="iou_loss: MSE", received=param.iou_loss)
        if len(param.biases) % 2 or len(param.mask) != param.num:
            received = f"{len(param.biases)} biases, {len(param.mask)} mask"
            raise LayerError(
                "biases are pairs, mask names one for each box", expected=f"{param.num} mask", received=received
            )
        names = ("num_class", "anchors_scale", "use_logic_gradient", "use_focal_loss", *NUMBERS)
        own = {name: getattr(param, name) for name in names}
        anchors = list(zip(param.biases[::2], param.biases[1::2], strict=True))
        return cls(anchors=anchors, mask=param.mask, **own, **kwargs)
