"""DetectionOutput (weiliu89/caffe ssd, src/caffe/layers/detection_output_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import flag, number, one_of, optional, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, enum_name, required, serializable
from keras_caffe.layers.detection_bottoms import (
    are_scores,
    check_detection_shapes,
    check_own_predictions,
    refuse_polygons,
)
from keras_caffe.layers.loss import full_precision
from keras_caffe.ops import boxes as box_ops
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.detection import detections, without_poor_priors
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("DetectionOutput")
class DetectionOutput(CaffeLayer):
    """Decodes locations, suppresses overlapping boxes of each class and lists what is left.

    Rows (image, label, score, xmin, ymin, xmax, ymax) stand by image, label, falling score; coordinates are in units of
    the image and not clipped. If nothing is found in the whole batch there is one row (image, -1, ...) per image; an
    image without detections beside others has no row.

    RefineDet's layer takes scores and shifts of the priors, too: a prior whose own score is below `objectness_score` is
    background (class 0), and the boxes are decoded from the shifted priors.

    Args:
        num_classes: with the background.
        share_location: one box per prior for all classes (True); else one per class.
        background_label_id: class that is never listed (0); -1 = none.
        nms_threshold: greatest overlap (intersection over union) of two boxes of a class, 0 or more (0.3).
        eta: factor on a threshold above 0.5 after each box kept, above 0 and at most 1 (1).
        top_k: best boxes of a class before suppression; -1 (default) = all.
        code_type: "CORNER" (default), "CENTER_SIZE" or "CORNER_SIZE", see `keras_caffe.ops.boxes.decode`.
        variance_encoded_in_target: locations are scaled by the variances already (False).
        keep_top_k: best boxes of an image over all classes; -1 (default) = all.
        confidence_threshold: scores must be greater; None (default) = any.
        objectness_score: with RefineDet's bottoms the least score of a prior; None (default) = SSD's layer.

    Shapes: locations (N, priors * 4 [* classes]), scores (N, priors * classes), priors (1, 2, priors * 4)[, image, or
    the priors' own scores (N, priors * 2)[, their locations (N, priors * 4)]] -> (1, 1, rows, 7); the number of rows
    differs from batch to batch.

    Raises:
        LayerError: missing num_classes, impossible thresholds. ShapeError: sizes that contradict each other.

    Caffe: src/caffe/layers/detection_output_layer.cpp (weiliu89/caffe, branch ssd; sfzhang15/RefineDet)
    """

    bottoms: Arity = (3, 5)
    stores = "caffe"
    flops_per_top_value: int | None = None  # the values decide how many boxes are compared
    has_gradient = False

    def __init__(
        self,
        num_classes: int,
        share_location: bool = True,
        background_label_id: int = 0,
        nms_threshold: float = 0.3,
        eta: float = 1.0,
        top_k: int = -1,
        code_type: str = "CORNER",
        variance_encoded_in_target: bool = False,
        keep_top_k: int = -1,
        confidence_threshold: float | None = None,
        objectness_score: float | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.num_classes: int = whole("num_classes", num_classes, 1)
        self.share_location: bool = flag("share_location", share_location)
        self.background_label_id: int = whole("background_label_id", background_label_id)
        self.nms_threshold: float = number("nms_threshold", nms_threshold, 0)
        self.eta: float = number("eta", eta, most=1, above=0)
        self.top_k: int = whole("top_k", top_k)
        self.keep_top_k: int = whole("keep_top_k", keep_top_k)
        self.code_type: str = one_of("code_type", code_type, box_ops.CODE_TYPES)
        self.variance_encoded_in_target: bool = flag("variance_encoded_in_target", variance_encoded_in_target)
        self.confidence_threshold: float | None = optional(number, "confidence_threshold", confidence_threshold)
        self.objectness_score: float | None = optional(number, "objectness_score", objectness_score)
        self.supports_jit = False  # The number of rows depends on the values.

    @compiled
    def call(self, inputs: Any) -> Any:
        locations, scores, priors = (ops.stop_gradient(x) for x in inputs[:3])
        batch, sets = ops.shape(scores)[0], 1 if self.share_location else self.num_classes
        code = box_ops.split(ops.transpose(ops.reshape(locations, (batch, -1, sets, 4)), (0, 2, 1, 3)))
        scores = ops.transpose(ops.reshape(scores, (batch, -1, self.num_classes)), (0, 2, 1))
        prior, spread = (box_ops.split(rows) for rows in ops.unstack(box_ops.first_priors(priors), num=2))
        rules = None if self.variance_encoded_in_target else spread, self.code_type
        least = self.objectness_score
        own = [] if least is None else [ops.stop_gradient(x) for x in inputs[3:]]
        if own and least is not None:
            scores = without_poor_priors(scores, ops.reshape(own[0], (batch, -1, 2))[..., 1], least)
        if own[1:]:
            prior = box_ops.decode(box_ops.split(ops.reshape(own[1], (batch, 1, -1, 4))), prior, *rules)
        rows = detections(
            box_ops.decode(code, prior, *rules),
            scores,
            background=self.background_label_id,
            threshold=self.confidence_threshold,
            nms_threshold=self.nms_threshold,
            eta=self.eta,
            top_k=self.top_k,
            keep_top_k=self.keep_top_k,
        )
        return rows[None, None]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_detection_shapes(shapes, self.num_classes, self.share_location)
        if self.objectness_score is not None:
            check_own_predictions(shapes, self.share_location)
        return [(1, 1, None, 7)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.detection_output_param
        refuse_polygons(param)
        nms = param.nms_param
        refines = len(bottoms) == 5 or param.HasField("objectness_score") or are_scores(*(b.shape for b in bottoms[2:]))
        return cls(
            num_classes=required(param, "num_classes"),
            share_location=param.share_location,
            background_label_id=param.background_label_id,
            nms_threshold=nms.nms_threshold,
            eta=nms.eta,
            top_k=nms.top_k if nms.HasField("top_k") else -1,
            code_type=enum_name(param, "code_type"),
            variance_encoded_in_target=param.variance_encoded_in_target,
            keep_top_k=param.keep_top_k,
            confidence_threshold=param.confidence_threshold if param.HasField("confidence_threshold") else None,
            objectness_score=param.objectness_score if refines else None,
            **kwargs,
        )
