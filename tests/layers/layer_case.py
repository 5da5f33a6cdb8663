"""Makes single layers from the text of a LayerParameter, as the converter does."""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format

from keras_caffe import proto, registry
from keras_caffe.layers.base import Bottom, CaffeLayer
from keras_caffe.layout import Order, edge_order, to_caffe, to_stored
from keras_caffe.shapes import Shape


def parse(text: str) -> Any:
    """The LayerParameter; it gets one top if the text names none."""
    message = text_format.Parse(text, proto.LayerParameter())
    if not message.top:
        message.top.append("top")
    return message


def make(text: str, *shapes: Shape, data_format: str = "channels_last") -> tuple[CaffeLayer, list[Order]]:
    """The layer for bottoms of these shapes in Caffe's order, and how it wants them stored."""
    message = parse(text)
    cls = registry.registered()[message.type]
    bottoms = [Bottom(shape, edge_order(len(shape), data_format)) for shape in shapes]
    orders = cls.bottom_orders(message, bottoms)
    return cls.from_caffe(message, [Bottom(b.shape, o) for b, o in zip(bottoms, orders, strict=True)]), orders


def tops(text: str, *shapes: Shape, data_format: str = "channels_last") -> list[Shape]:
    """The shapes of the tops in Caffe's order."""
    layer, orders = make(text, *shapes, data_format=data_format)
    stored = layer.top_shapes(*[to_stored(s, o) for s, o in zip(shapes, orders, strict=True)])
    top_orders = layer.top_orders(orders, [len(s) for s in stored])
    return [to_caffe(s, o) for s, o in zip(stored, top_orders, strict=True)]
