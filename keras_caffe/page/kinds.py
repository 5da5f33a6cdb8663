"""What kind of layer a type is, for its colour."""

from __future__ import annotations

from typing import Any

from keras_caffe import registry
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.source import SourceLayer

KINDS: dict[str, tuple[str, ...]] = {
    "convolution": ("conv", "deconv", "im2col", "correlation"),
    "dense": ("innerproduct", "embed", "lstm", "rnn", "margin"),
    "pooling": ("pool", "spp", "upsample", "interp", "resample"),
    "normalisation": ("lrn", "norm", "scale", "bias", "mvn", "bn", "dropout"),
    "detection": ("prior", "detection", "proposal", "yolo", "region", "roi", "bbox", "box"),
    "shape": ("concat", "slice", "split", "flatten", "reshape", "permute", "crop", "tile", "eltwise", "axpy"),
    "activation": (
        "relu",
        "sigmoid",
        "tanh",
        "softmax",
        "elu",
        "power",
        "exp",
        "log",
        "bnll",
        "absval",
        "swish",
        "mish",
    ),
}
"""{kind: what the names of its types contain}; the first that fits"""


def kind(layer: Any, cls: type[CaffeLayer] | None = None) -> str:
    """The kind of a layer of a file: one of `KINDS`, "input", "loss", "other", or "unknown" for an unknown type.

    Its class is that of its type, but for a net with custom layers.
    """
    cls = cls or registry.class_of(layer.type)
    if cls is None:
        return "unknown"
    if issubclass(cls, SourceLayer):
        return "input"
    if cls.is_loss or layer.type == "Accuracy":
        return "loss"
    name = layer.type.lower()
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "other")
