"""What a data set of a net's data layers is: epochs, shares, seeds, saved iterators."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.data import dataset
from keras_caffe.data.stream import Stream
from keras_caffe.errors import DataError
from tests.data.golden_data import DATA, batches, case
from tests.data.records import labels, write_lmdb
from tests.nets import data_net, image_net

AUGMENTED = "crop_size: 6 mirror: true mean_value: 100"
SOURCES = {
    "raw": data_net("src/rgb_lmdb", 5, AUGMENTED),
    "jpeg": data_net("src/jpg_lmdb", 5, AUGMENTED),
    "mean image": data_net("src/rgb_lmdb", 5, 'crop_size: 6 mirror: true mean_file: "src/mean.binaryproto"'),
    "shuffled": image_net("src/list_nopng4.txt", 5, 'root_folder: "src/img/" shuffle: true rand_skip: 4', AUGMENTED),
    "leveldb": data_net("src/conv_leveldb", 5, AUGMENTED, "LEVELDB"),
    "hdf5": 'layer { name: "d" type: "HDF5Data" top: "data" top: "label"'
    ' hdf5_data_param { source: "src/h5_list.txt" batch_size: 5 shuffle: true } }',
}


def read(net: str, count: int, **kwargs: Any) -> list[dict[str, np.ndarray]]:
    return list(dataset(net, base_dir=DATA, **kwargs).take(count).as_numpy_iterator())


def assert_same(found: list[dict[str, np.ndarray]], wanted: list[dict[str, np.ndarray]]) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.keys() == b.keys()
        for top in a:
            np.testing.assert_array_equal(a[top], b[top])


@pytest.mark.parametrize("net", SOURCES.values(), ids=SOURCES)
def test_a_seed_gives_the_same_batches_again(net: str) -> None:
    first = read(net, 9, seed=7)
    assert_same(read(net, 9, seed=7), first)
    other = read(net, 9, seed=8)
    assert any(not np.array_equal(a["data"], b["data"]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("net", [SOURCES["mean image"], SOURCES["jpeg"]], ids=["mean image", "jpeg"])
def test_a_data_set_that_is_gone_leaves_nothing_behind(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, begin = [], Stream.__init__
    monkeypatch.setattr(Stream, "__init__", lambda self, *args: made.append(weakref.ref(self)) or begin(self, *args))
    iterator = iter(dataset(net, base_dir=DATA).map(lambda batch: batch["data"]).prefetch(1))
    next(iterator)
    gc.collect()
    assert [stream() is not None for stream in made] == [True]
    del iterator
    until = time.monotonic() + 10  # the batch that was in the making may need a moment to end
    while made[0]() is not None and time.monotonic() < until:
        gc.collect()
    assert [stream() for stream in made] == [None]


def test_data_sets_may_be_made_in_functions() -> None:
    def made(_: Any = None) -> tf.data.Dataset:
        return dataset(SOURCES["mean image"], base_dir=DATA, seed=7).take(2)

    @tf.function
    def total() -> tf.Tensor:
        value = tf.zeros(())
        for batch in made():
            value += tf.reduce_sum(batch["data"])
        return value

    nested = tf.data.Dataset.range(2).flat_map(made)
    once = sum(batch["data"].sum() for batch in made().as_numpy_iterator())
    for _ in range(2):
        gc.collect()
        np.testing.assert_allclose(total(), once, rtol=1e-4)  # a float32 sum of some thousand values
        assert len(list(nested)) == 4


@pytest.mark.parametrize("net", SOURCES.values(), ids=SOURCES)
def test_a_saved_iterator_goes_on_at_the_same_record(net: str, tmp_path: Path) -> None:
    wanted = read(net, 9, seed=7)
    iterator = iter(dataset(net, base_dir=DATA, seed=7))
    for _ in range(4):
        next(iterator)
    saved = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
    again = iter(dataset(net, base_dir=DATA, seed=7))
    tf.train.Checkpoint(iterator=again).restore(saved).assert_consumed()
    assert_same([{top: x.numpy() for top, x in next(again).items()} for _ in range(5)], wanted[4:])


def test_without_a_seed_every_data_set_draws_anew() -> None:
    assert not np.array_equal(read(SOURCES["raw"], 1)[0]["data"], read(SOURCES["raw"], 1)[0]["data"])


@pytest.mark.parametrize("net", [SOURCES["raw"], SOURCES["jpeg"]], ids=["raw", "jpeg"])
def test_epochs_end_in_mid_batch_and_go_on_there(net: str) -> None:
    endless = dataset(net, base_dir=DATA)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    stream = labels(read(net, 6))
    for epochs, drop, sizes in ((1, False, [5, 5, 3]), (2, False, [5] * 5 + [1]), (2, True, [5] * 5)):
        given = dataset(net, base_dir=DATA, epochs=epochs, drop_remainder=drop)
        found = list(given.as_numpy_iterator())
        assert [len(batch["label"]) for batch in found] == sizes
        assert given.cardinality() == len(sizes)
        assert labels(found) == stream[: sum(sizes)]


@pytest.mark.parametrize("name", ["raw", "shuffled", "leveldb", "hdf5"])
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_share_every_epoch(name: str, workers: int) -> None:
    """Each record once an epoch, whichever worker takes it; no worker draws what another one draws."""
    net, epochs = SOURCES[name].replace("rand_skip: 4", "").replace("batch_size: 5", "batch_size: 1"), 3
    whole = dataset(net, base_dir=DATA, seed=3, epochs=epochs, data_format="channels_first")
    whole = list(whole.as_numpy_iterator())
    parts = [
        list(
            dataset(
                net, base_dir=DATA, seed=3, epochs=epochs, shard=(worker, workers), data_format="channels_first"
            ).as_numpy_iterator()
        )
        for worker in range(workers)
    ]
    for worker, part in enumerate(parts):
        assert_same(part, whole[worker::workers])


def test_workers_without_a_seed_agree_on_the_order() -> None:
    net = SOURCES["shuffled"].replace("rand_skip: 4", "").replace("batch_size: 5", "batch_size: 1")
    found = [labels(dataset(net, base_dir=DATA, epochs=1, shard=(worker, 2)).as_numpy_iterator()) for worker in (0, 1)]
    wanted = labels(dataset(net.replace("shuffle: true", ""), base_dir=DATA, epochs=1).as_numpy_iterator())
    assert sorted(found[0] + found[1]) == sorted(wanted)


def test_two_processes_of_a_strategy_read_each_record_once(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", 23)
    worker = Path(__file__).with_name("worker.py")
    command = [sys.executable, str(worker), data_net(source, 2)]
    runs = [
        subprocess.Popen([*command, str(index), str(tmp_path)], stdout=subprocess.PIPE, text=True) for index in (0, 1)
    ]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    assert all(found), "a worker read nothing"
    assert sorted(found[0] + found[1]) == list(range(23))


def test_a_batch_holds_batch_size_records_for_each_replica(tmp_path: Path) -> None:
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        assert dataset(SOURCES["raw"], base_dir=DATA).element_spec["label"].shape == (5,)
    two = tf.config.list_logical_devices("CPU")
    assert len(two) == 1  # several replicas are tried in worker.py's processes


def test_layout_follows_data_format(monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(SOURCES["raw"], 1, seed=1, data_format="channels_first")[0]["data"]
    last = read(SOURCES["raw"], 1, seed=1, data_format="channels_last")[0]["data"]
    assert first.shape == (5, 3, 6, 6)
    np.testing.assert_array_equal(last, first.transpose(0, 2, 3, 1))
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    assert dataset(SOURCES["raw"], base_dir=DATA).element_spec["data"].shape == (5, 3, 6, 6)


def test_random_crops_and_mirrors_are_windows_of_the_record() -> None:
    whole = read(data_net("src/rgb_lmdb", 13), 1, data_format="channels_first")[0]["data"]
    found = read(data_net("src/rgb_lmdb", 13, "crop_size: 6 mirror: true"), 8, seed=5, data_format="channels_first")
    places = set()
    for batch in found:
        for image, window in zip(whole, batch["data"], strict=True):
            options = {
                (top, left, mirror): image[:, top : top + 6, left : left + 6][:, :, :: -1 if mirror else 1]
                for top in range(5)
                for left in range(7)
                for mirror in (False, True)
            }
            hits = [place for place, option in options.items() if np.array_equal(option, window)]
            assert len(hits) == 1
            places.add(hits[0])
    assert {place[0] for place in places} == set(range(5)) and {place[1] for place in places} == set(range(7))
    assert {place[2] for place in places} == {False, True}


def test_in_test_phase_the_window_is_central_and_mirrors_are_drawn() -> None:
    meta, arrays = case("test_mirror_random")
    whole = read(data_net("src/rgb_lmdb", 13), 1, data_format="channels_first")[0]["data"][:, :, 2:8, 3:9]
    mirrored = set()
    for number, batch in enumerate(batches(meta, arrays, seed=1)):
        for place, window in enumerate(batch["data"]):
            image = whole[(5 * number + place) % 13]
            assert np.array_equal(window, image) or np.array_equal(window, image[:, :, ::-1])
            mirrored.add(np.array_equal(window, image))
        np.testing.assert_array_equal(batch["label"], arrays[f"f{number}/label"])
    assert mirrored == {False, True}


def test_shuffling_gives_a_new_permutation_each_epoch() -> None:
    net = image_net("src/list_nopng4.txt", 6, 'root_folder: "src/img/" shuffle: true')
    epochs = [labels([batch]) for batch in read(net, 4, seed=2)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_rand_skip_leaves_out_less_than_it_says() -> None:
    net = image_net("src/list_nopng4.txt", 1, 'root_folder: "src/img/" rand_skip: 3')
    order = labels(read(net.replace("rand_skip: 3", ""), 6))
    starts = {labels(read(net, 1, seed=seed))[0] for seed in range(20)}
    assert starts == set(order[:3])


def test_dummy_data_are_drawn_anew_in_every_batch() -> None:
    meta, arrays = case("dummy_random")
    first, second = batches(meta, arrays, seed=4)
    assert not np.array_equal(first["a"], second["a"])
    assert abs(first["a"].mean() - 1) < 0.2 and abs(first["a"].std() - 2) < 0.2
    assert -1 <= first["b"].min() and first["b"].max() < 3
    assert_same(batches(meta, arrays, seed=4), [first, second])


def test_several_data_layers_give_one_dict() -> None:
    net = data_net("src/rgb_lmdb", 5) + SOURCES["hdf5"].replace('"data"', '"aux"').replace('top: "label"', "")
    batch = read(net, 1)[0]
    assert {top: x.shape for top, x in batch.items()} == {"data": (5, 10, 12, 3), "label": (5,), "aux": (5, 2)}


def test_a_model_trains_on_it(tmp_path: Path) -> None:
    net = data_net(write_lmdb(tmp_path / "db", 12), 4, "scale: 0.00390625")
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(12, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    given = dataset(net, epochs=2).map(lambda batch: (batch["data"], batch["label"]))
    assert np.isfinite(model.fit(given, verbose=0, shuffle=False).history["loss"]).all()


def test_the_size_of_the_first_record_tells_load_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA)
    net = data_net("src/rgb_lmdb", 5) + 'layer { name: "p" type: "Power" bottom: "data" top: "p" }'
    assert keras_caffe.load(net, phase="TRAIN").net is not None
    assert tuple(keras_caffe.load(net, phase="TRAIN").blobs["data"].shape) == (None, 10, 12, 3)
    listed = image_net("src/list_full.txt", 2) + 'layer { name: "p" type: "Power" bottom: "data" top: "p" }'
    assert tuple(keras_caffe.load(listed, phase="TRAIN").blobs["data"].shape) == (None, 10, 12, 3)


def test_names_start_at_the_working_directory_then_at_the_prototxt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    (there / "net.prototxt").write_text(data_net("db", 1))
    write_lmdb(there / "db", 3)
    monkeypatch.chdir(here)
    assert len(list(dataset(there / "net.prototxt", epochs=1))) == 3
    write_lmdb(here / "db", 2)
    assert len(list(dataset(there / "net.prototxt", epochs=1))) == 2
    with pytest.raises(DataError, match="base_dir"):
        dataset(there / "net.prototxt", base_dir=tmp_path)
