"""Which pixels decide: the gradient of the best class at the picture, and class-activation maps.

Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks" (2013); Zhou et al., "Learning deep features for
discriminative localization" (2016): in a net that ends in an average over the plane, a class's map is the sum of the
last maps, each times its weight, which is what its gradient holds at every place.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_caffe.converters.model import CaffeModel
from keras_caffe.layers.pooling import Pooling
from keras_caffe.layout import edge_order, inverse
from keras_caffe.page.pictures import png, shades


def saliency(model: CaffeModel, name: str, values: np.ndarray) -> dict[str, Any]:
    """`saliency`, and `cam` where the net allows, as pictures; nothing for a net without classes.

    Args:
        model: a loaded net.
        name: the input that takes the picture.
        values: the picture as a batch in Caffe's order.
    """
    score = _score(model)
    if score is None or keras.backend.backend() != "tensorflow":
        return {}
    maps = _last_maps(model)
    gradients = _gradients(model, score, maps, name, values)
    found = {}
    if gradients[0] is not None:
        found["saliency"] = png(shades(np.abs(gradients[0][:1]).max(1))[0])
    if maps and gradients[1] is not None:
        weights, planes = gradients[1][0].mean((1, 2)), gradients[2][0]
        found["cam"] = png(shades(np.maximum(np.tensordot(weights, planes, 1), 0)[None])[0])
    return found


def _score(model: CaffeModel) -> str | None:
    """The value that holds the classes' scores: what a last Softmax reads, or the only output, if it is a vector."""
    for value in model.net.outputs:
        node = model.net.nodes[model.net.values[value].producer]
        before = node.inputs[0] if node.type == "Softmax" else value
        shape = model.plan.shapes[before]
        if len(shape) > 1 and shape[1] not in (None, 1) and all(size == 1 for size in shape[2:]):
            return before
    return None


def _last_maps(model: CaffeModel) -> str | None:
    """The value that the last average over the whole plane reads."""
    for planned in reversed(list(model.plan.layers.values())):
        layer = planned.layer
        if isinstance(layer, Pooling) and layer.pool == "AVE":
            bottom, top = planned.node.inputs[0], planned.node.outputs[0]
            one = model.plan.shapes[top][2:] == (1, 1) != model.plan.shapes[bottom][2:]
            return bottom if one else None
    return None


def _gradients(model: CaffeModel, score: str, maps: str | None, name: str, values: np.ndarray) -> list[Any]:
    """The gradients of the best class at the picture and at the maps, and the maps, all in Caffe's order."""
    import tensorflow as tf

    order = edge_order(4, model.data_format)
    fed = tf.constant(values.transpose(order))
    part = model.extract([score, *([maps] if maps else [])])
    if len(part.input_names) > 1:
        return [None, None, None]
    with tf.GradientTape() as tape:
        tape.watch(fed)
        outputs = part(fed, training=False)
        scores = tf.reshape(outputs[score][0], [-1])
        best = tf.reduce_max(scores)
    planes = outputs[maps] if maps else fed
    found = [*tape.gradient(best, [fed, planes]), planes]
    return [None if one is None else one.numpy().transpose(inverse(order)) for one in found]
