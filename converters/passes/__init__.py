"""Rewriting a trained net for inference: each pass is a file with `run(Trained) -> Trained`, run in the order below."""

from collections.abc import Sequence
from typing import Any

from keras_caffe.converters.passes import (
    affine_to_scale,
    drop_identities,
    fold_scale_into_next,
    fold_scale_into_previous,
    join_scales,
    transpose_weights,
)
from keras_caffe.converters.trained import Trained

MERGING = (
    drop_identities,
    affine_to_scale,
    join_scales,
    fold_scale_into_previous,
    fold_scale_into_next,
)
"""Fewer layers; all of them are as Caffe has them."""
PASSES = (*MERGING, transpose_weights)


def run_all(trained: Trained, passes: Sequence[Any] = PASSES) -> Trained:
    """Runs every pass until it finds nothing more, one after the other."""
    for one in passes:
        while (after := one.run(trained)) is not trained:
            trained = after
    return trained
