"""Keras's activations as Caffe layers."""

from __future__ import annotations

from typing import Any

import keras

from keras_caffe.converters.plain.draft import Draft, DraftValue, Inexpressible, array

SIMPLE = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "TanH", "softplus": "BNLL", "silu": "Swish", "swish": "Swish"}
SIMPLE |= {"exponential": "Exp", "elu": "ELU"}


def apply(draft: Draft, layer: Any, value: DraftValue) -> DraftValue:
    """The activation that a layer has beside what it does itself."""
    function = getattr(layer, "activation", None)
    if function is None or isinstance(layer, keras.layers.Activation):
        return value
    return activation(draft, f"{layer.name}_{_name(function)}", function, value)


def activation(draft: Draft, name: str, function: Any, value: DraftValue) -> DraftValue:
    kind = _name(function)
    if not _is_known(function):
        raise Inexpressible(f"activation {kind!r} of {getattr(function, '__module__', None)}, which is not Keras's own")
    if kind == "linear":
        return value
    if kind in SIMPLE:
        return draft.like(SIMPLE[kind], name, value)
    if kind == "relu6":
        return clip(draft, name, value, 6.0)
    if kind == "leaky_relu":
        return draft.like("ReLU", name, value, relu_param={"negative_slope": 0.2})
    if kind == "softmax":
        return softmax(draft, name, value, -1)
    raise Inexpressible(f"activation {kind!r}")


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _is_known(function: Any) -> bool:
    """Whether a function does what its name says: others may have the name of one of Keras's."""
    return str(getattr(function, "__module__", None)).startswith(("keras.", "tensorflow.", "jax.", "torch."))


def clip(draft: Draft, name: str, value: DraftValue, limit: float) -> DraftValue:
    return draft.like("Clip", name, value, clip_param={"min": 0.0, "max": limit})


def softmax(draft: Draft, name: str, value: DraftValue, axis: int) -> DraftValue:
    axis = draft.axis(axis, len(value.shape))
    return draft.like("Softmax", name, value, softmax_param={"axis": axis})


def plain_activation(draft: Draft, layer: Any, values: Any) -> DraftValue:
    return activation(draft, layer.name, layer.activation, values[0])


def relu(draft: Draft, layer: Any, values: Any) -> DraftValue:
    (value,), slope = values, float(layer.negative_slope or 0)
    if layer.threshold or (layer.max_value is not None and slope):
        raise Inexpressible("a threshold, or a slope with max_value")
    if layer.max_value is not None:
        return clip(draft, layer.name, value, float(layer.max_value))
    return draft.like("ReLU", layer.name, value, relu_param={"negative_slope": slope} if slope else None)


def leaky_relu(draft: Draft, layer: Any, values: Any) -> DraftValue:
    return draft.like("ReLU", layer.name, values[0], relu_param={"negative_slope": float(layer.negative_slope)})


def elu(draft: Draft, layer: Any, values: Any) -> DraftValue:
    return draft.like("ELU", layer.name, values[0], elu_param={"alpha": float(layer.alpha)})


def prelu(draft: Draft, layer: Any, values: Any) -> DraftValue:
    (value,), alpha = values, array(layer.alpha)
    wanted = [1] * alpha.ndim
    wanted[0 if draft.data_format == "channels_first" or not value.is_image else -1] = value.channels
    if list(alpha.shape) != wanted:
        raise Inexpressible("slopes that are not one for each channel: share the other axes with shared_axes")
    alpha = alpha.reshape(-1)
    return draft.like("PReLU", layer.name, value, [by_index(alpha, value)], owner=layer)


def softmax_layer(draft: Draft, layer: Any, values: Any) -> DraftValue:
    if not isinstance(layer.axis, int):
        raise Inexpressible("softmax over several axes")
    return softmax(draft, layer.name, values[0], layer.axis)


def by_index(numbers: Any, value: DraftValue) -> Any:
    """One number for each channel, in the order of Caffe's blob."""
    if value.index is None:
        return numbers
    placed = numbers.copy()
    placed[value.index] = numbers
    return placed


HANDLERS = {
    "Activation": plain_activation,
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "PReLU": prelu,
    "Softmax": softmax_layer,
}
