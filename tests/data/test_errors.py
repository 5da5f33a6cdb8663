"""What is wrong with a source is said with its place, and nothing is changed by looking."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from PIL import Image

import keras_caffe.data.sources.leveldb as leveldb_source
import keras_caffe.data.sources.tensorflow_io as tensorflow_io_source
from keras_caffe import samples
from keras_caffe.data import dataset
from keras_caffe.data.datum import parse
from keras_caffe.data.sources import image_source
from keras_caffe.errors import CaffeError, DataError
from tests.data.golden_data import DATA
from tests.data.records import datum, labels, write_lmdb
from tests.nets import data_net, image_net
from tests.rejected import REJECTED, reason_for

CASES = {
    entry["name"]: entry
    for entry in REJECTED
    if entry["category"] == "data" and entry["name"] != "hdf5output_second_forward"
}
# A net asks for values, the dataset for arrays.
OTHERWISE = {"memory_forward_unset": "no arrays are given for data, label"}


def image(size: tuple[int, int] = (8, 9), kind: str = "PNG", seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def read_all(net: str, **kwargs: Any) -> list[Any]:
    return list(dataset(net, epochs=1, **kwargs))


@pytest.mark.parametrize("name", CASES)
def test_what_caffe_refuses_is_refused(name: str) -> None:
    entry = CASES[name]
    net = entry["prototxt"].replace("SRC/", "src/")
    with pytest.raises(CaffeError, match=OTHERWISE.get(name, reason_for(name))) as caught:
        next(iter(dataset(net, entry["phase"], base_dir=DATA)))
    assert repr(entry["layer"]) in str(caught.value)


def folder_of(path: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in path.iterdir()}


@pytest.mark.parametrize(("name", "backend"), [("rgb_lmdb", "LMDB"), ("conv_leveldb", "LEVELDB")])
def test_opening_changes_nothing(tmp_path: Path, name: str, backend: str) -> None:
    source = tmp_path / name
    shutil.copytree(DATA / "src" / name, source)
    before = folder_of(source)
    source.chmod(0o555)
    try:
        next(iter(dataset(data_net(source, backend=backend))))
    finally:
        source.chmod(0o755)
    assert folder_of(source) == before


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (data_net("src/rgb_lmdb", backend=""), ["LEVELDB, Caffe's default", "Set backend: LMDB"]),
        (data_net("src/rgb_lmdb", backend="LEVELDB"), ["received LMDB", "Set backend: LMDB"]),
        (data_net("src/conv_leveldb"), ["received LEVELDB", "Set backend: LEVELDB"]),
        (data_net("src/img"), ["this is not a database", "data.mdb"]),
        (data_net("src/rgb_lmdb", transform='mean_file: "src/graymean.binaryproto"'), ["the mean does not fit"]),
        (image_net("src/list.txt", fields='root_folder: "nowhere/"'), ["list.txt:1", "nowhere/c_0.png", "root_folder"]),
        ('layer { name: "v" type: "VideoData" top: "data" }', ["'VideoData'", "cannot be read"]),
        ('layer { name: "x" type: "Input" top: "x" }', ["no data layer", "x (Input)"]),
        (
            'layer { name: "p" type: "Python" top: "a" python_param { module: "m" layer: "L" } }',
            ["python_layers={'m.L'"],
        ),
    ],
)
def test_the_message_says_what_to_do(net: str, words: list[str]) -> None:
    with pytest.raises(CaffeError) as caught:
        dataset(net, base_dir=DATA)
    assert not [word for word in words if word not in str(caught.value)], str(caught.value)


def test_a_cut_off_lmdb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", 400)
    file = source / "data.mdb"
    whole = file.read_bytes()
    for size in (len(whole) // 2, 8192, 4096, 100, 0):
        file.write_bytes(whole[:size])
        with pytest.raises(DataError, match="cut off|cannot be read"):
            dataset(data_net(source))


def test_files_that_are_no_lmdb_are_refused(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "data.mdb").write_bytes(np.random.default_rng(0).bytes(1 << 14))
    with pytest.raises(DataError, match="cannot be read"):
        dataset(data_net(tmp_path / "db"))
    with pytest.raises(DataError, match="no records"):
        dataset(data_net(write_lmdb(tmp_path / "empty", {})))


def test_an_lmdb_that_is_written_to_can_be_read(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", 3)
    with lmdb.open(str(tmp_path / "other"), map_size=1 << 20):
        pass
    assert len(read_all(data_net(source, 1))) == 3


def test_an_lmdb_is_read_by_several_at_once() -> None:
    source = samples.path("db/mnist_test_lmdb")
    given = dataset(data_net(source, 1000), epochs=1, data_format="channels_first")
    batch = next(given.as_numpy_iterator())
    images, wanted = samples.digits()
    np.testing.assert_array_equal(batch["data"], images)
    assert labels([batch]) == list(wanted)
    again = next(dataset(data_net(source / "data.mdb", 1), epochs=1).as_numpy_iterator())
    assert labels([again]) == [wanted[0]]


def test_an_lmdb_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", 3)
    old = iter(dataset(data_net(source, 1)).as_numpy_iterator())
    next(old)
    write_lmdb(tmp_path / "new", 5)
    (tmp_path / "new" / "data.mdb").rename(source / "data.mdb")
    assert len(read_all(data_net(source, 1))) == 5
    assert labels([next(old) for _ in range(3)]) == [1, 2, 0]


def test_an_lmdb_that_is_open_elsewhere_in_the_process_can_be_read(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", 3)
    with lmdb.open(str(source), readonly=True, lock=False):
        assert len(read_all(data_net(source, 1))) == 3


BROKEN = {
    "no Datum": (b"these are not the bytes of a message", "the record is not a Datum"),
    "too few pixels": (datum(1)[:20] + b"", "not a Datum"),
    "wrong pixel count": (datum(1, channels=2), "number of pixels does not match its shape"),
    "undecodable": (datum(1, data=b"\xff\xd8 no image", encoded=True), "cannot be decoded"),
    "no image": (datum(1, data=b"text", encoded=True), "cannot be decoded"),
}


@pytest.mark.parametrize(("record", "problem"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("others", ["raw", "PNG", "JPEG"])
def test_a_bad_record_is_named_or_left_out(tmp_path: Path, record: bytes, problem: str, others: str) -> None:
    good = [datum(i) if others == "raw" else datum(i, data=image(kind=others, seed=i), encoded=True) for i in range(9)]
    records = {b"%02d" % i: record if i == 6 else good[i] for i in range(9)}
    net = data_net(write_lmdb(tmp_path / "db", records), 4)
    with pytest.raises(DataError, match=problem) as caught:
        read_all(net)
    assert "record 6 (key 06)" in str(caught.value) and "'d' (Data)" in str(caught.value)
    skipping = dataset(net, epochs=1, on_error="skip")
    assert labels(skipping.as_numpy_iterator()) == [0, 1, 2, 3, 4, 5, 7, 8]
    assert len(skipping.skipped) == 1 and "key 06" in str(skipping.skipped[0])
    endless = list(dataset(net, on_error="skip").take(4).as_numpy_iterator())
    assert [len(batch["label"]) for batch in endless] == [4] * 4


def test_the_first_record_is_counted_once_where_it_is_bad(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", {b"0": b"no", b"1": datum(1), b"2": b"no", b"3": datum(3)})
    skipping = dataset(data_net(source, 2), epochs=2, on_error="skip")
    assert labels(skipping.as_numpy_iterator()) == [1, 3, 1, 3]
    assert len(skipping.skipped) == 4


def test_images_of_any_size_may_follow_one_that_is_left_out(tmp_path: Path) -> None:
    for name, side in (("a", 4), ("b", 6)):
        (tmp_path / name).write_bytes(image((side, 5), seed=side))
    (tmp_path / "list").write_text("missing 0\na 1\nb 2\n")
    skipping = dataset(
        image_net(f"{tmp_path}/list", 1, f'root_folder: "{tmp_path}/"'), "TEST", epochs=1, on_error="skip"
    )
    assert [batch["data"].shape[1] for batch in skipping] == [4, 6]


def test_an_endless_stream_keeps_the_last_errors_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "MOST_SKIPPED", 5)
    undecodable = datum(1, data=b"\xff\xd8 no image", encoded=True)
    source = write_lmdb(tmp_path / "db", {b"0": datum(0), b"1": undecodable, b"2": datum(2)})
    skipping = dataset(data_net(source, 2), epochs=8, on_error="skip")
    assert labels(skipping.as_numpy_iterator()) == [0, 2] * 8
    assert ["key 1" in str(error) for error in skipping.skipped] == [True] * 5
    assert not any(error.__traceback__ or error.__context__ for error in skipping.skipped)  # they hold the frames


def test_a_database_of_bad_records_does_not_go_on_for_ever(tmp_path: Path) -> None:
    net = data_net(write_lmdb(tmp_path / "db", {b"0": b"no", b"1": b"no"}), 1)
    with pytest.raises(DataError, match="no record can be read"):
        dataset(net, on_error="skip")


def test_jpegs_of_other_kinds_and_sizes(tmp_path: Path) -> None:
    """A PNG and raw pixels between JPEGs are taken, with the same values; an image of another size is named."""
    jpeg = {b"%d" % i: datum(i, data=image(kind="JPEG", seed=i), encoded=True) for i in range(5)}
    mixed = {**jpeg, b"1": datum(1, data=image(seed=1), encoded=True), b"3": datum(3)}
    net = data_net(write_lmdb(tmp_path / "mixed", mixed), 5, "crop_size: 5")
    fast = next(dataset(net, seed=1, data_format="channels_first").as_numpy_iterator())
    slow = next(dataset(net, seed=1, data_format="channels_first", on_error="skip").as_numpy_iterator())
    np.testing.assert_array_equal(fast["data"], slow["data"])
    whole = next(dataset(net.replace("crop_size: 5", ""), data_format="channels_first").as_numpy_iterator())
    np.testing.assert_array_equal(whole["data"][3], parse(datum(3)).pixels())
    assert labels([fast]) == [0, 1, 2, 3, 4]
    sized = {**jpeg, b"3": datum(3, data=image((7, 9), "JPEG"), encoded=True)}
    with pytest.raises(DataError, match="differ in size.*record 3|record 3.*differ in size"):
        read_all(data_net(write_lmdb(tmp_path / "sized", sized), 5))
    with pytest.raises(DataError, match="smaller than the crop"):
        read_all(data_net(tmp_path / "sized", 5, "crop_size: 8"))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_windows_of_jpegs_are_those_of_the_whole_image(tmp_path: Path, subsampling: int) -> None:
    records = {}
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (61, 47, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", subsampling=subsampling, progressive=i % 2 == 1)
        records[b"%02d" % i] = datum(i, data=file.getvalue(), encoded=True)
    net = data_net(write_lmdb(tmp_path / "db", records), 12, "crop_size: 20 mirror: true mean_value: 9")
    fast = list(dataset(net, seed=1).take(4).as_numpy_iterator())
    slow = list(dataset(net, seed=1, on_error="skip").take(4).as_numpy_iterator())
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a["data"], b["data"])


@pytest.mark.parametrize("line", ["a.png x", "", " 3"])
def test_a_line_without_a_label_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(f"a.png 1\n{line}\nb.png 2\n")
    with pytest.raises(DataError, match=r"list\.txt:2.*no label"):
        dataset(image_net("list.txt"), base_dir=tmp_path)


def test_labels_are_read_as_c_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(image())
    (tmp_path / "c.png").write_bytes(image())
    (tmp_path / "list.txt").write_text("a b.png 3\r\na b.png -4\na b.png +5x\nc.png\nc.png \n")
    read = dataset(image_net("list.txt", 1), base_dir=tmp_path, epochs=1)
    assert labels(read.as_numpy_iterator()) == [3, -4, 5, 0, 0]


def test_images_that_cannot_be_decoded_are_named_or_left_out(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(image())
    (tmp_path / "bad.png").write_bytes(image()[:60])
    (tmp_path / "list.txt").write_text("good.png 1\nbad.png 2\ngone.png 3\ngood.png 4\n")
    with pytest.raises(DataError, match=r"list\.txt:2"):
        list(dataset(image_net("list.txt", 2), base_dir=tmp_path, epochs=1))
    skipping = dataset(image_net("list.txt", 2), base_dir=tmp_path, epochs=1, on_error="skip")
    assert labels(skipping.as_numpy_iterator()) == [1, 4]
    assert ["list.txt:2" in str(error) or "list.txt:3" in str(error) for error in skipping.skipped] == [True, True]


WINDOW = (
    'layer {{ name: "w" type: "WindowData" top: "d" top: "l" transform_param {{ crop_size: 4 }}'
    ' window_data_param {{ source: "w.txt" batch_size: 4 {} }} }}'
)
HEAD = "# 0\na.png\n3\n8\n9\n"


@pytest.mark.parametrize(
    ("text", "fields", "problem"),
    [
        (HEAD + "1\n1 0.9 0 0 3 3\n", "", "no background window"),
        (HEAD + "1\n0 0.9 0 0 3 3\n", "", "no class"),
        (HEAD + "2\n1 0.9 0 0 3 3\n", "", "another form"),
        ("a.png\n3\n", "", "another form"),
        (HEAD + "2\n1 0.9 0 0 3 3\n1 0.1 0 0 9 9\n", "", "not inside"),
        (HEAD + "2\n1 0.9 0 0 3 3\n1 0.1 0 0 3 3\n", 'crop_mode: "bend"', "crop_mode"),
        (HEAD + "2\n1 0.9 0 0 3 3\n1 0.1 0 0 3 3\n", "context_pad: 2", "context_pad"),
    ],
)
def test_window_files_are_checked(tmp_path: Path, text: str, fields: str, problem: str) -> None:
    (tmp_path / "w.txt").write_text(text)
    (tmp_path / "a.png").write_bytes(image())
    with pytest.raises(CaffeError, match=problem):
        next(iter(dataset(WINDOW.format(fields), base_dir=tmp_path)))


def test_arrays_must_fit(tmp_path: Path) -> None:
    sizes = "batch_size: 2 channels: 1 height: 2 width: 2"
    net = f'layer {{ name: "m" type: "MemoryData" top: "x" top: "y" memory_data_param {{ {sizes} }} }}'
    x, y = np.zeros((4, 1, 2, 2)), np.zeros(4)
    for arrays, reason in (
        ({"x": x}, "no arrays are given for y"),
        ({"x": x[:3], "y": y[:3]}, "a multiple of batch_size 2; received 3"),
        ({"x": x[..., :1], "y": y}, "another shape"),
        ({"x": x, "y": y[:2]}, "the number of labels does not match the number of images"),
    ):
        with pytest.raises(DataError, match=reason):
            dataset(net, arrays=arrays)
    assert len(list(dataset(net, arrays={"x": x, "y": y}, epochs=1))) == 2


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"on_error": "ignore"}, "no such on_error"),
        ({"reader": "x"}, "no such reader"),
        ({"epochs": 0}, "the number of epochs is out of range"),
        ({"shard": (2, 2)}, "no such shard"),
        ({"data_format": "NHWC"}, "no such data_format"),
        ({"phase": "VAL"}, "no such phase"),
    ],
)
def test_arguments_are_checked(kwargs: dict[str, Any], reason: str) -> None:
    with pytest.raises(CaffeError, match=reason):
        dataset(data_net("src/rgb_lmdb"), base_dir=DATA, **kwargs)


@pytest.mark.parametrize(
    ("rule", "advice"),
    [
        ('stage: "train"', "Stages in the file: 'train'. Pass stages=['train'] to keep the layer."),
        ("phase: TEST", "Pass phase='TEST' to keep the layer."),
        (None, "Give the train_val prototxt."),
    ],
)
def test_a_net_whose_data_layers_are_left_out_is_told_by_which_rule(rule: str | None, advice: str) -> None:
    left_out = data_net("src/rgb_lmdb").replace("layer {", f"layer {{ include {{ {rule} }}", 1) if rule else ""
    with pytest.raises(DataError, match="^<text>: the net has no data layer in phase TRAIN; received i") as caught:
        dataset(left_out + 'layer { name: "i" type: "Input" top: "i" }')
    assert str(caught.value).endswith(f"received i (Input). {advice}")


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plyvel", None)
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_io", None)
    with pytest.raises(DataError, match=r"keras-caffe\[leveldb\]"):
        leveldb_source.library()
    with pytest.raises(DataError, match="reader='lmdb'"):
        tensorflow_io_source.library()


def test_errors_pass_through_data_sets_made_from_it(tmp_path: Path) -> None:
    records = {b"%d" % i: datum(i) if i < 2 else b"no" for i in range(4)}
    made = dataset(data_net(write_lmdb(tmp_path / "db", records), 2), epochs=1).map(lambda batch: batch["data"])
    with pytest.raises(DataError, match="the record is not a Datum"):
        list(made)
