"""RegionLoss (eric612/MobileNet-YOLO, src/caffe/layers/region_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import flag, items, number, numbers, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.box_loss import BoxLoss
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.ops.region import RegionScales, region_errors
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("RegionLoss")
class RegionLoss(BoxLoss):
    """The loss of YOLO v2: the sum of the squared errors of the predicted boxes over the number of images.

    A box as of `YoloDetectionOutput` is pushed to objectness 0, unless it overlaps a truth by more than `thresh`. The
    box of a truth's cell whose size fits it best is to predict it: the last truth of a box counts. The gradient is the
    errors themselves over the number of images, as the fork has it, not the derivative.

    Args:
        num_class: number of classes (20).
        anchors: (width, height) in cells of the boxes of a cell.
        object_scale, noobject_scale, class_scale, coord_scale: how much the parts of the error count (1, 0.5, 1, 5).
        thresh: overlap with a truth from which a box is not pushed down (0.2).
        rescore: the objectness to learn is the overlap with the truth, not 1; small boxes weigh as much as others
            (True).
        bias_match: the truth's size is compared with the anchors (True), not with the predicted sizes.

    Shapes: (N, S, S, boxes * (5 + num_class)), truths (N, 1, truths, 5) with rows (class, x, y, width, height) in parts
    of the image, ended by a row of zeros -> (). A truth whose middle is outside the image is left out.

    Raises:
        LayerError: biases that are not two for each box, or (once called) a truth of no class.
        ShapeError: other bottoms.

    Caffe: src/caffe/layers/region_loss_layer.cpp (eric612/MobileNet-YOLO)
    """

    def __init__(
        self,
        num_class: int = 20,
        anchors: Sequence[Sequence[float]] = (),
        object_scale: float = 1.0,
        noobject_scale: float = 0.5,
        class_scale: float = 1.0,
        coord_scale: float = 5.0,
        thresh: float = 0.2,
        rescore: bool = True,
        bias_match: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_class: int = whole("num_class", num_class, 1)
        self.anchors: tuple[tuple[float, ...], ...] = tuple(numbers("anchors", pair) for pair in items(anchors))
        if not self.anchors or any(len(pair) != 2 for pair in self.anchors):
            raise LayerError("anchors are (width, height) of each box", received=self.anchors)
        self.boxes: int = len(self.anchors)
        self.object_scale: float = number("object_scale", object_scale)
        self.noobject_scale: float = number("noobject_scale", noobject_scale)
        self.class_scale: float = number("class_scale", class_scale)
        self.coord_scale: float = number("coord_scale", coord_scale)
        self.thresh: float = number("thresh", thresh)
        self.rescore: bool = flag("rescore", rescore)
        self.bias_match: bool = flag("bias_match", bias_match)

    def call(self, inputs: Any) -> Any:
        maps, labels = inputs
        scales = (self.object_scale, self.noobject_scale, self.class_scale, self.coord_scale, self.thresh)
        errors = ops.stop_gradient(
            region_errors(
                *(ops.stop_gradient(maps), ops.reshape(labels, (*ops.shape(labels)[::2], 5)), self.anchors),
                RegionScales(*scales),
                rescore=self.rescore,
                bias_match=self.bias_match,
            )
        )
        images = ops.cast(ops.shape(maps)[0], maps.dtype)
        return with_gradient_of(ops.sum(errors * errors) / images, ops.sum(errors * maps) / images)

    def check_shapes(self, *shapes: Shape) -> None:
        super().check_shapes(*shapes)
        check_size(shapes[0][1], shapes[0][2], "the map must be as high as wide")

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        param = layer.region_loss_param
        if len(param.biases) != 2 * param.num:
            raise LayerError("biases are not two for each box", expected=2 * param.num, received=len(param.biases))
        if param.coords != 4 or param.softmax_tree or param.class_map or not param.softmax:
            raise LayerError("RegionLoss has 4 coords, softmax, and no softmax_tree or class_map here")
        names = ("num_class", "object_scale", "noobject_scale", "class_scale", "coord_scale", "thresh")
        anchors = list(zip(param.biases[::2], param.biases[1::2], strict=True))
        own = {name: getattr(param, name) for name in names}
        return cls(anchors=anchors, rescore=bool(param.rescore), bias_match=bool(param.bias_match), **own, **kwargs)
