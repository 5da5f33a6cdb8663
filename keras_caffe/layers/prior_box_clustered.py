"""PriorBoxClustered (opencv/training_toolbox_caffe: prior_box_clustered_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import numbers
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.cell_priors import CellPriors
from keras_caffe.layers.prior_box_forks import placing
from keras_caffe.ops.priors import Prior
from keras_caffe.registry import register_layer


@serializable
@register_layer("PriorBoxClustered")
class PriorBoxClustered(CellPriors):
    """Boxes of the stated widths and heights around every cell of a feature map, and their variances.

    Row 0 holds (xmin, ymin, xmax, ymax), row 1 four variances, for all cells (h, w), then for each width and height.
    Cell (h, w) has its centre at ((w + offset) step_w, (h + offset) step_h); all is in units of the image.

    Args:
        width, height: pixels of each box, fractions too; as many of one as of the other.
        clip: cut the boxes at the image (False).
        variance: none (0.1), one, or four numbers.
        img_size: (height, width) in pixels, or one number for both; None = the second bottom's.
        step: (height, width) of a cell in pixels, or one number for both; None = image size over feature map size.
        offset: place of the centre in its cell, in cells (0.5).
        spatial: tensor axes of height and width of both bottoms (1, 2).

    Shapes: feature map, image (4 axes each) -> (1, 2, 4 H W boxes).

    Raises:
        LayerError: missing or negative sizes, steps, variances; another number of heights than of widths.

    Caffe: src/caffe/layers/prior_box_clustered_layer.cpp (opencv/training_toolbox_caffe)
    """

    def __init__(
        self,
        width: float | Sequence[float],
        height: float | Sequence[float],
        clip: bool = False,
        variance: float | Sequence[float] = (),
        img_size: int | Sequence[int] | None = None,
        step: float | Sequence[float] | None = None,
        offset: float = 0.5,
        spatial: Sequence[int] = (1, 2),
        **kwargs: Any,
    ) -> None:
        super().__init__(clip, variance, img_size, step, offset, spatial, **kwargs)
        self.width: tuple[float, ...] = numbers("width", width, above=0)
        self.height: tuple[float, ...] = numbers("height", height, above=0)
        if not self.width or len(self.width) != len(self.height):
            raise LayerError(
                "PriorBoxClustered needs a width and a height for each box",
                received=f"width {self.width}, height {self.height}",
            )

    @property
    def priors(self) -> list[Prior]:
        return [Prior(*size) for size in zip(self.width, self.height, strict=True)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.prior_box_param
        spatial = [bottoms[0].axis(2), bottoms[0].axis(3)]
        return cls(width=param.width, height=param.height, **placing(param), spatial=spatial, **kwargs)
