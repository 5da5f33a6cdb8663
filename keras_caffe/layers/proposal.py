"""Proposal, and the Python layer ProposalLayer (py-faster-rcnn, lib/rpn/proposal_layer.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.errors import LayerError, Option, ShapeError
from keras_caffe.layers.arguments import flag, number, numbers, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import full_precision
from keras_caffe.layers.proposal_forks import in_pixels
from keras_caffe.layers.proposal_text import PYTHON_TOP, from_text
from keras_caffe.layout import Order, caffe_order, channels_last
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.proposals import anchors, pixel_anchors, proposals
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Proposal", "rpn.proposal_layer.ProposalLayer")
class Proposal(CaffeLayer):
    """Regions from the scores and box changes of a region proposal network: decoded, cut to the image, suppressed.

    It also computes the Python layer `rpn.proposal_layer.ProposalLayer`, with that code's default configuration.
    Regions smaller than min_size are dropped there, and have the score 0 in the C++ layer. No gradient.

    The C++ layer of happynear's Caffe counts scales in pixels, takes several images and has scores of shape (R,). Its
    files do not tell: without `fork` a file means it if all its scales are 10 or more, with a warning.

    Args:
        feat_stride: pixels of a cell of the map (16).
        base_size: side of the square that the anchors are made from (16).
        min_size: least side of a region, in pixels of the image before it was scaled (16).
        ratio: height by width of the anchors, above 0 (0.5, 1, 2).
        scale: sizes of the anchors in units of base_size, above 0 (8, 16, 32).
        pre_nms_topn, post_nms_topn: how many regions are looked at, and how many are kept at most (6000, 300).
        nms_thresh: greatest overlap (intersection over union) with a better region (0.7).
        python: as the Python layer does it (True).
        scores: give the scores as a second top (False).
        pixels: scales are in pixels, as in happynear's layer (False).

    Shapes: scores (1, H, W, 2 A), changes (1, H, W, 4 A), image (1, 3) of [height, width, scale], or (1, 4) with the
    width's scale -> (R, 5) of [image, x1, y1, x2, y2][, (R, 1)]. R depends on the values.

    Raises:
        LayerError: no ratios or scales. ShapeError: channels that do not fit the anchors; when it runs, several images.

    Caffe: src/caffe/layers/proposal_layer.cpp (py-faster-rcnn, PVANet)
    """

    bottoms: Arity = (3, 3)
    tops: Arity = (1, 2)
    flops_per_top_value: int | None = None  # the values decide how many boxes are compared
    has_gradient = False

    def __init__(
        self,
        feat_stride: int = 16,
        base_size: int = 16,
        min_size: int = 16,
        ratio: float | Sequence[float] = (0.5, 1, 2),
        scale: float | Sequence[float] = (8, 16, 32),
        pre_nms_topn: int = 6000,
        post_nms_topn: int = 300,
        nms_thresh: float = 0.7,
        python: bool = True,
        scores: bool = False,
        pixels: bool = False,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.feat_stride: int = whole("feat_stride", feat_stride, 0)
        self.base_size: int = whole("base_size", base_size, 0)
        self.min_size: int = whole("min_size", min_size, 0)
        self.nms_thresh: float = number("nms_thresh", nms_thresh)
        self.ratio: tuple[float, ...] = numbers("ratio", ratio, above=0)
        self.scale: tuple[float, ...] = numbers("scale", scale, above=0)
        if not (self.ratio and self.scale):
            raise LayerError("no anchors", expected="one or more of each, ratio and scale")
        self.pre_nms_topn: int = whole("pre_nms_topn", pre_nms_topn, 0)
        self.post_nms_topn: int = whole("post_nms_topn", post_nms_topn, 0)
        self.python: bool = flag("python", python)
        self.scores: bool = flag("scores", scores)
        self.pixels: bool = flag("pixels", pixels)
        if self.pixels and self.python:
            raise LayerError("the Python layer has no pixel scales", expected="python=False", received="pixels=True")
        self.one_image: bool = not self.pixels
        self.supports_jit = False  # The number of rows depends on the values.

    @property
    def anchors(self) -> np.ndarray:
        """(A, 4) corners in pixels of the boxes around the first cell."""
        if self.pixels:
            return pixel_anchors(self.base_size, self.ratio, self.scale)
        rounded = np.round if self.python else lambda x: np.floor(x + 0.5)
        return anchors(self.base_size, self.ratio, self.scale, rounded)

    def call(self, inputs: Any) -> Any:
        if self.one_image and (batch := inputs[0].shape[0]) not in (1, None):  # Caffe, too, looks when it runs.
            raise ShapeError("Proposal takes one image at a time", expected="a batch of 1", received=batch)
        return self._proposed(inputs)

    @compiled
    def _proposed(self, inputs: Any) -> Any:
        first, deltas, image = (ops.stop_gradient(x) for x in inputs)
        regions, scores = proposals(
            *(first, deltas, image, self.anchors),
            stride=self.feat_stride,
            min_size=self.min_size,
            drop_small=self.python,
            pre_nms=self.pre_nms_topn,
            post_nms=self.post_nms_topn,
            nms_threshold=self.nms_thresh,
        )
        return [regions, scores if self.pixels else scores[:, None]] if self.scores else regions

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        number = len(self.ratio) * len(self.scale)
        other = {"rpn.proposal_layer.ProposalLayer": ...}
        fix = Option("python_layers", other, "where a file means another class") if self.python else None
        for shape, values in zip(shapes, (2, 4), strict=False):
            if len(shape) != 4 or shape[3] not in (values * number, None):
                wanted = f"{values * number} channels"
                raise ShapeError(f"the bottom does not fit {number} anchors", expected=wanted, received=shape, fix=fix)
        tops: list[Shape] = [(None, 5), (None,) if self.pixels else (None, 1)]
        return tops[: 1 + self.scores]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [channels_last(b.rank) if b.rank == 4 and i < 2 else caffe_order(b.rank) for i, b in enumerate(bottoms)]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(rank) for rank in ranks]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        scores = len(layer.top) > 1
        if layer.type == "Python":
            settings = from_text(layer.python_param.param_str)
            return cls(**settings, **PYTHON_TOP[layer.phase], scores=scores, **kwargs)
        param = layer.proposal_param
        fields = {field.name: getattr(param, field.name) for field in param.DESCRIPTOR.fields}
        return cls(**fields, python=False, scores=scores, pixels=in_pixels(layer), **kwargs)
