"""pycaffe's Classifier (python/caffe/classifier.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_caffe.converters.load import load
from keras_caffe.engines import Engine, engine
from keras_caffe.pycaffe import io
from keras_caffe.pycaffe.net import TEST, Net


class ImageNet(Net):
    """A net on images with the Transformer that prepares them; what Classifier and Detector share.

    Args:
        model_file, pretrained_file: prototxt and caffemodel.
        mean, input_scale, raw_scale, channel_swap: for the Transformer; None leaves a step out.
        engine: what computes in place of the net, as of `keras_caffe.engine`: "auto", "openvino", ...; with the values
            of the file, whatever is put into `params`.
        gpu: 2014's; has no effect.
    """

    def __init__(
        self,
        model_file: Any,
        pretrained_file: Any,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        *,
        engine: str | None = None,
        gpu: bool = False,
    ) -> None:
        super().__init__(model_file, pretrained_file, TEST)
        self._fast = None if engine is None else _engine(engine, model_file, pretrained_file, self.outputs[0])
        in_ = self.inputs[0]
        self.transformer: io.Transformer = io.Transformer({in_: self.blobs[in_].shape})
        self.transformer.set_transpose(in_, (2, 0, 1))
        steps = {"mean": mean, "input_scale": input_scale, "raw_scale": raw_scale, "channel_swap": channel_swap}
        for step, value in steps.items():
            if value is not None:
                getattr(self.transformer, f"set_{step}")(in_, value)

    def _run_on(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """The net's first output for images (H, W, C)."""
        in_ = self.inputs[0]
        prepared = np.stack([self.transformer.preprocess(in_, image) for image in images])
        if self._fast:
            return self._fast({in_: prepared})[self.outputs[0]]
        arrays: dict[str, Any] = {in_: prepared}
        return self.forward_all(**arrays)[self.outputs[0]]


def _engine(name: str, model_file: Any, pretrained_file: Any, output: str) -> Engine:
    """The net's first output in an engine."""
    model = load(model_file, pretrained_file, data_format="channels_first")
    return engine(model, name, outputs=[output])


class Classifier(ImageNet):
    """Class scores for images.

    Args:
        model_file, pretrained_file: prototxt and caffemodel.
        image_dims: (height, width) that images are resized to before they are cropped; default: the net's input.
        mean, input_scale, raw_scale, channel_swap: for the Transformer.
        engine: as of `ImageNet`.

    Caffe: python/caffe/classifier.py
    """

    def __init__(
        self, model_file: Any, pretrained_file: Any, image_dims: Sequence[int] | None = None, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(model_file, pretrained_file, *args, **kwargs)
        self.crop_dims: np.ndarray = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims: np.ndarray = np.array(
            image_dims if image_dims is not None and len(image_dims) else self.crop_dims
        )

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Scores (N, classes).

        Args:
            inputs: images (H, W, C).
            oversample: mean over ten crops, see `io.oversample`; otherwise the centre alone.
        """
        images = np.stack([io.resize_image(image, self.image_dims) for image in inputs])
        if oversample:
            scores = self._run_on(io.oversample(images, self.crop_dims))
            return scores.reshape(len(scores) // 10, 10, -1).mean(1)
        (top, left), (bottom, right) = (
            (self.image_dims / 2 + sign * self.crop_dims / 2).astype(int) for sign in (-1, 1)
        )
        return self._run_on(images[:, top:bottom, left:right])
