"""PriorBox (weiliu89/caffe ssd, src/caffe/layers/prior_box_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.arguments import flag, numbers, one_of
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.cell_priors import CellPriors
from keras_caffe.layers.prior_box_forks import RULES, cell_priors, check_sizes, fields
from keras_caffe.ops.priors import Prior
from keras_caffe.registry import register_layer


@serializable
@register_layer("PriorBox")
class PriorBox(CellPriors):
    """Default boxes around every cell of a feature map, in units of the image, and their variances.

    Row 0 holds (xmin, ymin, xmax, ymax), row 1 four variances, for all cells (h, w), then for each min_size: a square
    of min_size, a square of sqrt(min_size max_size) if there are max_sizes, then min_size sqrt(r) x min_size / sqrt(r)
    for each aspect ratio r (and 1/r) other than 1. Cell (h, w) has its centre at ((w + offset) step_w, (h + offset)
    step_h).

    Forks have other boxes. TextBoxes and TextBoxes++ (`rule` "textboxes", "textboxes++"): behind each box the same
    around the middle of the cell's lower edge. FaceBoxes ("faceboxes"): squares are a pixel smaller; that of 32 pixels
    comes 16 times, 8 pixels apart, that of 64 pixels 4 times, 16 pixels apart. faceboxes_lqy (fixed_size): density x
    density squares of each size, fixed_size / density pixels apart, then as many of each ratio, all cut at the image.

    Args:
        min_size, max_size: pixels; fractions are cut off, but not in TextBoxes, which has one size; as many max_size as
            min_size, or none.
        aspect_ratio: width over height; 1 is always there, repetitions are dropped.
        flip: add 1/r for each ratio r (True).
        clip: cut the boxes at the image (False).
        variance: none (0.1), one, or four numbers.
        img_size: (height, width) in pixels, or one number for both; None = the second bottom's.
        step: (height, width) of a cell in pixels, or one number for both; None = image size over feature map size.
        offset: place of the centre in its cell, in cells (0.5).
        spatial: tensor axes of height and width of both bottoms (1, 2).
        rule: the fork whose boxes they are: "ssd" (default), "textboxes", "textboxes++" or "faceboxes".
        fixed_size, density: instead of min_size: sizes of squares in pixels, and for each how many are side by side.
        fixed_ratio: one ratio instead of 1 and those of aspect_ratio.

    Shapes: feature map, image (4 axes each) -> (1, 2, 4 H W boxes).

    Raises:
        LayerError: missing, negative or infinite sizes, steps, variances; forms that exclude each other given together;
            sizes for which the fork writes more boxes than it has room for.

    Caffe: src/caffe/layers/prior_box_layer.cpp (weiliu89/caffe, branch ssd)
    """

    def __init__(
        self,
        min_size: float | Sequence[float] = (),
        max_size: float | Sequence[float] = (),
        aspect_ratio: float | Sequence[float] = (),
        flip: bool = True,
        clip: bool = False,
        variance: float | Sequence[float] = (),
        img_size: int | Sequence[int] | None = None,
        step: float | Sequence[float] | None = None,
        offset: float = 0.5,
        spatial: Sequence[int] = (1, 2),
        rule: str = "ssd",
        fixed_size: float | Sequence[float] = (),
        density: float | Sequence[float] = (),
        fixed_ratio: float | Sequence[float] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(clip, variance, img_size, step, offset, spatial, **kwargs)
        self.min_size: tuple[float, ...] = numbers("min_size", min_size, above=0, most=2**31 - 1)
        self.max_size: tuple[float, ...] = numbers("max_size", max_size, most=2**31 - 1)
        self.fixed_size: tuple[float, ...] = numbers("fixed_size", fixed_size, least=1, most=2**31 - 1)
        self.density: tuple[float, ...] = numbers("density", density, least=1, most=2**31 - 1)
        self.fixed_ratio: tuple[float, ...] = numbers("fixed_ratio", fixed_ratio, above=0, most=2**31 - 1)
        self.aspect_ratio: tuple[float, ...] = numbers("aspect_ratio", aspect_ratio, above=0, most=2**31 - 1)
        self.flip: bool = flag("flip", flip)
        self.rule: str = one_of("rule", rule, RULES)
        check_sizes(self)

    @property
    def priors(self) -> list[Prior]:
        return cell_priors(self)

    @property
    def cuts(self) -> bool:
        return bool(self.fixed_size)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        spatial = [bottoms[0].axis(2), bottoms[0].axis(3)]
        return cls(**fields(layer.prior_box_param), spatial=spatial, **kwargs)
