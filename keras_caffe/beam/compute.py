"""What a worker does: it loads a net once, and computes features of pictures batch after batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from keras_caffe.converters.load import load
from keras_caffe.converters.pictures import resized
from keras_caffe.converters.preprocessing import FittedPreprocessing, Preprocessing, centre
from keras_caffe.data.images import COLOR, GRAY, decode
from keras_caffe.engines import Engine, engine
from keras_caffe.errors import DataError, NetError

Picture = bytes | np.ndarray
"""A JPEG, PNG, BMP or GIF file, or (C, H, W) as a Datum holds it, blue-green-red"""


@dataclass
class Computer:
    """Pictures -> what some blobs hold for each. It can be sent to a worker: nothing is loaded before the first call.

    Args:
        net, weights: as of `keras_caffe.load`; without weights the path of an export, as of `keras_caffe.engine`.
        outputs: the blobs.
        preprocessing: what makes an input of a picture: as of `keras_caffe.export`, or a function picture -> (C, H, W).
        options: further arguments of `keras_caffe.engine`.
    """

    net: Any
    weights: Any
    outputs: Sequence[str]
    preprocessing: Mapping[str, Any] | Callable[[Picture], np.ndarray] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def engine(self) -> Engine:
        """The net in an engine, with one input in Caffe's order."""
        source = self.net if self.weights is None else load(self.net, self.weights, data_format="channels_first")
        made = engine(source, outputs=self.outputs, **{"threads": 1, **self.options})
        if len(made.inputs) != 1:
            raise NetError(
                "the net does not take pictures alone", expected="one input", received=", ".join(made.inputs)
            )
        return made

    @cached_property
    def _prepare(self) -> Callable[[Picture], np.ndarray]:
        if callable(self.preprocessing):
            return self.preprocessing
        (shape,) = self.engine.inputs.values()
        return Prepared(Preprocessing.of(self.preprocessing).fitted(shape))

    def __call__(self, prepared: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """{blob: array} of each picture that `prepare` made an input of, without the axis of the batch."""
        by_shape: dict[tuple[int, ...], list[int]] = {}  # a batch is of one size
        for index, one in enumerate(prepared):
            by_shape.setdefault(one.shape, []).append(index)
        found: dict[int, dict[str, np.ndarray]] = {}
        for indices in by_shape.values():
            found.update(zip(indices, self._of_one_size(np.stack([prepared[i] for i in indices])), strict=True))
        return [found[index] for index in range(len(prepared))]

    def _of_one_size(self, inputs: np.ndarray) -> list[dict[str, np.ndarray]]:
        ((name, shape),) = self.engine.inputs.items()
        size = shape[0] or len(inputs)
        found: list[dict[str, np.ndarray]] = []
        for start in range(0, len(inputs), size):
            part = inputs[start : start + size]
            filled = np.zeros((size, *part.shape[1:]), "float32")
            filled[: len(part)] = part
            values = self.engine({name: filled})
            found += [{blob: values[blob][row] for blob in self.outputs} for row in range(len(part))]
        return found

    def prepare(self, picture: Picture) -> np.ndarray:
        """The net's input for a picture, (C, H, W).

        Raises:
            DataError: it cannot be decoded, is smaller than the crop, or has other channels than the net's input.
        """
        return self._prepare(picture)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("engine", "_prepare")}


class Prepared:
    """A picture -> (C, H, W) float32: resized, cut, (x - mean) scale. Pictures are blue-green-red, as Caffe's."""

    def __init__(self, fitted: FittedPreprocessing) -> None:
        self.fitted = fitted

    def __call__(self, picture: Picture) -> np.ndarray:
        fitted = self.fitted
        if isinstance(picture, np.ndarray):
            pixels = picture.transpose(1, 2, 0)
        else:
            pixels = decode(picture, GRAY if fitted.channels == 1 else COLOR)
        if pixels.shape[2] != fitted.channels:
            received = f"{pixels.shape[2]} channels"
            raise DataError("the picture does not fit the net's input", expected=fitted.channels, received=received)
        pixels = pixels if fitted.bgr or fitted.channels == 1 else pixels[..., ::-1]
        pixels = resized(pixels, fitted.resize or pixels.shape[:2])
        pixels = pixels if fitted.crop is None else centre(pixels, fitted.crop)
        return ((pixels - fitted.mean) * np.float32(fitted.scale)).transpose(2, 0, 1)
