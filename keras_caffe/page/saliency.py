"""Which pixels decide: the gradient of the best class at the picture, and class-activation maps.

Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks" (2013); Zhou et al., "Learning deep features for
discriminative localization" (2016): in a net that ends in an average over the plane, a class's map is the sum of the
last maps, each times its weight, which is what its gradient holds at every place.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from keras_caffe.converters.comparison import caffes_array, computed_blobs
from keras_caffe.converters.model import CaffeModel, keras_name
from keras_caffe.layers.pooling import Pooling
from keras_caffe.layout import edge_order
from keras_caffe.page.pictures import png, shades


def forward(
    model: CaffeModel, names: Sequence[str], name: str, values: np.ndarray, outputs: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The blobs of one forward pass, and `saliency` and, where the net allows, `cam` as pictures.

    Args:
        model: a loaded net.
        names: the blobs, which this input and what has a default suffice for.
        name: the input that takes the picture.
        values: the picture as a batch in Caffe's order.
        outputs: values among which the classes' scores may be.
    """
    score = _score(model, name, outputs)
    if score is None or keras.backend.backend() != "tensorflow":
        return computed_blobs(model, names, {name: values}, training=False), {}
    import tensorflow as tf

    order, maps = edge_order(4, model.data_format), _last_maps(model, name)
    fed = tf.constant(values.transpose(order))
    part = model.extract(list(dict.fromkeys([*names, score, *([maps] if maps else [])])))
    with tf.GradientTape(watch_accessed_variables=False) as tape:  # the weights need no gradient
        tape.watch(fed)
        computed = part({keras_name(name): fed}, training=False)
        best = tf.reduce_max(tf.reshape(computed[score][0], [-1]))
    blobs = {blob: caffes_array(model, computed[blob]) for blob in names}
    if not np.isfinite(best):
        return blobs, {}
    gradients = tape.gradient(best, [fed, computed[maps]] if maps else [fed])
    found = [None if one is None else caffes_array(model, one) for one in [*gradients, computed.get(maps)]]
    return blobs, _pictures(*found)


def _pictures(pixels: np.ndarray | None, moving: np.ndarray | None, maps: np.ndarray | None = None) -> dict[str, str]:
    """As pictures: the gradient at the pixels, and the maps, each times its gradient."""
    found = {}
    if pixels is not None:
        found["saliency"] = png(shades(np.abs(pixels[:1]).max(1))[0])
    if moving is not None and maps is not None:
        found["cam"] = png(shades(np.maximum(np.tensordot(moving[0].mean((1, 2)), maps[0], 1), 0)[None])[0])
    return found


def _score(model: CaffeModel, name: str, outputs: Sequence[str]) -> str | None:
    """The value that holds the classes' scores: what a last Softmax reads, or the only output, if it is a vector."""
    for value in outputs:
        node = model.net.nodes[model.net.values[value].producer]
        before = node.inputs[0] if node.type == "Softmax" else value
        shape = model.plan.shapes[before]
        vector = len(shape) > 1 and shape[1] not in (None, 1) and all(size == 1 for size in shape[2:])
        if vector and _needs_only(model, before, name):
            return before
    return None


def _last_maps(model: CaffeModel, name: str) -> str | None:
    """The value that the last average over the whole plane reads."""
    for planned in reversed(list(model.plan.layers.values())):
        layer = planned.layer
        if isinstance(layer, Pooling) and layer.pool == "AVE":
            bottom, top = planned.node.inputs[0], planned.node.outputs[0]
            one = model.plan.shapes[top][2:] == (1, 1) != model.plan.shapes[bottom][2:]
            return bottom if one and _needs_only(model, bottom, name) else None
    return None


def _needs_only(model: CaffeModel, value: str, name: str) -> bool:
    return [model.net.values[one].blob for one in model.plan.inputs_of([value])] == [name]
