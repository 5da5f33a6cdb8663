"""pycaffe's io: images, their preprocessing, arrays in Caffe's messages (python/caffe/io.py)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_caffe import proto
from keras_caffe.errors import ShapeError, unreadable
from keras_caffe.pycaffe.proto import caffe_pb2
from keras_caffe.pycaffe.resize import resize_image
from keras_caffe.pycaffe.transformer import Transformer

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "caffe_pb2",
    "datum_to_array",
    "flip_image",
    "load_image",
    "oversample",
    "resize_image",
]

FOREIGN = {"skimage": "skimage", "resize": "skimage.transform:resize", "zoom": "scipy.ndimage:zoom"}
GRAY = np.array([0.2125, 0.7154, 0.0721], np.float32)  # red, green, blue


def load_image(filename: str | os.PathLike[str] | BinaryIO, color: bool = True) -> np.ndarray:
    """Reads an image as (H, W, 3) red-green-blue, or (H, W, 1) grey; float32 from 0 to 1, of 8 bits or 16.

    `filename` may be an open file, too, such as `io.BytesIO(data)`. TIFF files need Pillow.

    Raises:
        ReadError: there is no such file. DataError: it is no image.
    """
    pixels = _pixels(_content(filename))
    if color:
        return np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)
    return pixels if pixels.shape[2] == 1 else (pixels @ GRAY)[:, :, np.newaxis]


def _content(file: str | os.PathLike[str] | BinaryIO) -> bytes:
    if not isinstance(file, (str, os.PathLike)):
        return file.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise unreadable(file, error) from None


def _pixels(data: bytes) -> np.ndarray:
    """(H, W, 1 or 3) red-green-blue, float32 from 0 to 1."""
    from keras_caffe.data.images import decode_wide

    pixels = decode_wide(data)
    scale = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    pixels = pixels[:, :, :3] if pixels.shape[2] > 2 else pixels[:, :, :1]
    return np.ascontiguousarray(pixels, np.float32) / np.float32(scale)


def flip_image(im: np.ndarray, scale: float = 128, is_flow: bool = False) -> np.ndarray:
    """The mirror image of one (H, W, C), as in the Caffe of LRCN; of optical flow, `scale` minus channel 0 of it."""
    flipped = im[:, ::-1].copy()
    if is_flow:
        flipped[:, :, 0] = scale - flipped[:, :, 0]  # what moves to the left moves to the right there
    return flipped


def oversample(
    images: Sequence[np.ndarray] | np.ndarray, crop_dims: Sequence[int] | np.ndarray, flow: bool = False
) -> np.ndarray:
    """Ten crops of each image: the four corners, the centre, and the mirror images of these five.

    Args:
        images: (H, W, C) each.
        crop_dims: (height, width).
        flow: the images are optical flow from 0 to 1, as in the Caffe of LRCN: 1 minus channel 0 of the mirror images.

    Returns:
        (10 N, height, width, C), float32; the crops of one image follow each other.
    """
    height, width = (int(size) for size in crop_dims)
    crops = []
    for image in images:
        free = image.shape[0] - height, image.shape[1] - width
        corners = [(y, x) for y in (0, free[0]) for x in (0, free[1])]
        centre = int(image.shape[0] / 2 - height / 2), int(image.shape[1] / 2 - width / 2)
        five = [image[y : y + height, x : x + width] for y, x in (*corners, centre)]
        crops += [*five, *(flip_image(crop, 1, flow) for crop in five)]
    return np.stack(crops).astype(np.float32)


def blobproto_to_array(blob: Any, return_diff: bool = False) -> np.ndarray:
    """The values (or the diff) of a BlobProto in its shape, old (num, channels, height, width) or new; float64."""
    values = np.array(blob.diff if return_diff else blob.data, np.float64)
    sizes = ("num", "channels", "height", "width")
    legacy = any(blob.HasField(size) for size in sizes)
    return values.reshape([getattr(blob, size) for size in sizes] if legacy else list(blob.shape.dim))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> Any:
    """A BlobProto with the values of an array, and a diff if one is given."""
    blob = proto.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(np.asarray(arr, np.float32).ravel())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float32).ravel())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Sequence[np.ndarray]) -> bytes:
    """A serialized BlobProtoVector of arrays."""
    return proto.BlobProtoVector(blobs=[array_to_blobproto(arr) for arr in arraylist]).SerializeToString()


def blobprotovector_str_to_arraylist(data: bytes) -> list[np.ndarray]:
    """The arrays of a serialized BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in proto.BlobProtoVector.FromString(data).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> Any:
    """A Datum of an array (C, H, W): bytes for uint8, floats for anything else.

    Raises:
        ShapeError: the array has another number of axes.
    """
    if np.ndim(arr) != 3:
        raise ShapeError("a Datum takes arrays of 3 axes", expected="(C, H, W)", received=np.shape(arr))
    datum = proto.Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2])
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(np.asarray(arr, np.float64).ravel())
    if label is not None:
        datum.label = int(label)
    return datum


def datum_to_array(datum: Any) -> np.ndarray:
    """The array (C, H, W) of a Datum that is not an encoded image; the label is not part of it."""
    values = np.frombuffer(datum.data, np.uint8).copy() if datum.data else np.array(datum.float_data, np.float64)
    return values.reshape(datum.channels, datum.height, datum.width)


def __getattr__(name: str) -> Any:
    """What Caffe's io has from other libraries, for scripts that take it from there."""
    if name not in FOREIGN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = FOREIGN[name].partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found
