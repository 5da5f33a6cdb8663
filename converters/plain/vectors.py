"""Keras layers of any rank as Caffe layers: products, normalisation, merging, reshaping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_caffe.converters.plain import activations
from keras_caffe.converters.plain.activations import by_index
from keras_caffe.converters.plain.draft import Draft, DraftValue, Handler, Inexpressible, array
from keras_caffe.shapes import count


def dense(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    (value,), kernel = values, array(layer.kernel)
    bias = [array(layer.bias)] if layer.use_bias else []
    outputs = kernel.shape[1]
    if value.is_image:
        if draft.data_format == "channels_first":
            raise Inexpressible("a Dense over the width of images")
        param = {"num_output": outputs, "kernel_size": [1], "bias_term": layer.use_bias}
        shape, weight = (value.shape[0], outputs, *value.shape[2:]), kernel.T[:, :, None, None]
        return draft.add(
            "Convolution", layer.name, [value], shape, [weight, *bias], owner=layer, convolution_param=param
        )
    rows = by_index(kernel, value).T
    axis = len(value.shape) - 1
    param = {"num_output": outputs, "bias_term": layer.use_bias, **({"axis": axis} if axis != 1 else {})}
    shape = (*value.shape[:-1], outputs)
    return draft.add("InnerProduct", layer.name, [value], shape, [rows, *bias], owner=layer, inner_product_param=param)


def batch_normalization(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    (value,) = values
    if draft.axis(layer.axis, len(value.shape)) != 1:
        raise Inexpressible("normalisation along another axis than the channels")
    mean, variance = (by_index(array(v), value) for v in (layer.moving_mean, layer.moving_variance))
    param = {"eps": layer.epsilon, "moving_average_fraction": layer.momentum}
    normalized = draft.like(
        "BatchNorm", layer.name, value, [mean, variance, [1.0]], owner=(id(layer), "norm"), batch_norm_param=param
    )
    if not layer.scale and not layer.center:
        return normalized
    gamma = array(layer.gamma) if layer.scale else np.ones_like(mean)
    blobs = [by_index(gamma, value)] + ([by_index(array(layer.beta), value)] if layer.center else [])
    return draft.like(
        "Scale", f"{layer.name}_scale", normalized, blobs, owner=layer, scale_param={"bias_term": bool(layer.center)}
    )


def dropout(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    if layer.noise_shape is not None:
        raise Inexpressible("noise_shape")
    return draft.like("Dropout", layer.name, values[0], dropout_param={"dropout_ratio": layer.rate})


def identity(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    return values[0]


def rescaling(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    if np.ndim(layer.scale) or np.ndim(layer.offset):
        raise Inexpressible("several scales or offsets")
    return draft.like(
        "Power", layer.name, values[0], power_param={"scale": float(layer.scale), "shift": float(layer.offset)}
    )


def flatten(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    (value,) = values
    if len(value.shape) < 3:
        return value
    shape = (value.shape[0], count(value.shape[1:]))
    return draft.add("Flatten", layer.name, [value], shape, index=_channels_last(value.plain()))


def _channels_last(value: DraftValue) -> np.ndarray | None:
    """Where in Caffe's flattened image the numbers are that Keras flattens channels last."""
    if not value.is_image or value.channels == 1 or count(value.shape[2:]) == 1:
        return None
    return np.arange(count(value.shape[1:])).reshape(value.shape[1:]).transpose(1, 2, 0).reshape(-1)


def reshape(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    (value,) = values
    sizes = count(value.shape[1:])
    target = [sizes // -count(layer.target_shape) if size == -1 else size for size in layer.target_shape]
    shape = draft.caffe_shape((value.shape[0], *target))
    if len(shape) == 2 and value.is_image and draft.data_format == "channels_last":
        return draft.add("Flatten", layer.name, [value], shape, index=_channels_last(value.plain()))
    same_order = draft.data_format == "channels_first" or (_is_vector(value.shape) and _is_vector(shape))
    if not same_order and (value.is_image or len(shape) == 4):
        raise Inexpressible(f"from {value.shape} to {shape} (Caffe's order) the numbers would be in another order")
    dims = {"shape": {"dim": [0, *shape[1:]]}}
    return draft.add("Reshape", layer.name, [value.plain()], shape, reshape_param=dims)


def _is_vector(shape: Sequence[int]) -> bool:
    return count(shape[2:]) == 1


def concatenate(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    axis = draft.axis(layer.axis, len(values[0].shape))
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    index = None
    if any(value.index is not None for value in values):
        starts = np.cumsum([0, *(value.channels for value in values)])
        parts = [np.arange(v.channels) if v.index is None else v.index for v in values]
        index = np.concatenate([start + part for start, part in zip(starts, parts, strict=False)])
    return draft.add("Concat", layer.name, values, tuple(shape), index=index, concat_param={"axis": axis})


def _eltwise(operation: str, coeff: Any = lambda count: []) -> Handler:
    def write(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
        first = values[0]
        if any(value.shape != first.shape for value in values):
            raise Inexpressible(f"shapes {', '.join(str(v.shape) for v in values)}, which Caffe does not broadcast")
        if any(not np.array_equal(_order(value), _order(first)) for value in values):
            raise Inexpressible("vectors that were flattened in different orders")
        param = {"operation": operation, "coeff": coeff(len(values))}
        return draft.add("Eltwise", layer.name, values, first.shape, index=first.index, eltwise_param=param)

    return write


def _order(value: DraftValue) -> np.ndarray:
    return np.arange(count(value.shape[1:])) if value.index is None else value.index


def multiply(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    """Also images times one number for each channel, as in squeeze-and-excitation blocks."""
    if len(values) == 2 and values[0].shape != values[1].shape and values[0].is_image and values[1].is_image:
        wide, narrow = sorted(values, key=lambda value: -count(value.shape))
        if wide.shape[:2] == narrow.shape[:2] and _is_vector(narrow.shape):
            flat = draft.add("Flatten", f"{layer.name}_flat", [narrow], narrow.shape[:2])
            return draft.add("Scale", layer.name, [wide, flat], wide.shape, scale_param={"axis": 0, "num_axes": -1})
    return _eltwise("PROD")(draft, layer, values)


HANDLERS: dict[str, Handler] = {
    **activations.HANDLERS,
    "Dense": dense,
    "BatchNormalization": batch_normalization,
    "Dropout": dropout,
    "Identity": identity,
    "Rescaling": rescaling,
    "Flatten": flatten,
    "Reshape": reshape,
    "Concatenate": concatenate,
    "Add": _eltwise("SUM"),
    "Subtract": _eltwise("SUM", lambda count: [1.0, -1.0]),
    "Average": _eltwise("SUM", lambda count: [1.0 / count] * count),
    "Maximum": _eltwise("MAX"),
    "Multiply": multiply,
}
