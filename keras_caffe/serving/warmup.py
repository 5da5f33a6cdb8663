"""Warm-up requests: what TensorFlow Serving sends a version before its first caller does.

A TFRecord file of PredictionLog messages, of which only `predict_log.request` is used. The few fields needed are
declared here in a pool of their own (their numbers: tensorflow_serving/apis/prediction_log.proto, predict.proto,
model.proto); tensors are kept as bytes, which lie in a file as the message itself does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from keras_caffe.errors import ExportError

FILE = Path("assets.extra") / "tf_serving_warmup_requests"

BYTES, STRING, MESSAGE = 12, 9, 11
MESSAGES: dict[str, list[tuple[str, int, int, str | None]]] = {
    "ModelSpec": [("name", 1, STRING, None), ("signature_name", 3, STRING, None)],
    "InputsEntry": [("key", 1, STRING, None), ("value", 2, BYTES, None)],
    "PredictRequest": [("model_spec", 1, MESSAGE, "ModelSpec"), ("inputs", 2, MESSAGE, "InputsEntry")],
    "PredictLog": [("request", 1, MESSAGE, "PredictRequest")],
    "PredictionLog": [("predict_log", 6, MESSAGE, "PredictLog")],
}


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="keras_caffe_warmup.proto", package="tensorflow.serving")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            label = 3 if of == "InputsEntry" else 1  # repeated or optional; a map is a repeated message of pairs
            type_name = f".tensorflow.serving.{of}" if of else None
            message.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def prediction_log() -> Any:
    """A new, empty PredictionLog."""
    descriptor = _pool().FindMessageTypeByName("tensorflow.serving.PredictionLog")
    return message_factory.GetMessageClass(descriptor)()


def request(signature: str, function: Any, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A request as a signature takes it: its inputs, of its types.

    Raises:
        ExportError: inputs are missing or unknown, or an array does not fit.
    """
    _, specs = function.structured_input_signature
    if set(given) != set(specs):
        where = f"warm-up request for {signature!r}"
        raise ExportError("other inputs", where=where, expected=", ".join(specs), received=", ".join(given))
    return {
        name: _array(f"input {name!r} of signature {signature!r}", spec, given[name]) for name, spec in specs.items()
    }


def _array(where: str, spec: tf.TensorSpec, given: Any) -> np.ndarray:
    found = np.asarray(given)
    kinds = "SUO" if spec.dtype == tf.string else "biuf"
    if found.dtype.kind not in kinds or not spec.shape.is_compatible_with(found.shape):
        raise ExportError(
            "the array of a warm-up request does not fit",
            where=where,
            expected=f"{spec.dtype.name} {spec.shape}",
            received=f"{found.dtype} {found.shape}",
        )
    return found.astype(spec.dtype.as_numpy_dtype)


def write(folder: Path, model: str, requests: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Writes the file of a version.

    Args:
        folder: the version's folder.
        model: the name it is served under; Serving takes records of any name.
        requests: {signature: {input: array}}.
    """
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            log = prediction_log()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = model, signature
            for key, array in inputs.items():
                request.inputs.add(key=key, value=tf.make_tensor_proto(array).SerializeToString())
            writer.write(log.SerializeToString())


def read(path: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(signature, {input: array}) of each record of a file."""
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log()
        log.ParseFromString(record)
        request = log.predict_log.request
        tensors = {
            entry.key: tf.make_ndarray(tensor_pb2.TensorProto.FromString(entry.value)) for entry in request.inputs
        }
        yield request.model_spec.signature_name, tensors
