"""Records of TFRecord files in TensorFlow's operations alone, for pipelines that run in other processes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from google.protobuf import descriptor_pb2

from keras_caffe import proto
from keras_caffe.ops.jpeg import decoded_jpeg

FIELDS = {
    "channels": tf.int32,
    "height": tf.int32,
    "width": tf.int32,
    "data": tf.string,
    "label": tf.int32,
    "encoded": tf.bool,
}


def decode_record(record: Any) -> tuple[Any, Any]:
    """A record of `keras-caffe dataset convert --to tfrecord` -> (image, label), for `tf.data.Dataset.map`.

    It is a graph of TensorFlow's own operations: tf.data service, and workers that have no keras_caffe, can run it.

    Args:
        record: an Example, as `tf.data.TFRecordDataset` gives it.

    Returns:
        The image as (H, W, C) uint8, blue-green-red or grey, as the Datum holds it or as decoded from its JPEG, PNG,
        BMP or GIF, without alpha; the label, int32.
    """
    datum = tf.io.parse_single_example(record, {"datum": tf.io.FixedLenFeature([], tf.string)})["datum"]
    _, values = tf.io.decode_proto(datum, "Datum", list(FIELDS), list(FIELDS.values()), descriptor_source=_schema())
    fields = {name: value[0] for name, value in zip(FIELDS, values, strict=True)}
    image = tf.cond(fields["encoded"], lambda: _decoded(fields["data"]), lambda: _stored(fields))
    return tf.ensure_shape(image, [None, None, None]), fields["label"]


def _schema() -> bytes:
    """Datum's definition, as decode_proto takes it."""
    file = descriptor_pb2.FileDescriptorProto(name="datum.proto")
    proto.Datum.DESCRIPTOR.CopyToProto(file.message_type.add())
    return b"bytes://" + descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()


def _stored(fields: dict[str, Any]) -> Any:
    shape = tf.stack([fields["channels"], fields["height"], fields["width"]])
    return tf.transpose(tf.reshape(tf.io.decode_raw(fields["data"], tf.uint8), shape), [1, 2, 0])


def _decoded(data: Any) -> Any:
    jpeg = tf.equal(tf.strings.substr(data, 0, 2), b"\xff\xd8")
    image = tf.cond(
        jpeg,
        lambda: decoded_jpeg(data),
        lambda: tf.io.decode_image(data, expand_animations=False),
    )
    count = tf.shape(image)[-1]
    return tf.reverse(image[..., : count - 1 + count % 2], [-1])  # of 4 channels 3, of 2 one
