"""DetectionEvaluate (weiliu89/caffe ssd, src/caffe/layers/detection_evaluate_layer.cpp)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import CaffeWarning, LayerError, ShapeError
from keras_caffe.layers.arguments import flag, number, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.context import load_context
from keras_caffe.layers.detection_bottoms import refuse_polygons
from keras_caffe.layers.loss import full_precision
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.evaluation import evaluate_detections
from keras_caffe.ops.matching import objects_alike
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("DetectionEvaluate")
class DetectionEvaluate(CaffeLayer):
    """Compares detections with ground truth: which hit, and how many boxes there were to find.

    One row (-1, label, boxes of ground truth, -1, -1) for each class but the background, then one row (image, label,
    score, hit, miss) for each detection. Average precision is computed from these rows over all batches. Overlaps are
    taken in units of the image; with `name_size_file` Caffe counts in pixels of the original images instead, where a
    box is one pixel larger each way, and a warning says that this is not done.

    Args:
        num_classes: with the background.
        background_label_id: class that does not count (0); -1 = none.
        overlap_threshold: least overlap (intersection over union) of a hit, above 0 (0.5).
        evaluate_difficult_gt: whether difficult boxes count (True).
        objects_alike: of two classes, labels of ground truth above 1 mean 1, too, as in RefineDet (False).

    Shapes: detections (1, 1, R, 7), ground truth (1, 1, G, 8) -> (1, 1, classes + rows, 5); rows depend on the values.

    Raises:
        LayerError: no num_classes, an overlap_threshold of 0 or less. ShapeError: other shapes.

    Caffe: src/caffe/layers/detection_evaluate_layer.cpp (weiliu89/caffe, branch ssd; sfzhang15/RefineDet)
    """

    bottoms: Arity = (2, 2)
    stores = "caffe"
    flops_per_top_value: int | None = None  # the values decide which boxes are compared
    has_gradient = False

    def __init__(
        self,
        num_classes: int,
        background_label_id: int = 0,
        overlap_threshold: float = 0.5,
        evaluate_difficult_gt: bool = True,
        objects_alike: bool = False,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.num_classes: int = whole("num_classes", num_classes, 1)
        self.background_label_id: int = whole("background_label_id", background_label_id)
        self.overlap_threshold: float = number("overlap_threshold", overlap_threshold, above=0)
        self.evaluate_difficult_gt: bool = flag("evaluate_difficult_gt", evaluate_difficult_gt)
        self.objects_alike: bool = flag("objects_alike", objects_alike)
        if self.objects_alike and self.num_classes != 2:
            raise LayerError("objects_alike needs two classes", expected=2, received=self.num_classes)
        self.supports_jit = False  # The number of rows depends on the values.

    @compiled
    def call(self, inputs: Any) -> Any:
        detections, truth = (ops.stop_gradient(x) for x in inputs)
        rows = evaluate_detections(
            ops.reshape(detections, (-1, 7)),
            objects_alike(truth) if self.objects_alike else ops.reshape(truth, (-1, 8)),
            classes=self.num_classes,
            background=self.background_label_id,
            threshold=self.overlap_threshold,
            evaluate_difficult=self.evaluate_difficult_gt,
        )
        return rows[None, None]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        for shape, width in zip(shapes, (7, 8), strict=True):
            wanted = (1, 1, None, width)
            if len(shape) != 4 or any(have != want for have, want in zip(shape, wanted, strict=True) if want and have):
                raise ShapeError("DetectionEvaluate needs detections and ground truth", expected=wanted, received=shape)
        return [(1, 1, None, 5)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.detection_evaluate_param
        refuse_polygons(param)
        if param.name_size_file:
            problem = (
                f"layer {layer.name!r} (DetectionEvaluate): overlaps are taken in units of the image, not in pixels"
            )
            warnings.warn(f"{problem}; name_size_file is not read", CaffeWarning, stacklevel=2)
        names = ("background_label_id", "overlap_threshold", "evaluate_difficult_gt")
        given = {name: getattr(param, name) for name in names}
        alike = load_context().fork == "refinedet" and param.num_classes == 2
        return cls(required(param, "num_classes"), objects_alike=alike, **given, **kwargs)
