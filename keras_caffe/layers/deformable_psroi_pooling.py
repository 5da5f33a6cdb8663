"""DeformablePSROIPooling (fireae/caffe_latte: deformable_psroi_pooling_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import flag, number, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.layers.psroi_pooling import PSROIPooling
from keras_caffe.layers.roi_pooling import regions
from keras_caffe.layout import Order, caffe_order, channels_last
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.roi_samples import deformed_psroi_pool
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("DeformablePSROIPooling")
class DeformablePSROIPooling(PSROIPooling):
    """The mean of S x S bilinear samples in each of G x G bins of each region, every bin from its own channel, and
    each bin moved by learned offsets.

    Output d of bin (i, j) reads channel (d G + i) G + j. A region runs from scale round(x1) - 0.5 to
    scale (round(x2) + 1) - 0.5, at least 0.1 wide. Samples stand at the first corners of S x S equal parts of a bin;
    those more than half a pixel outside the map do not count, others are moved to its border; a bin without samples
    is 0. The outputs fall into K equal parts; part k is moved by trans_std times the region's size times channel 2 k of
    the offsets along x, 2 k + 1 along y, at (floor(i P / G), floor(j P / G)). No gradient to the regions.

    Args:
        output_dim: D, number of outputs, at least 1.
        group_size: G, at least 1.
        spatial_scale: pixels of the map per pixel of the regions' image, above 0.
        part_size: P, numbers of offsets per axis; at least 1 unless no_trans (0).
        sample_per_part: S, at least 1 (1).
        trans_std: how far the offsets move (0).
        no_trans: nothing is moved, and there need not be offsets (False).

    Shapes: map (N, H, W, D G^2), regions (R, 5) of [image, x1, y1, x2, y2], offsets (R, 2 K, P, P) -> (R, G, G, D).

    Raises:
        LayerError, ShapeError: as `PSROIPooling`; no offsets, or offsets of another size.

    Caffe: src/caffe/fast_rcnn/deformable_psroi_pooling_layer.cpp (fireae/caffe_latte)
    """

    bottoms: Arity = (2, 3)

    def __init__(
        self,
        output_dim: int,
        group_size: int,
        spatial_scale: float,
        part_size: int = 0,
        sample_per_part: int = 1,
        trans_std: float = 0.0,
        no_trans: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(output_dim, group_size, spatial_scale, **kwargs)
        self.no_trans: bool = flag("no_trans", no_trans)
        self.trans_std: float = number("trans_std", trans_std)
        self.part_size: int = whole("part_size", part_size, 0 if self.no_trans else 1)
        self.sample_per_part: int = whole("sample_per_part", sample_per_part, 1)

    @compiled
    def call(self, inputs: Any) -> Any:
        x, rois = ops.cast(inputs[0], self.compute_dtype), regions(inputs[1])
        return deformed_psroi_pool(
            x,
            rois,
            None if self.no_trans else inputs[2],
            group=self.group_size,
            samples=self.sample_per_part,
            parts=self.part_size,
            spread=self.trans_std,
            scale=self.spatial_scale,
        )

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if not self.no_trans:
            self._check_offsets(shapes)
        return super().top_shapes(*shapes[:2])

    def _check_offsets(self, shapes: Sequence[Shape]) -> None:
        if len(shapes) < 3:
            raise LayerError("without offsets no bin can be moved", expected="no_trans: true, or three bottoms")
        if len(shapes[2]) != 4:
            raise ShapeError("the offsets need 4 axes", expected="(R, 2 K, P, P)", received=shapes[2])
        kinds, *sizes = shapes[2][1:]
        if kinds is not None and (kinds < 2 or kinds % 2 or self.output_dim % (kinds // 2)):
            problem = "the offsets' channels are not two for each of equal parts of the outputs"
            raise ShapeError(problem, expected=f"2 K, K a divisor of {self.output_dim}", received=kinds)
        for size in sizes:
            check_size(size, self.part_size, "the offsets must be part_size high and wide")

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [channels_last(bottoms[0].rank), *(caffe_order(b.rank) for b in bottoms[1:])]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.deformable_psroi_pooling_param
        names = ("output_dim", "group_size", "spatial_scale")
        more = {name: getattr(param, name) for name in ("part_size", "sample_per_part", "trans_std", "no_trans")}
        return cls(**{name: required(param, name) for name in names}, **more, **kwargs)
