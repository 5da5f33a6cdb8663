"""pycaffe's Detector: class scores for windows of images, as R-CNN wants them (python/caffe/detector.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_caffe.errors import DataError
from keras_caffe.pycaffe import io
from keras_caffe.pycaffe.classifier import ImageNet


class Detector(ImageNet):
    """Scores for windows (ymin, xmin, ymax, xmax).

    Args:
        model_file, pretrained_file: prototxt and caffemodel.
        mean, input_scale, raw_scale, channel_swap: for the Transformer.
        context_pad: pixels of the net's input around the window that show its surroundings; outside the image lies
            the mean.

    Caffe: python/caffe/detector.py
    """

    crop_dims: np.ndarray
    context_pad: int | None
    crop_mean: np.ndarray

    def __init__(self, *args: Any, context_pad: int | None = None, **kwargs: Any) -> None:
        if len(args) > 6:  # after channel_swap
            args, context_pad = args[:6], args[6]
        super().__init__(*args, **kwargs)
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """Sets `context_pad`."""
        in_ = self.inputs[0]
        channels, height, width = self.blobs[in_].shape[1:]
        self.crop_dims, self.context_pad = np.array([height, width, channels]), context_pad
        self.crop_mean = self._unprocessed_mean(in_)

    def _unprocessed_mean(self, in_: str) -> np.ndarray:
        """The mean as an image that is not yet preprocessed."""
        mean = self.transformer.mean.get(in_)
        if mean is None:
            return np.zeros(self.crop_dims, np.float32)
        if in_ in self.transformer.channel_swap:
            mean = mean[np.argsort(self.transformer.channel_swap[in_])]
        return mean.transpose(1, 2, 0) / np.float32(self.transformer.raw_scale.get(in_, 1))

    def detect_windows(self, images_windows: Iterable[tuple[str, Sequence[Sequence[float]]]]) -> list[dict[str, Any]]:
        """Scores windows of image files.

        Args:
            images_windows: pairs (file name, windows).

        Returns:
            One dict for each window: window, prediction, filename.
        """
        pairs = [(file, np.asarray(window)) for file, windows in images_windows for window in windows]
        images = {file: io.load_image(file) for file in dict.fromkeys(file for file, _ in pairs)}
        scores = self._run_on([self.crop(images[file], window) for file, window in pairs])
        return [
            {"window": window, "prediction": score, "filename": file}
            for (file, window), score in zip(pairs, scores, strict=True)
        ]

    def detect_selective_search(self, image_fnames: Sequence[str]) -> list[dict[str, Any]]:
        """Refused: it needs a MATLAB package; give the windows to `detect_windows`."""
        raise DataError("selective search needs a MATLAB package", fix="Give the windows to detect_windows.")

    def crop(self, im: np.ndarray, window: np.ndarray) -> np.ndarray:
        """The window of an image, with its surroundings if `context_pad` is set."""
        if not self.context_pad:
            top, left, bottom, right = window.astype(int)
            return im[top:bottom, left:right]
        box, into = self._with_context(im.shape, np.asarray(window, float))
        padded = np.ones(self.crop_dims, np.float32) * self.crop_mean
        (y, x), (height, width) = into
        padded[y : y + height, x : x + width] = io.resize_image(im[box[0] : box[2], box[1] : box[3]], (height, width))
        return padded

    def _with_context(self, shape: Sequence[int], window: np.ndarray) -> tuple[Any, Any]:
        """The box in the image, and the place (corner, size) in the crop that it fills."""
        size = self.blobs[self.inputs[0]].width
        half = (window[2:] - window[:2] + 1) / 2
        reach = half * size / (size - 2 * self.context_pad)  # type: ignore[operator]
        centre = window[:2] + half
        box = np.round(np.concatenate([centre - reach, centre + reach]))
        scale = size / (box[2:] - box[:2] + 1)
        corner = [round(v) for v in np.maximum(0, -box[:2]) * scale]
        box = np.clip(box, 0, [*shape[:2], *shape[:2]]).astype(int)
        filled = [round(v) for v in (box[2:] - box[:2] + 1) * scale]
        return box, (corner, [min(f, size - c) for f, c in zip(filled, corner, strict=True)])
