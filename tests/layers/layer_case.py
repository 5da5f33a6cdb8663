"""Makes single layers from the text of a LayerParameter, as the converter does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import text_format

from keras_caffe import proto, registry
from keras_caffe.layers.base import Bottom, CaffeLayer
from keras_caffe.layout import Order, channels_last, edge_order, to_caffe, to_stored
from keras_caffe.shapes import Shape


def parse(text: str) -> Any:
    """The LayerParameter; it gets one top if the text names none."""
    message = text_format.Parse(text, proto.LayerParameter())
    if not message.top:
        message.top.append("top")
    return message


def make(text: str, *shapes: Shape, data_format: str = "channels_last") -> tuple[CaffeLayer, list[Order]]:
    """The layer for bottoms of these shapes in Caffe's order, and how it wants them stored."""
    return _made(text, shapes, [edge_order(len(shape), data_format) for shape in shapes])


def from_caffe(text: str, *shapes: Shape) -> CaffeLayer:
    """The layer for bottoms that are all stored channels last, after it was asked for its tops, which refuses more."""
    layer, orders = _made(text, shapes, [channels_last(len(shape)) for shape in shapes])
    layer.top_shapes(*map(to_stored, shapes, orders))
    return layer


def _made(text: str, shapes: Sequence[Shape], stored: Sequence[Order]) -> tuple[CaffeLayer, list[Order]]:
    message = parse(text)
    cls = registry.registered()[message.type]
    orders = cls.bottom_orders(message, list(map(Bottom, shapes, stored)))
    return cls.from_caffe(message, list(map(Bottom, shapes, orders))), orders


def tops(text: str, *shapes: Shape, data_format: str = "channels_last") -> list[Shape]:
    """The shapes of the tops in Caffe's order."""
    layer, orders = make(text, *shapes, data_format=data_format)
    stored = layer.top_shapes(*[to_stored(s, o) for s, o in zip(shapes, orders, strict=True)])
    top_orders = layer.top_orders(orders, [len(s) for s in stored])
    return [to_caffe(s, o) for s, o in zip(stored, top_orders, strict=True)]
