"""Pipelines on Beam's DirectRunner. Apache Beam has an environment of its own: it holds protobuf below 7."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import data, samples
from keras_caffe.errors import DataError
from tests.data.records import datum, write_lmdb

beam = pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
FILES = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
WAYS: dict[str, Any] = {"outputs": ["prob"], "preprocessing": {"scale": samples.SCALE}, "name": "onnxruntime"}


def digits(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)


def pictures(folder: Path, count: int) -> None:
    for number, picture in enumerate(digits(count)):
        (folder / f"{number}.png").write_bytes(tf.io.encode_png(picture.transpose(1, 2, 0)).numpy())


def features(prefix: Path) -> dict[str, np.ndarray]:
    found = {}
    for file in sorted(prefix.parent.glob(f"{prefix.name}*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            values = tf.train.Example.FromString(record).features.feature
            name = values["key"].bytes_list.value[0].decode()
            assert name not in found, "a name is written twice"
            found[name] = data.datum.parse(values["datum"].bytes_list.value[0]).pixels().ravel()
    return found


def run(source: str, prefix: Path, *flags: str, **ways: Any) -> Any:
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    pipeline = beam.Pipeline(argv=["--runner=DirectRunner", *flags])
    found = pipeline | keras_caffe.beam.Read(source) | keras_caffe.beam.Predict(*FILES, **{**WAYS, **ways})
    _ = found | keras_caffe.beam.Write(str(prefix), "prob", shards=2)
    result = pipeline.run()
    result.wait_until_finish()
    return result


def wanted(count: int) -> np.ndarray:
    model = keras_caffe.load(*FILES, data_format="channels_first")
    return model.predict_on_batch(digits(count).astype("float32") * np.float32(samples.SCALE))


def test_files_in_several_processes(tmp_path: Path) -> None:
    pictures(tmp_path, 7)
    run(f"{tmp_path}/*.png", tmp_path / "out", "--direct_num_workers=2", "--direct_running_mode=multi_processing")
    found = features(tmp_path / "out")
    assert sorted(found) == [f"{tmp_path}/{number}.png" for number in range(7)]
    np.testing.assert_allclose([found[name] for name in sorted(found)], wanted(7), rtol=1e-4, atol=1e-5)


def test_records_of_a_database_and_of_tfrecord_files(tmp_path: Path) -> None:
    records = {b"%d" % n: datum(0, (1, 28, 28), data=x.tobytes()) for n, x in enumerate(digits(4))}
    write_lmdb(tmp_path / "db", records)
    data.write(tmp_path / "db.tfrecord", records.items(), kind="tfrecord")
    for number, source in enumerate(("db", "db.tfrecord")):
        run(str(tmp_path / source), tmp_path / f"out{number}", batch_size=3)
        found = features(tmp_path / f"out{number}")
        assert sorted(found) == ["0", "1", "2", "3"]
        np.testing.assert_allclose([found[name] for name in sorted(found)], wanted(4), rtol=1e-4, atol=1e-5)


def test_a_name_that_comes_twice_is_written_once(tmp_path: Path) -> None:
    with beam.Pipeline() as pipeline:
        given = pipeline | beam.Create([("a", {"prob": np.ones(3)}), ("b", {"prob": np.zeros(3)})] * 2)
        _ = given | keras_caffe.beam.Write(str(tmp_path / "out"), "prob")
    assert sorted(features(tmp_path / "out")) == ["a", "b"]


def test_bad_pictures_stop_the_run_or_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path, 2)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    result = run(f"{tmp_path}/*.png", tmp_path / "out", on_error="skip")
    assert sorted(Path(name).name for name in features(tmp_path / "out")) == ["0.png", "1.png"]
    (counter,) = result.metrics().query(beam.metrics.MetricsFilter().with_name("unreadable"))["counters"]
    assert counter.committed == 1
    with pytest.raises(Exception, match=r"bad\.png: the image cannot be decoded"):
        run(f"{tmp_path}/*.png", tmp_path / "none")
    assert not features(tmp_path / "none")
    with pytest.raises(DataError, match="no such on_error"):
        keras_caffe.beam.Predict(*FILES, outputs=["prob"], on_error="ignore")
