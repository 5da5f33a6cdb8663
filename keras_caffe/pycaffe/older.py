"""What the pycaffe of 2014 and that of forks have beside today's: a net's own preprocessing, passes without results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_caffe.errors import NetError, unreadable
from keras_caffe.pycaffe import settings
from keras_caffe.pycaffe.io import Transformer, resize_image

TEST = 1


class OlderNames:
    """Names that Net also has for old scripts."""

    phase: Any
    inputs: Sequence[str]
    layers: list[Any]
    blobs: Mapping[str, Any]
    transformer: Transformer
    _forward: Callable[[int, int], float]
    _backward: Callable[[int, int], None]

    def set_phase_test(self) -> None:
        """2014's: does nothing in a net of the phase TEST.

        Raises:
            NetError: the net has the other phase.
        """
        if self.phase != TEST:
            raise NetError("a net keeps its phase", fix="Make it with caffe.TEST: caffe.Net(..., caffe.TEST).")

    def set_mode_cpu(self) -> None:
        """2014's, as of the module."""
        settings.set_mode_cpu()

    def set_mode_gpu(self) -> None:
        """2014's, as of the module."""
        settings.set_mode_gpu()

    def set_device(self, device: int) -> None:
        """2014's, as of the module."""
        settings.set_device(device)

    def set_mean(self, input_: str, mean: Any, mode: str = "elementwise") -> None:
        """2014's: the mean that `preprocess` subtracts.

        Args:
            input_: name of an input.
            mean: (K, H, W), or the .npy file that holds it; another size is resized to the input's.
            mode: "elementwise", or "channel" for the mean of each channel.

        Raises:
            ReadError: the file cannot be read.
        """
        try:
            mean = np.asarray(np.load(mean) if isinstance(mean, str) else mean)
        except (OSError, ValueError) as error:
            raise unreadable(mean, error, problem="this is not a .npy file of numbers") from None
        size = self.blobs[input_].shape[2:]
        if mode == "channel":
            mean = mean.mean((1, 2))
        elif mean.ndim == 3 and mean.shape[1:] != tuple(size):
            low, span = mean.min(), np.ptp(mean) or 1
            mean = resize_image(((mean - low) / span).transpose(1, 2, 0), size).transpose(2, 0, 1) * span + low
        self._transformer(input_).set_mean(input_, mean)

    def set_raw_scale(self, input_: str, scale: float) -> None:
        """2014's, as of a Transformer."""
        self._transformer(input_).set_raw_scale(input_, scale)

    def set_input_scale(self, input_: str, scale: float) -> None:
        """2014's, as of a Transformer."""
        self._transformer(input_).set_input_scale(input_, scale)

    def set_channel_swap(self, input_: str, order: Sequence[int]) -> None:
        """2014's, as of a Transformer."""
        self._transformer(input_).set_channel_swap(input_, order)

    def preprocess(self, input_: str, image: np.ndarray) -> np.ndarray:
        """2014's, as of a Transformer: an image (H, W, K) as the input takes it."""
        return self._transformer(input_).preprocess(input_, image)

    def deprocess(self, input_: str, array: np.ndarray) -> np.ndarray:
        """2014's, as of a Transformer: what `preprocess` has made as an image again."""
        return self._transformer(input_).deprocess(input_, array)

    def _transformer(self, input_: str) -> Transformer:
        """The net's own, with the input's present size."""
        if "transformer" not in vars(self):
            self.transformer = Transformer({name: self.blobs[name].shape for name in self.inputs})
            for name in self.inputs:
                if len(self.blobs[name].shape) == 4:
                    self.transformer.set_transpose(name, (2, 0, 1))
        self.transformer.inputs = {**self.transformer.inputs, input_: self.blobs[input_].shape}
        return self.transformer

    def forward_simple(self) -> None:
        """Intel's and Dosovitskiy's: forward through all layers."""
        self._forward(0, len(self.layers) - 1)

    def backward_simple(self) -> None:
        """Intel's and Dosovitskiy's: backward through all layers."""
        self._backward(len(self.layers) - 1, 0)

    @property
    def _blob_names_index(self) -> dict[str, int]:
        """Intel's and Dosovitskiy's: the number of each blob."""
        return {name: number for number, name in enumerate(self.blobs)}
