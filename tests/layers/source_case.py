"""What a data layer declares, from the text of one layer."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format

from keras_caffe import layers, proto, registry  # noqa: F401 (layers registers the types)
from keras_caffe.errors import CaffeError


def message(text: str) -> Any:
    """The LayerParameter of `layer { <text> }`."""
    return text_format.Parse(f'name: "d" {text}', proto.LayerParameter())


def declared(text: str) -> list[Any]:
    layer = message(text)
    return list(registry.registered()[layer.type].declared_shapes(layer))


def refused(text: str, match: str, error: type[CaffeError] = CaffeError) -> None:
    with pytest.raises(error, match=match):
        declared(text)
