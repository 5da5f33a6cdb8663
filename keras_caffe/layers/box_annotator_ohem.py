"""BoxAnnotatorOHEM (microsoft/caffe for R-FCN, src/caffe/layers/box_annotator_ohem_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.loss import full_precision
from keras_caffe.layers.loss_bottoms import check_rank, check_single, check_size
from keras_caffe.ops.ohem import hardest_of_each_image
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count, same_shape


@serializable
@register_layer("BoxAnnotatorOHEM")
class BoxAnnotatorOHEM(CaffeLayer):
    """Keeps the labels and box weights of the regions with the greatest losses; the others are ignored.

    Of each image `roi_per_img` regions keep their label and their row of weights, by falling loss; equal losses stand
    in their order, which the fork leaves open. All other regions get `ignore_label` and weights of 0. No gradient.

    Args:
        roi_per_img: how many regions of an image count, at least 1.
        ignore_label: label of the others (-1).

    Shapes: regions (R, 5) of [image, x1, y1, x2, y2], losses (R, 1), labels (R, 1), weights (R, K), each with further
    axes of size 1 or not -> (R, 1, 1, 1), (R, K, 1, 1).

    Raises:
        LayerError: no roi_per_img. ShapeError: bottoms of another number of regions, or of more than one value a place.

    Caffe: src/caffe/layers/box_annotator_ohem_layer.cpp (microsoft/caffe)
    """

    bottoms: Arity = (4, 4)
    tops: Arity = (2, 2)
    stores = "caffe"
    flops_per_top_value: int | None = 0  # it compares and moves values
    has_gradient = False

    def __init__(self, roi_per_img: int, ignore_label: int = -1, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.roi_per_img: int = whole("roi_per_img", roi_per_img, 1)
        self.ignore_label: int = whole("ignore_label", ignore_label)

    def call(self, inputs: Any) -> Any:
        rois, losses, labels, weights = (ops.reshape(x, (-1, count(tuple(x.shape[1:2])))) for x in inputs)
        kept = hardest_of_each_image(rois[:, 0], losses[:, 0], self.roi_per_img)[:, None]
        tops = ops.where(kept, labels, float(self.ignore_label)), ops.where(kept, weights, 0.0)
        return [ops.stop_gradient(top[:, :, None, None]) for top in tops]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_rank(shapes)
        kinds = (5, "regions"), (1, "losses"), (1, "labels"), (None, "weights")
        for shape, (values, what) in zip(shapes, kinds, strict=True):
            same_shape(shapes[0][:1], shape[:1], "all bottoms must have one number of regions")
            check_size(count(shape[1:2]), values, f"wrong number of values for each of the {what}")
            check_single(shape, f"the {what}", 2)
        return [(shapes[0][0], 1, 1, 1), (shapes[0][0], count(shapes[3][1:2]), 1, 1)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.box_annotator_ohem_param
        return cls(required(param, "roi_per_img"), param.ignore_label, **kwargs)
