"""A net's transform_param as a Keras layer, to stand in front of a model and to be exported with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe._keras import Layer
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.read import read_mean
from keras_caffe.data.augment import Augment, from_layer
from keras_caffe.data.dataset import data_layers
from keras_caffe.errors import DataError, instead
from keras_caffe.layers.records import check_transform
from keras_caffe.places import Places
from keras_caffe.shapes import Shape

PHASES = ("TRAIN", "TEST")


@keras.saving.register_keras_serializable(package="keras_caffe")
class Transform(Layer):
    """y = (x - mean) scale of a window of x, mirrored or not, as Caffe's data layers do it.

    In phase TEST the window is the central one, and with `mirror` an image is mirrored with probability 1/2 whatever
    `training` is, as in Caffe. In phase TRAIN window and mirror are drawn if `training`; else the window is central and
    nothing is mirrored.

    Args:
        crop_size: (height, width) of the window, or one number for both; None or 0 for the whole image.
        mirror: whether images are mirrored at random.
        scale: factor.
        mean_value: one number, or one for each channel, in the order blue, green, red.
        mean_shape: (C, H, W) of a mean image, whose values are the layer's weight `mean`; instead of mean_value.
        phase: "TRAIN" or "TEST".
        rgb: images come as red, green, blue; Caffe's nets take blue, green, red.
        data_format: order of the axes of images and result; default: Keras's.
        seed: of the draws.

    Shapes: (N, H, W, C), or (N, C, H, W) with channels_first, of any number type, 0 to 255 -> the same with the
    window's sizes, floating point.

    Raises:
        DataError: the image is smaller than the window, or the mean has another size.

    Caffe: src/caffe/data_transformer.cpp
    """

    def __init__(
        self,
        crop_size: int | Sequence[int] | None = None,
        mirror: bool = False,
        scale: float = 1.0,
        mean_value: float | Sequence[float] = (),
        mean_shape: Sequence[int] | None = None,
        phase: str = "TEST",
        rgb: bool = False,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        window = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size or ())
        self.crop_size: Any = window if any(window) else ()
        self.mirror, self.scale, self.phase, self.rgb, self.seed = mirror, scale, phase, rgb, seed
        self.mean_value = tuple(np.atleast_1d(mean_value).tolist())
        self.mean_shape = None if mean_shape is None else tuple(mean_shape)
        self.data_format = data_format or keras.config.image_data_format()
        if phase not in PHASES or (self.mean_value and self.mean_shape):
            raise DataError("the transformation contradicts itself", expected="phase TRAIN or TEST, one kind of mean")
        self.last = self.data_format == "channels_last"
        self.random = keras.random.SeedGenerator(seed)
        self.mean: Any = None
        if self.mean_shape:
            shape = (*self.mean_shape[1:], self.mean_shape[0]) if self.last else self.mean_shape
            self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")

    @classmethod
    def from_prototxt(
        cls,
        prototxt: str | os.PathLike[str] | Any,
        phase: str = "TEST",
        *,
        layer: str | None = None,
        level: int = 0,
        stages: Sequence[str] = (),
        base_dir: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Transform:
        """The transformation of a net's data layer.

        Args:
            prototxt: path, prototxt text, NetParameter, or a Definition that was read before.
            phase: "TRAIN" or "TEST".
            layer: name of the data layer; default: the first.
            level, stages: for include/exclude rules.
            base_dir: folder that the name of a mean_file starts at, as for `keras_caffe.dataset`.
            **kwargs: rgb, data_format, seed, and what every Keras layer takes.
        """
        definition = read_definition(prototxt).select(phase, level, stages)
        layers = data_layers(definition)
        messages = [message for message in layers if layer in (None, message.name)]
        if not messages:
            near = instead([layer], [message.name for message in layers])
            raise DataError("no such data layer", received=repr(layer), **near)
        param = messages[0].transform_param
        check_transform(param)
        mean = None
        if param.HasField("mean_file"):
            mean = read_mean(Places(base_dir, definition.path).need(param.mean_file, "mean_file"))
        augment = from_layer(messages[0], mean, phase == "TRAIN", 0)
        if mean is None or augment.mean is None:
            return cls(augment.crop, param.mirror, param.scale, list(param.mean_value), phase=phase, **kwargs)
        transform = cls(augment.crop, param.mirror, param.scale, (), augment.mean.shape, phase, **kwargs)
        transform.mean.assign(augment.mean.transpose(1, 2, 0) if transform.last else augment.mean)
        return transform

    def build(self, input_shape: Shape) -> None:
        self._check(input_shape)
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        self._check(tuple(images.shape))  # `build` saw the first images only.
        drawn = self.phase == "TRAIN" and bool(training)
        x = ops.cast(images, self.compute_dtype)
        x = ops.flip(x, -1 if self.last else 1) if self.rgb else x
        x = self._crop(self._centred(x), drawn)
        if self.mirror and (drawn or self.phase == "TEST"):
            coins = keras.random.randint((ops.shape(x)[0], 1, 1, 1), 0, 2, seed=self.random)
            x = ops.where(ops.cast(coins, "bool"), ops.flip(x, 2 if self.last else 3), x)
        return x * ops.cast(self.scale, x.dtype)

    def _check(self, images: Shape) -> None:
        """Refuses images of sizes that do not fit, as far as sizes are known."""
        mean = np.broadcast_to(np.float32(0), self.mean_shape or (len(self.mean_value) or 1, 1, 1))
        fitting = self.mean_shape or (len(mean), *(self.crop_size or (1, 1)))
        shape = [fits if size is None else size for size, fits in zip(self._caffe(images), fitting, strict=True)]
        Augment(self.crop_size or None, mean=mean).check(shape)

    def _centred(self, x: Any) -> Any:
        if self.mean is not None:
            return x - ops.cast(self.mean, x.dtype)
        if self.mean_value:
            values = np.array(self.mean_value, np.float32)
            return x - ops.cast(values if self.last else values[:, None, None], x.dtype)
        return x

    def _crop(self, x: Any, drawn: bool) -> Any:
        for axis, size in zip((1, 2) if self.last else (2, 3), self.crop_size, strict=False):
            free = ops.shape(x)[axis] - size
            if drawn:
                start = keras.random.randint((ops.shape(x)[0], 1), 0, free + 1, seed=self.random)
            else:
                start = ops.full((1, 1), free // 2, "int32")
            shape = [-1 if a == 0 else size if a == axis else 1 for a in range(4)]
            places = ops.reshape(ops.cast(start, "int32") + ops.arange(size, dtype="int32"), shape)
            x = ops.take_along_axis(x, places, axis) if drawn else ops.take(x, ops.reshape(places, (-1,)), axis)
        return x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels, *size = self._caffe(input_shape)
        size = list(self.crop_size or size)
        return (input_shape[0], *size, channels) if self.last else (input_shape[0], channels, *size)

    def _caffe(self, shape: Shape) -> Shape:
        return (shape[3], *shape[1:3]) if self.last else tuple(shape[1:])

    def get_config(self) -> dict[str, Any]:
        names = ("crop_size", "mirror", "scale", "mean_value", "mean_shape", "phase", "rgb", "data_format", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}
