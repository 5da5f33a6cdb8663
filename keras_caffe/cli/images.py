"""Pictures as a Caffe net takes them: prepared as by Caffe's classification example, pycaffe, or a data layer.

Caffe: examples/cpp_classification, python/caffe/classifier.py, src/caffe/data_transformer.cpp
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_caffe.errors import DataError, ReadError, is_there

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = {
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
}  # of pictures in a folder


@dataclass(frozen=True)
class Preparation:
    """path -> (K, C, H, W): a picture resized, blue-green-red or grey, 0 to 255; then (x - mean) scale.

    Args:
        shape: (C, H, W) of the net's input.
        mean: what is subtracted, (C, 1, 1) or (C, H, W).
        scale: what it is multiplied by then.
        resize: (height, width) before the crop; default: that of the input.
        raw_scale: as pycaffe does it: a picture is 0 to 1, resized without rounding, and multiplied by this before the
            mean is subtracted. None: as Caffe's data layers do it, in whole numbers from 0 to 255.
        oversample: ten crops, the corners, the centre, and their mirror images, in place of the centre.
    """

    shape: tuple[int, int, int]
    mean: np.ndarray
    scale: float = 1.0
    resize: tuple[int, int] | None = None
    raw_scale: float | None = None
    oversample: bool = False

    @property
    def crops(self) -> int:
        """How many inputs of the net a picture becomes, K."""
        return 10 if self.oversample else 1

    def __call__(self, path: str) -> np.ndarray:
        import numpy as np

        from keras_caffe.converters.preprocessing import centre

        pixels = self._resized(path)
        size = self.shape[1:]
        crops = ten_crops(pixels, size) if self.oversample else centre(pixels, size)[None]
        return (crops.transpose(0, 3, 1, 2) * np.float32(self.raw_scale or 1) - self.mean) * np.float32(self.scale)

    def _resized(self, path: str) -> np.ndarray:
        from keras_caffe.converters.pictures import read_image, resized
        from keras_caffe.pycaffe.resize import resize_image

        size = self.resize or self.shape[1:]
        if self.raw_scale is None:
            return resized(read_image(path, self.shape[0]), size)
        return resize_image(from_0_to_1(path, self.shape[0]), size)

    def place(self, path: str) -> tuple[float, float, float, float]:
        """(top, left, height, width) of what the net sees of a picture, its centre crop, in the picture's pixels."""
        from keras_caffe.converters.pictures import read_image

        whole, cut = self.resize or self.shape[1:], self.shape[1:]
        height, width, _ = read_image(path, self.shape[0]).shape
        down, across = height / whole[0], width / whole[1]
        top, left = ((n - kept) // 2 for n, kept in zip(whole, cut, strict=True))
        return top * down, left * across, cut[0] * down, cut[1] * across


def from_0_to_1(path: str, channels: int) -> np.ndarray:
    """(H, W, C) float32, grey or blue-green-red, as of pycaffe's `io.load_image`: it weighs colours in its own way."""
    import numpy as np

    from keras_caffe.converters.pictures import read_image
    from keras_caffe.pycaffe.io import GRAY

    pixels = read_image(path, channels if channels != 1 else None).astype("float32") / np.float32(255)
    return pixels if pixels.shape[2] == channels else (np.ascontiguousarray(pixels[:, :, ::-1]) @ GRAY)[:, :, None]


def ten_crops(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Of (H, W, C) the ten crops (10, *size, C) of pycaffe's `io.oversample`."""
    from keras_caffe.pycaffe.io import oversample

    return oversample([pixels], size)


def of_data_layer(file: str, shape: tuple[int, int, int], resize: tuple[int, int] | None, **places: Any) -> Preparation:
    """How the data layer of a net prepares pictures in phase TEST, but for random mirror images.

    Args:
        file: the prototxt; its first layer with a transform_param counts.
        shape: (C, H, W) of the net's input.
        resize: (height, width) before the crop; default: that of the layer's resize_param, its new_height and
            new_width, the mean picture's size, or the size of the crop.
        places: `base_dir` and `confine` for the name of a mean_file, as of `keras_caffe.dataset`.

    Raises:
        ReadError, DataError, ExportError: there is no such layer, or what it says does not fit the net's input.
    """
    from keras_caffe.converters.definition import read_definition
    from keras_caffe.converters.preprocessing import Preprocessing
    from keras_caffe.converters.read import read_mean
    from keras_caffe.places import Places

    layers = [m for m in read_definition(file).select("TEST").message.layer if m.HasField("transform_param")]
    if not layers:
        raise DataError("no layer of phase TEST has a transform_param", where=file)
    param, layer = layers[0].transform_param, layers[0]
    if param.mean_file and param.mean_value:
        raise DataError(
            "mean_file and mean_value contradict each other", where=file, layer=repr(layer.name), expected="one of them"
        )
    resize = resize or _declared_size(layer, file)
    mean_file = Places(prototxt=Path(file), **places).need(param.mean_file, "mean_file") if param.mean_file else None
    if resize is None and mean_file:
        resize = read_mean(mean_file).shape[-2:]
    crop = (param.crop_size,) * 2 if param.crop_size else None
    mean = mean_file or list(param.mean_value) or 0.0
    fitted = Preprocessing(resize or crop, crop, mean, param.scale).fitted((None, *shape))
    return Preparation(shape, fitted.mean.transpose(2, 0, 1), param.scale, fitted.resize)


def _declared_size(layer: Any, file: str) -> tuple[int, int] | None:
    """The size that a layer resizes images to, by SSD's resize_param or its own fields; None: as they come."""
    (param, *more) = layer.transform_param.resize_param or [None]
    if param is None:
        size = layer.image_data_param.new_height, layer.image_data_param.new_width
        return size if all(size) else None
    bilinear = all(mode == param.LINEAR for mode in param.interp_mode)
    if more or param.resize_mode != param.WARP or not bilinear or not (param.height and param.width):
        raise DataError(
            "this kind of resize_param is not supported", where=file, layer=repr(layer.name),
            expected="one, WARP with height, width and interp_mode LINEAR",
        )  # fmt: skip
    return param.height, param.width


def pictures(names: list[str]) -> list[str]:
    """The files that names of pictures, folders and patterns (`*.jpg`) stand for, in order.

    Raises:
        ReadError: a folder without pictures, or a pattern that nothing matches.
    """
    return [file for name in names for file in _files(name)]


def _files(name: str) -> list[str]:
    if Path(name).is_dir():
        found = sorted(str(path) for path in Path(name).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise ReadError("there are no pictures in this folder", where=name, expected=", ".join(sorted(SUFFIXES)))
        return found
    return _matches(Path(name)) or [name]


def _matches(pattern: Path) -> list[str]:
    """The files that a pattern stands for where the shell left it as it is: in quotes, or on Windows."""
    if is_there(pattern):
        return []
    try:
        return sorted(map(str, Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))))
    except ValueError:  # no pattern
        return []


def mean_of(text: str, shape: tuple[int, int, int], as_pycaffe: bool = False) -> np.ndarray:
    """The mean that `--mean` names, as `Preparation` takes it.

    Args:
        text: numbers for all channels or one for each, or a .npy or .binaryproto file. A mean picture of another size
            than the input gives one number for each channel, its mean.
        shape: (C, H, W) of the net's input.
        as_pycaffe: resize a mean picture to the input's size instead, as pycaffe's Transformer does.

    Raises:
        ReadError, DataError: the file is broken, or has another number of channels.
    """
    import numpy as np

    from keras_caffe.pycaffe.transformer import Transformer

    values = _numbers(text)
    mean = np.asarray(_read_mean(text) if values is None else values, "float32")
    mean = mean.reshape(mean.shape[1:]) if mean.ndim == 4 and mean.shape[0] == 1 else mean
    if values is not None and len(values) == 1:
        return np.full((shape[0], 1, 1), mean[0])
    if mean.ndim not in (1, 3) or mean.shape[0] != shape[0]:
        raise DataError("the mean does not fit the net's input", where=text, expected=shape, received=mean.shape)
    if as_pycaffe and mean.ndim == 3:
        transformer = Transformer({"data": (1, *shape)})
        transformer.set_mean("data", mean)
        return transformer.mean["data"]
    return mean if mean.shape == tuple(shape) else mean.reshape(shape[0], -1).mean(1)[:, None, None]


def _numbers(text: str) -> list[float] | None:
    if not re.fullmatch(r"\s*[-+.\deE]+(\s*,\s*[-+.\deE]+)*\s*", text):
        return None
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return None


def _read_mean(file: str) -> np.ndarray:
    from keras_caffe.converters.read import read_array, read_mean

    return (read_array if Path(file).suffix == ".npy" else read_mean)(file)
