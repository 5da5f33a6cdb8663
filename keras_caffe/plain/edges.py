"""Pictures at the edge of a plain model: red first, and prepared by the model itself."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe.converters.infer import Plan
from keras_caffe.converters.preprocessing import Preprocessing
from keras_caffe.converters.tensors import Tensors
from keras_caffe.errors import ExportError
from keras_caffe.layers.convolution import Convolution


def picture_input(plan: Plan) -> str:
    """The one input that takes pictures of three channels or one. Raises ExportError if there is none."""
    found = [value for value in plan.inputs if len(plan.shapes[value]) == 4 and plan.shapes[value][1] in (1, 3)]
    if len(found) != 1:
        shapes = {plan.net.values[value].blob: plan.shapes[value] for value in plan.inputs}
        expected = "one input (N, C, H, W) of 1 or 3 channels"
        raise ExportError("the net takes something other than pictures", expected=expected, received=shapes)
    return found[0]


def turned_first(plan: Plan, arrays: dict[int, list[np.ndarray]]) -> bool:
    """Turns the first convolutions' weights from blue first to red first; False where others see the picture too."""
    value = picture_input(plan)
    readers = [index for index, planned in plan.layers.items() if value in planned.node.inputs]
    for index in readers:
        layer = plan.layers[index].layer
        sharing = any(index in (user[0], owner[0]) for user, owner in plan.owners.items())
        if not isinstance(layer, Convolution) or layer.group != 1 or len(layer.kernel_size) != 2 or sharing:
            return False
        if type(layer).__name__ == "Deconvolution":
            return False
    if value in plan.outputs():
        return False
    for index in readers:
        kernel, *rest = arrays[index]
        arrays[index] = [kernel[:, ::-1], *rest]
    return bool(readers)


def with_pictures(tensors: Tensors, preprocessing: Preprocessing | None, *, flip: bool, turned: bool) -> dict[str, Any]:
    """Puts what prepares pictures before the net's input.

    Args:
        tensors: in which the input stands; its value is replaced.
        preprocessing: what is done with pictures, red-green-blue from 0 to 255; None: nothing but to turn them.
        flip: pictures come red first, and the net takes blue first.
        turned: the first convolutions take red first.

    Returns:
        {the input's name: the `keras.Input` that takes pictures}
    """
    plan = tensors.plan
    value = picture_input(plan)
    given = tensors[value]
    last = plan.data_format == "channels_last"
    axis = 3 if last else 1
    if preprocessing is None:
        tensors[value] = ops.flip(given, axis) if flip else given
        return {}
    fitted = preprocessing.fitted(plan.input_shape(value))
    raw = given if not (fitted.resize or fitted.crop) else _picture(given, fitted.channels, last)
    x = ops.flip(raw, axis) if fitted.bgr and not turned else raw
    if fitted.resize:
        x = ops.image.resize(x, fitted.resize, data_format=plan.data_format)
    if fitted.crop:
        x = _centre(x, fitted.crop, last)
    mean = fitted.mean[:, :, ::-1] if fitted.bgr and turned else fitted.mean
    mean = np.ascontiguousarray(mean if last else mean.transpose(2, 0, 1))
    x = ops.subtract(x, mean) if mean.any() else x
    tensors[value] = ops.multiply(x, fitted.scale) if fitted.scale != 1 else x
    return {raw.name: raw}


def _picture(given: Any, channels: int, last: bool) -> Any:
    """An input for pictures of any size in place of one for the net's."""
    batch, name = given.shape[0], given.name
    shape = (batch, None, None, channels) if last else (batch, channels, None, None)
    return keras.Input(batch_shape=shape, name=name, dtype="float32")


def _centre(x: Any, size: tuple[int, int], last: bool) -> Any:
    high, wide = x.shape[1:3] if last else x.shape[2:4]
    if high is None or wide is None:
        raise ExportError("pictures of any size cannot be cropped", fix="Give `resize` with two numbers as well.")
    top, left = (high - size[0]) // 2, (wide - size[1]) // 2
    rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
    return x[:, rows, columns] if last else x[:, :, rows, columns]
