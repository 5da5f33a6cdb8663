"""DataAugmentation (lmb-freiburg/flownet2: data_augmentation_layer.cpp), without its random transforms."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import CaffeWarning, LayerError, ShapeError
from keras_caffe.layers.arguments import flag, numbers, optional, per_axis, whole
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.ops.interp import centre_crop
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known

COLOURS = 3


@serializable
@register_layer("DataAugmentation")
class DataAugmentation(CaffeLayer):
    """Crops the middle and subtracts a mean, which the first passes estimate; images are not changed at random.

    Pixel x of a crop lies at column x - width / 2 + W / 2, between 0 and W - 1.05, bilinear: an odd difference blends
    two pixels, and the last column is never quite met. Each pass, also in inference, adds 1 to the counter n. Up to
    `recompute_mean` the mean image becomes ((n - 1) image + the batch's mean) / n, and the channels' mean its average;
    then one of the two is subtracted. A trained net's counter is beyond that: it only subtracts.

    Random transforms of a file are left out, with a warning where the fork would draw them: in TRAIN, and in TEST with
    augment_during_test.

    Args:
        crop: (height, width) in pixels, or one number for both; None (default): all of the image, as it is.
        recompute_mean: number of passes that estimate the mean; 0 (default): it is `mean`.
        mean_per_pixel: with `recompute_mean`, subtract the mean image (True), not that of the channels.
        mean: the mean of each channel (none).

    Shapes: (N, H, W, C) -> (N, height, width, C). The blobs are the counter (1, 1, 1, 1) and, with `recompute_mean`,
    the mean image (1, C, height, width) and the channels' mean (1, C, 1, 1).

    Raises:
        LayerError: arguments that are impossible, another number of means than 3 in a file.
        ShapeError: a bottom without exactly 4 axes, a crop larger than it, other channels than means.

    Caffe: src/caffe/layers/data_augmentation_layer.cpp (lmb-freiburg/flownet2)
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 7  # blending two pixels along each axis; difference
    has_gradient = False

    def __init__(
        self,
        crop: int | Sequence[int] | None = None,
        recompute_mean: int = 0,
        mean_per_pixel: bool = True,
        mean: float | Sequence[float] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.crop: tuple[int, ...] | None = optional(per_axis, "crop (height, width)", crop, 2, 1)
        self.recompute_mean: int = whole("recompute_mean", recompute_mean, 0)
        self.mean_per_pixel: bool = flag("mean_per_pixel", mean_per_pixel)
        self.mean: tuple[float, ...] = numbers("mean", mean)
        if self.mean and self.recompute_mean:
            raise LayerError("the mean is either given or computed", received="mean and recompute_mean")

    def call(self, inputs: Any) -> Any:
        x = ops.cast(ops.stop_gradient(inputs), self.variable_dtype)
        x = centre_crop(x, *self.crop) if self.crop else x
        self.counter.assign(self.counter + 1)
        if self.recompute_mean:
            image, channels = self._estimated(ops.mean(x, axis=0, keepdims=True))
            x = x - (image if self.mean_per_pixel else channels)
        elif self.mean:
            x = x - ops.convert_to_tensor(self.mean, x.dtype)
        return ops.cast(x, self.compute_dtype)

    def _estimated(self, batch_mean: Any) -> tuple[Any, Any]:
        """The mean image and the channels' mean after this pass."""
        n, image, channels = map(ops.convert_to_tensor, (self.counter, self.mean_image, self.channel_mean))
        estimates = n <= self.recompute_mean
        image = ops.where(estimates, ((n - 1) * image + batch_mean) / n, image)
        channels = ops.where(estimates, ops.mean(image, axis=(1, 2), keepdims=True), channels)
        self.mean_image.assign(image)
        self.channel_mean.assign(channels)
        return image, channels

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("DataAugmentation", *shapes)
        (batch, high, wide, channels) = shapes[0]
        sizes = self.crop or (high, wide)
        if any(have is not None and want > have for want, have in zip(sizes, (high, wide), strict=True) if want):
            raise ShapeError("the crop is larger than the image", expected=f"at most {(high, wide)}", received=sizes)
        if self.mean and channels not in (None, len(self.mean)):
            raise ShapeError(
                "the number of means does not match the channels", expected=channels, received=len(self.mean)
            )
        return [(batch, *sizes, channels)]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        counter = Blob("counter", (1, 1, 1, 1), trainable=False)
        if not self.recompute_mean:
            return [counter]
        high, wide, channels = known(self.top_shapes(*shapes)[0][1:])
        image = Blob("mean_image", (1, channels, high, wide), permutation=(0, 2, 3, 1), trainable=False)
        return [counter, image, image._replace(name="channel_mean", shape=(1, channels, 1, 1))]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.augmentation_param
        if enum_name(layer, "phase") == "TRAIN" or param.augment_during_test:
            _warn(layer)
        if len(param.mean) not in (0, COLOURS):
            raise LayerError("mean is that of three channels", expected="3 values", received=list(param.mean))
        given = not param.mean_per_pixel and not param.recompute_mean
        return cls(
            crop=(param.crop_height, param.crop_width) if param.crop_height and param.crop_width else None,
            recompute_mean=param.recompute_mean,
            mean_per_pixel=param.mean_per_pixel,
            mean=tuple(param.mean) if given else (),
            **kwargs,
        )


def _warn(layer: Any) -> None:
    """Names the random transforms that the fork would draw."""
    fields = [field for field, _ in layer.augmentation_param.ListFields()]
    names = [f.name for f in fields if f.message_type and f.message_type.name == "RandomGeneratorParameter"]
    if names:
        problem = f"layer {layer.name!r} (DataAugmentation): images are not changed at random by {', '.join(names)}"
        warnings.warn(problem, CaffeWarning, stacklevel=2)
