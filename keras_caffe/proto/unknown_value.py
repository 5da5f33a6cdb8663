"""Words of a text and numbers of a binary file that an enum does not know: kept until somebody computes the layer."""

from __future__ import annotations

from typing import Any

from keras_caffe.errors import LayerError, instead


def refuse_unknown_values(layer: Any) -> None:
    """Raises LayerError for the first value of a LayerParameter that its enums do not know.

    A class of the caller's may know it; of ours none does. Layers of another phase are never asked.
    """
    for unknown in layer.unknown_value:
        *messages, name = unknown.field.split(".")
        descriptor = layer.DESCRIPTOR
        for message in messages:
            descriptor = descriptor.fields_by_name[message].message_type
        values = descriptor.fields_by_name[name].enum_type.values_by_name
        raise LayerError(
            f"{unknown.field} has a value that is not known",
            received=unknown.value,
            **instead([unknown.value], values),
        )
