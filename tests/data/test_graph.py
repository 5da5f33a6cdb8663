"""Records in TensorFlow's own operations, here and in the processes of tf.data service."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_caffe import data
from tests.data.records import datum, encoded
from tests.nets import data_net

SERVER = """
import sys
import tensorflow as tf
service = tf.data.experimental.service
kind, *address = sys.argv[1:]
if kind == "dispatcher":
    server = service.DispatchServer()
    print(server.target, flush=True)
else:
    server = service.WorkerServer(service.WorkerConfig(dispatcher_address=address[0]))
    print("ready", flush=True)
sys.stdin.read()
"""


def written(folder: Path, records: dict[bytes, bytes], shards: int = 1) -> Path:
    data.write(folder / "db.tfrecord", records.items(), kind="tfrecord", shards=shards)
    return folder / "db.tfrecord"


def test_records_are_those_of_dataset(tmp_path: Path) -> None:
    records = {b"0": datum(3), b"1": datum(4)}
    records |= {b"2": datum(5, data=encoded("png", 9, 8), encoded=True)}
    records |= {b"3": datum(6, data=encoded("jpeg", 9, 8), encoded=True)}
    path = written(tmp_path, records)
    found = list(tf.data.TFRecordDataset(str(path)).map(data.decode_record).as_numpy_iterator())
    wanted = data.dataset(data_net(path, 4), "TEST", data_format="channels_last", epochs=1)
    (batch,) = wanted.as_numpy_iterator()
    np.testing.assert_array_equal([image for image, _ in found], batch["data"])
    np.testing.assert_array_equal([label for _, label in found], batch["label"])


@pytest.mark.parametrize(("mode", "wanted"), [("RGBA", [30, 20, 10]), ("LA", [10])])
def test_alpha_is_left_out(tmp_path: Path, mode: str, wanted: list[int]) -> None:
    file = io.BytesIO()
    Image.new(mode, (4, 3), {"RGBA": (10, 20, 30, 90), "LA": (10, 90)}[mode]).save(file, "png")
    path = written(tmp_path, {b"0": datum(0, data=file.getvalue(), encoded=True)})
    ((image, _),) = tf.data.TFRecordDataset(str(path)).map(data.decode_record).as_numpy_iterator()
    np.testing.assert_array_equal(image, np.broadcast_to(np.uint8(wanted), (3, 4, len(wanted))))


@contextmanager
def server(*arguments: str) -> Iterator[str]:
    """A process of tf.data service; what it says first."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(30)


def test_two_workers_of_a_tf_data_service_read_each_record_once(tmp_path: Path) -> None:
    shards = written(tmp_path, {b"%02d" % label: datum(label) for label in range(20)}, shards=4)
    with server("dispatcher") as target, server("worker", target[7:]) as one, server("worker", target[7:]) as other:
        assert target.startswith("grpc://") and (one, other) == ("ready", "ready")
        files = tf.data.Dataset.list_files(f"{shards}/*.tfrecord", shuffle=False)
        records = files.interleave(tf.data.TFRecordDataset).map(data.decode_record)
        mode = tf.data.experimental.service.ShardingPolicy.DYNAMIC
        read = records.apply(tf.data.experimental.service.distribute(mode, target))
        assert sorted(int(label) for _, label in read.as_numpy_iterator()) == list(range(20))
