"""Layers of a net as pycaffe shows them."""

from __future__ import annotations

from keras_caffe.ops.python_layer import BlobVec


class Layer:
    """pycaffe's Layer: its type and its learnable blobs. Scripts derive the classes of their Python layers from it.

    Args:
        name: the layer's name.
        type: its Caffe type.
        blobs: its blobs.
    """

    def __init__(self, name: str = "", type: str = "Python", blobs: BlobVec | None = None) -> None:
        self.name: str = name
        self.type: str = type
        self.blobs: BlobVec = BlobVec() if blobs is None else blobs

    def __repr__(self) -> str:
        return f"<Layer {self.name!r} ({self.type}), {len(self.blobs)} blobs>"
