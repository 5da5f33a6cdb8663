"""Random trained values for a net, and the files that hold both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.graph import graph
from keras_caffe.converters.infer import infer
from keras_caffe.converters.write import write_caffemodel
from keras_caffe.layers.base import Blob
from keras_caffe.proto.text import to_text


def write(net: Any, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Writes a net and random weights that keep its activations near 1; returns prototxt and caffemodel."""
    prototxt, caffemodel = folder / f"{net.name}.prototxt", folder / f"{net.name}.caffemodel"
    prototxt.write_text(to_text(net))
    write_caffemodel(caffemodel, net, random_params(net, seed))
    return prototxt, caffemodel


def random_params(net: Any, seed: int = 0) -> list[list[np.ndarray]]:
    """The blobs of each layer."""
    rng = np.random.default_rng(seed)
    plan = infer(graph(net))
    return [[_values(blob, rng) for blob in plan.blobs(node.index)] for node in plan.net.nodes]


def _values(blob: Blob, rng: np.random.Generator) -> np.ndarray:
    if blob.name == "factor":
        return np.ones(blob.shape, "float32")
    if blob.name in ("variance", "scale"):
        return rng.uniform(0.5, 1.5, blob.shape).astype("float32")
    values = rng.standard_normal(blob.shape, "float32")
    fan_in = np.prod(blob.shape[1:]) if len(blob.shape) > 1 else 200
    return values * np.float32(np.sqrt(2 / fan_in))
