"""Makes one Scale of two that follow each other.

Before: x -> Scale(s, t) -> Scale(u, v) -> y      After: x -> Scale(s u, t u + v) -> y
"""

from __future__ import annotations

import numpy as np

from keras_caffe.converters.passes.affine_to_scale import scale_layer
from keras_caffe.converters.scales import factors, is_scale
from keras_caffe.converters.trained import Edit, Trained


def run(trained: Trained) -> Trained:
    edit = Edit(trained)
    for node in trained.net.nodes:
        if not is_scale(trained, node):
            continue
        after = trained.only_reader(node.outputs[0])
        if after is None or not is_scale(trained, after) or edit.touched(node, after) or not edit.can_drop(after):
            continue
        (s, t), (u, v) = factors(trained, node), factors(trained, after)
        edit.drop(after)
        edit.replace(node, scale_layer(node.name), [np.float32(s * u), np.float32(t * u + v)])
    return edit.done()
