"""What a CaffeModel needs to be built again: plain text and numbers, nothing of Python's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Written into a `.keras` file in place of a list of layers.

    Args:
        net: the upgraded and selected net as prototxt.
        name: name of the Keras model.
        data_format: "channels_last" or "channels_first".
        input_shapes: {blob: shape in Caffe's order} that the caller gave.
        dtype: Keras dtype or policy name.
        fork: whose definitions hold where forks differ.
    """

    net: str
    name: str
    data_format: str = "channels_last"
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dtype: str | None = None
    fork: str | None = None

    def to_config(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Recipe:
        shapes = {name: tuple(shape) for name, shape in config["input_shapes"].items()}
        return cls(**{**config, "input_shapes": shapes})
