"""What the data layers that read images have in common: which sizes their parameters tell, and what Caffe refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from keras_caffe.errors import Cure, LayerError
from keras_caffe.layers.base import Arity, enum_name
from keras_caffe.layers.source import SourceLayer, record_shape
from keras_caffe.shapes import Shape, Size, Sizes


class RecordLayer(SourceLayer):
    """Base of data layers: the tops are images (N, C, H, W) and, if there is a second one, labels.

    A class names its message (`param`). The first record of the source, where it is at hand, tells what the
    parameters leave open.
    """

    tops: Arity = (1, 2)
    param: ClassVar[str] = "data_param"

    @classmethod
    def declared_shapes(cls, layer: Any) -> Sequence[Shape | None]:
        cls.check(layer)
        return [None if None in sizes else tuple(sizes) for sizes in cls.top_sizes(layer)][: len(layer.top)]

    @classmethod
    def check(cls, layer: Any) -> None:
        """Refuses what Caffe refuses without opening a file."""
        check_transform(layer.transform_param)

    @classmethod
    def batch_size(cls, layer: Any) -> int:
        return positive(getattr(layer, cls.param), "batch_size", cls.param)

    @classmethod
    def top_sizes(cls, layer: Any) -> Sequence[Shape]:
        """The tops' sizes as far as they are known, for as many tops as there can be."""
        batch = cls.batch_size(layer)
        return [cls.image_sizes(layer, batch), cls.label_shape(batch)]

    @classmethod
    def image_sizes(cls, layer: Any, batch: int) -> Shape:
        """N, C, H and W as far as they are known."""
        record = record_shape(layer) or (None, None, None)
        channels = cls.channels(layer) if record[0] is None else record[0]
        return (batch, channels, *cls.window_size(layer, cls.source_size(layer, record[1:])))

    @classmethod
    def window_size(cls, layer: Any, size: Sequence[Size]) -> Sequence[Size]:
        """(height, width) of the tops for images of this size."""
        return image_size(layer.transform_param, size)

    @classmethod
    def known_sizes(cls, layer: Any) -> Sequence[Sequence[int | str]]:
        def named(sizes: Shape) -> Sequence[int | str]:
            return [letter if size is None else size for letter, size in zip("NCHW", sizes, strict=False)]

        return [named(sizes) for sizes in cls.top_sizes(layer)][: len(layer.top)]

    @classmethod
    def channels(cls, layer: Any) -> Size:
        """The number of channels, as far as the parameters tell; raw records ignore the force_ fields."""
        transform = layer.transform_param
        if transform.force_color or transform.force_gray:
            return 3 if transform.force_color else 1
        return len(transform.mean_value) if len(transform.mean_value) > 1 else None

    @classmethod
    def source_size(cls, layer: Any, record: Sequence[Size]) -> Sequence[Size]:
        """(height, width) before the transformations."""
        return record

    @classmethod
    def label_shape(cls, batch: int) -> Sizes:
        return (batch,)

    @classmethod
    def cures(cls, layer: Any) -> tuple[Sequence[Cure], Sequence[Cure]]:
        source = getattr(layer, cls.param).source
        return (), [f"Or put the data where layer {layer.name!r} looks for them: source: {source!r}."] if source else []


def check_transform(transform: Any) -> None:
    """Refuses what Caffe's data transformer refuses (data_transformer.cpp).

    Raises:
        LayerError: mean_file with mean_value, or force_color with force_gray.
    """
    if transform.HasField("mean_file") and transform.mean_value:
        raise LayerError("mean_file and mean_value are both given", fix="Use one of them.")
    if transform.force_color and transform.force_gray:
        raise LayerError("force_color and force_gray are both set", fix="Set at most one of them.")


def image_size(transform: Any, size: Sequence[Size]) -> Sequence[Size]:
    """(height, width) after resizing (SSD's resize_param) and cropping."""
    if window := crop_window(transform):
        return window
    if transform.resize_param:  # where there are several, one is drawn for each image
        sizes = {_resized(resize) for resize in transform.resize_param}
        return sizes.pop() if len(sizes) == 1 else (None, None)
    return size


def crop_window(transform: Any) -> tuple[int, int] | None:
    """(height, width) of the crop: crop_size or, without it, SSD's crop_h and crop_w."""
    if transform.crop_size:
        return (transform.crop_size, transform.crop_size)
    return (transform.crop_h, transform.crop_w) if transform.crop_h and transform.crop_w else None


def _resized(resize: Any) -> tuple[Size, Size]:
    fixed = enum_name(resize, "resize_mode") != "FIT_SMALL_SIZE" and resize.height and resize.width
    return (resize.height, resize.width) if fixed else (None, None)


def positive(message: Any, field: str, name: str) -> int:
    """The value of a field that must be positive; `name` is the message's, for the error."""
    value = getattr(message, field)
    if value <= 0:
        raise LayerError(f"{field} is missing or 0 in {name}", expected=f"a positive {field}", received=value)
    return value
