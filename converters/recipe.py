"""What a CaffeModel needs to be built again: plain text and numbers, nothing of Python's."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from keras_caffe.shapes import Shape


@dataclass(frozen=True)
class Recipe:
    """Written into a `.keras` file in place of a list of layers.

    Args:
        net: the upgraded and selected net as prototxt.
        name: name of the Keras model.
        data_format: "channels_last" or "channels_first".
        input_shapes: {blob: shape in Caffe's order} of the inputs.
        dtype: Keras dtype or policy name.
        fork: whose definitions hold where forks differ.
        files: {path: content} of the files that layers read.
    """

    net: str
    name: str
    data_format: str = "channels_last"
    input_shapes: Mapping[str, Shape] = field(default_factory=dict)
    dtype: str | None = None
    fork: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    def to_config(self) -> dict[str, Any]:
        files = {path: b64encode(content).decode() for path, content in self.files.items()}
        return {**asdict(self), "files": files}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Recipe:
        shapes = {name: tuple(shape) for name, shape in config["input_shapes"].items()}
        files = {path: b64decode(content) for path, content in config["files"].items()}
        return cls(**{**config, "input_shapes": shapes, "files": files})
