"""Batches of serialized Datum records in a TensorFlow graph (data_transformer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from keras_caffe.layout import DATA_FORMATS
from keras_caffe.ops import native


def datum_batch(
    records: Any,
    windows: Any,
    mean: Any = None,
    *,
    shape: Sequence[int],
    size: Sequence[int],
    scale: float = 1.0,
    data_format: str = "channels_last",
) -> tuple[Any, Any]:
    """Crops, mirrors and scales: y = (x - mean) scale of a window of each record, the mean read where x comes from.

    For records that are in a graph already, such as those of a TFRecord file; `keras_caffe.dataset` reads databases.

    Args:
        records: (N,) strings, serialized Datums of raw pixels, all of one shape.
        windows: (N, 3) integers: whether a record is mirrored, first row and first column of its window.
        mean: None, or (1, 1, 1), (C, 1, 1) or (C, H, W) numbers.
        shape: (C, H, W) of the records.
        size: (height, width) of the windows.
        scale: factor.
        data_format: order of the batch's axes.

    Returns:
        The float32 batch, and the (N,) labels.

    Raises:
        tf.errors.InvalidArgumentError: a record is no such Datum, or a window or mean does not fit.
    """
    import tensorflow as tf

    mean = tf.zeros((0, 1, 1)) if mean is None else tf.convert_to_tensor(mean, tf.float32)
    kernel = None if native.made_for_xla() else native.operation("DatumBatch")
    attributes = {"shape": [*shape, *size], "scale": scale, "data_format": data_format}
    return (kernel or datum_batch_twin)(records=records, windows=windows, mean=mean, **attributes)


def datum_batch_twin(
    records: Any, windows: Any, mean: Any, shape: Sequence[int], scale: float = 1.0, data_format: str = DATA_FORMATS[0]
) -> tuple[Any, Any]:
    """`datum_batch` without its native kernel; `shape` is (C, H, W, window height, window width)."""
    import tensorflow as tf

    stated, label, data, floats = _fields(tf.convert_to_tensor(records))
    sizes = tf.constant(shape[:3], tf.int32)
    pixels = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.float32)
    values = floats if floats.shape[1] != 0 and tf.size(pixels) == 0 else pixels
    fits = tf.reduce_all(stated == sizes) & (tf.shape(values)[1] == int(np.prod(shape[:3])))
    with tf.control_dependencies([tf.debugging.Assert(fits, ["a record is no raw Datum of the shape", sizes])]):
        images = tf.transpose(tf.reshape(values, (-1, *shape[:3])), (0, 2, 3, 1))
    if mean.shape[0] != 0:
        images -= tf.transpose(mean, (1, 2, 0))
    batch = _windows(images * scale, tf.cast(windows, tf.int32), shape[3:])
    return (batch if data_format == DATA_FORMATS[0] else tf.transpose(batch, (0, 3, 1, 2))), tf.cast(label, tf.float32)


def _windows(images: Any, windows: Any, size: Sequence[int]) -> Any:
    import tensorflow as tf

    rows = windows[:, 1:2] + tf.range(size[0])
    columns = windows[:, 2:3] + tf.range(size[1])
    columns = tf.where(windows[:, :1] != 0, columns[:, ::-1], columns)
    return tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def _fields(records: Any) -> tuple[Any, Any, Any, Any]:
    """(N, 3) shapes, (N,) labels, (N,) bytes, and (N, values) floats of Datums."""
    import tensorflow as tf

    numbers = {"channels": tf.int32, "height": tf.int32, "width": tf.int32, "label": tf.int32}
    kinds = {**numbers, "data": tf.string, "float_data": tf.float32}
    values = tf.io.decode_proto(records, "caffe.Datum", list(kinds), list(kinds.values()), _descriptors()).values
    *shape, label, data, floats = values
    return tf.concat(shape, axis=1), label[:, 0], data[:, 0], floats


@cache
def _descriptors() -> bytes:
    """Caffe's messages as tf.io.decode_proto takes them."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    from keras_caffe.proto import schema

    return b"bytes://" + FileDescriptorSet(file=[schema.file_descriptor()]).SerializeToString()
