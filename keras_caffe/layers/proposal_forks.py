"""What the scales of a Proposal mean: two forks have a C++ layer of this name, and their files look alike."""

from __future__ import annotations

import warnings
from typing import Any

from keras_caffe.errors import CaffeWarning, Option
from keras_caffe.layers.context import load_context

LEAST_PIXELS = 10  # PVANet's scales, in units of base_size, begin with less


def in_pixels(layer: Any) -> bool:
    """Whether the scales are pixels, as happynear's Caffe has them, and not units of base_size, as PVANet's.

    Warns where nothing but their size tells, and they are large.
    """
    fork = load_context().fork
    if fork not in (None, "bvlc"):
        return fork == "happynear"
    scales = list(layer.proposal_param.scale)
    pixels = min(scales, default=0) >= LEAST_PIXELS
    if pixels:
        problem = f"the scales of Proposal {layer.name!r}, {scales}, are taken for pixels, as in happynear's Caffe"
        other = "for units of base_size, as in PVANet's"
        cures = Option("fork", "happynear", "to say so"), Option("fork", "rcnn", other)
        warnings.warn(CaffeWarning(problem, fix=cures), stacklevel=2)
    return pixels
