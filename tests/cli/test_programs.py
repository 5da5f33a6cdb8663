"""`keras-caffe caffe ...`: Caffe's programs with their flags, files, exit codes and log."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from PIL import Image

import keras_caffe
from keras_caffe import proto, samples
from keras_caffe.cli import main
from keras_caffe.cli.programs import ABORTED
from keras_caffe.converters.read import read_mean
from keras_caffe.data.statistics import open_any
from tests.shared_goldens import GOLDENS
from tests.solver import digits

SRC = GOLDENS / "data" / "src"
GLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (\w+\.\w+):\d+\] (.*)")
LENET, WEIGHTS = str(samples.path("lenet.prototxt")), str(samples.path("lenet.caffemodel"))


@pytest.fixture
def caffe(capfd: pytest.CaptureFixture[str]):
    """Runs a program; returns its exit code, its log as (level, file, text), and the other lines of both streams."""

    def run(*arguments: object) -> tuple[int, list[tuple[str, ...]], list[str]]:
        code = main(["caffe", *map(str, arguments)])
        captured = capfd.readouterr()
        lines = captured.err.splitlines()
        log = [found.groups() for found in map(GLOG.fullmatch, lines) if found]
        return code, log, [*captured.out.splitlines(), *(line for line in lines if not GLOG.fullmatch(line))]

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a solver, its net, its data and what training left."""
    folder = tmp_path_factory.mktemp("trained")
    text = "max_iter: 4 display: 2 test_iter: 2 test_interval: 2 snapshot: 2"
    digits.write(folder, text)
    return folder


@pytest.fixture
def work(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def texts(log: list[tuple[str, ...]], file: str) -> list[str]:
    return [text for _, where, text in log if where == file]


def test_train_test_and_resume(work: Path, caffe) -> None:
    code, log, _ = caffe("train", "-solver=solver.prototxt", "--gpu", "0", "--sighup-effect", "none", "--log_dir=.")
    assert code == 0
    assert [text for level, _, text in log if level == "W"][0].startswith("--gpu has no effect")
    said = texts(log, "solver.cpp")
    assert {"Solving LeNet", "Learning Rate Policy: step", "Optimization Done."} <= set(said)
    losses = [line for line in said if ", loss = " in line]
    assert [re.match(r"Iteration \d+", line)[0] for line in losses] == [f"Iteration {i}" for i in (0, 2, 4)]
    assert [line for line in said if "Testing net (#0)" in line][-1] == "Iteration 4, Testing net (#0)"
    assert re.fullmatch(r"    Test net output #1: loss = \S+ \(\* 1 = \S+ loss\)", said[-2])
    assert "Iteration 2, lr = 0.001" in texts(log, "sgd_solver.cpp")
    assert "Snapshotting to binary proto file digits_iter_4.caffemodel" in said
    assert texts(log, "caffe.cpp")[-2:] == ["Starting Optimization", "Optimization Done."]
    assert "Optimization Done." in (work / "caffe.INFO").read_text()

    code, log, _ = caffe("train", "--solver", "solver.prototxt", "--snapshot=digits_iter_2.solverstate")
    assert code == 0 and "Resuming from digits_iter_2.solverstate" in texts(log, "caffe.cpp")

    weights = work / "digits_iter_4.caffemodel"
    code, log, _ = caffe("test", "--model=net.prototxt", f"--weights={weights}", "--iterations=2")
    said = texts(log, "caffe.cpp")
    assert code == 0
    batches = [float(line.rpartition(" ")[2]) for line in said if re.match(r"Batch \d, accuracy = ", line)]
    assert len(batches) == 2
    assert f"accuracy = {np.mean(batches):g}" in said


def test_features_become_datums_as_in_caffe(work: Path, caffe, tmp_path: Path) -> None:
    model = keras_caffe.load("net.prototxt")
    keras_caffe.save(model, caffemodel=tmp_path / "w.caffemodel")
    out = [tmp_path / "conv1", tmp_path / "ip2"]
    arguments = (tmp_path / "w.caffemodel", "net.prototxt", "conv1,ip2", f"{out[0]},{out[1]}", 3, "lmdb", "GPU", 0)
    code, log, _ = caffe("extract_features", *arguments)
    assert code == 0 and log[-1][2] == "Successfully extracted the features!"
    keys, datums = zip(*open_any(out[0]).items(), strict=True)
    assert [bytes(keys[0]), bytes(keys[-1])] == [b"0000000000", b"0000000047"]
    first = proto.Datum.FromString(bytes(datums[0]))
    assert (first.channels, first.height, first.width) == (6, 12, 12)
    batch = next(iter(keras_caffe.dataset("net.prototxt", "TEST")))["data"]
    expected = model.extract(["conv1"])(batch)["conv1"][0].numpy().transpose(2, 0, 1)
    np.testing.assert_allclose(np.reshape(first.float_data, (6, 12, 12)), expected, rtol=1e-4, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conv1", "ip2", "w.caffemodel"]

    assert caffe("extract_features", *arguments)[0] == ABORTED  # the databases exist
    assert caffe("extract_features", *arguments[:4])[0] == 1


def test_extract_goes_on_where_it_was_interrupted(work: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    keras_caffe.save(keras_caffe.load("net.prototxt"), caffemodel=tmp_path / "w.caffemodel")
    command = ["extract", "net.prototxt", str(tmp_path / "w.caffemodel"), "--blobs", "ip2,label", "--iterations", "4"]
    assert main([*command, "-o", str(tmp_path / "whole.npz")]) == 0
    from keras_caffe.cli import extract

    def interrupted(numbers, *_: object):
        for number in numbers:
            yield number
            if number == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(extract, "progress", interrupted)
        assert main([*command, "-o", str(tmp_path / "parts.h5")]) == 130
    assert not (tmp_path / "parts.h5").exists()
    assert main([*command, "-o", str(tmp_path / "parts.h5")]) == 0
    assert "going on from batch 2 of 4" in capsys.readouterr().out
    assert not (tmp_path / "parts.h5.part").exists()
    with np.load(tmp_path / "whole.npz") as whole, h5py.File(tmp_path / "parts.h5") as parts:
        assert whole["ip2"].shape == (64, 10)
        np.testing.assert_array_equal(whole["ip2"], parts["ip2"][:])
        np.testing.assert_array_equal(whole["label"], parts["label"][:])
        assert whole["label"][0] == samples.digits()[1][0]


def test_extract_goes_on_with_the_same_data_and_engine_alone(work: Path, tmp_path: Path) -> None:
    from keras_caffe.cli.features import Features

    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data" type: "ImageData" top: "data" top: "label" '
        'image_data_param { source: "list.txt" batch_size: 1 } } '
        'layer { name: "out" type: "Power" bottom: "data" top: "out" }'
    )
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((4, 4, 3), "uint8")).save(tmp_path / name / "0.png")
        (tmp_path / name / "list.txt").write_text("0.png 0\n")

    def identity(folder: str, **options: Any) -> Any:
        return json.dumps(
            Features(tmp_path / "net.prototxt", [], ["out"], base_dir=tmp_path / folder, **options).identity
        )

    first = identity("one")
    assert identity("one") == first != identity("other")
    assert identity("one", engine=lambda *_: SimpleNamespace(name="openvino", precision="float32")) != first
    (tmp_path / "one" / "list.txt").write_text("0.png 0\n0.png 0\n")
    assert identity("one", batches=1) != first


def test_extract_takes_every_record_once(work: Path, tmp_path: Path) -> None:
    keras_caffe.save(keras_caffe.load("net.prototxt"), caffemodel=tmp_path / "w.caffemodel")
    assert main(["extract", "net.prototxt", str(tmp_path / "w.caffemodel"), "--blob=ip2", "-o", f"{tmp_path}/db"]) == 0
    assert open_any(tmp_path / "db").count() == 1000  # batches of 16


@pytest.mark.parametrize(
    ("bottoms", "engine"),
    [(("ip2", "label"), ()), (("label", "data"), ()), (("ip2", "label"), ("--engine=tensorflow",))],
)
def test_extract_writes_the_files_of_the_net(bottoms, engine, work: Path, tmp_path: Path, capfd) -> None:
    net, weights, out = tmp_path / "net.prototxt", str(tmp_path / "w.caffemodel"), tmp_path / "out.npz"
    named = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    net.write_text(
        f'{digits.NET} layer {{ name: "o" type: "HDF5Output" {named} hdf5_output_param {{ file_name: "o.h5" }} }}'
    )
    keras_caffe.save(keras_caffe.load("net.prototxt"), caffemodel=weights)
    blobs = ",".join({"ip2", *bottoms})
    assert main(["extract", str(net), weights, "--blobs", blobs, "-o", str(out), "--iterations=3", *engine]) == 0
    assert "warning" not in capfd.readouterr().err
    features = np.load(out)
    with h5py.File("o.h5") as file:
        for name, bottom in zip(("data", "label"), bottoms, strict=True):
            np.testing.assert_array_equal(file[name][:].ravel(), features[bottom][32:].ravel())  # the last batch of 16


def test_time_has_a_line_for_each_layer(caffe) -> None:
    code, log, _ = caffe("time", "-model", LENET, "-iterations", 2, "-phase", "TEST")
    said = texts(log, "caffe.cpp")
    assert code == 0
    assert [line.split(":")[0] for line in said if "forward-backward time" in line] == ["Iteration"] * 2
    for way in ("forward", "backward"):
        times = [re.fullmatch(rf" *(\w+)\t{way}: [\d.e-]+ ms\.", line) for line in said]
        assert [found[1] for found in times if found][:4] == ["data", "conv1", "pool1", "conv2"]
    assert said[-1] == "*** Benchmark ends ***"


def test_time_reads_the_net_s_data_and_lists_caffe_s_layers(work: Path, caffe, tmp_path: Path, monkeypatch) -> None:
    more = """
    layer { name: "unused" type: "Silence" bottom: "label" }
    layer { name: "noise" type: "DummyData" top: "noise" dummy_data_param { shape { dim: 2 } } }
    layer { name: "seen" type: "Silence" bottom: "noise" include { phase: TEST } }
    """
    net = tmp_path / "net.prototxt"
    net.write_text(digits.NET + more)
    code, log, _ = caffe("time", "-model", net, "-iterations", 3)
    assert code == 0 and "W" not in [level for level, *_ in log]
    said = texts(log, "caffe.cpp")
    found = [re.fullmatch(r" *(\S+)\tforward: (\S+) ms\.", line) for line in said]
    times = {row[1]: float(row[2]) for row in found if row}
    names = ["mnist", "label_mnist_1_split", "conv1", "bn1", "relu1", "ip2", "loss", "unused", "noise"]
    assert list(times) == names
    assert min(times[name] for name in ("mnist", "conv1", "bn1", "ip2", "loss")) > 0
    assert times["label_mnist_1_split"] == times["noise"] == 0

    def unreadable(*_: object, **__: object) -> None:
        raise keras_caffe.CaffeError("the data are nowhere")

    monkeypatch.setattr(keras_caffe, "dataset", unreadable)
    code, log, _ = caffe("time", "-model", net, "-iterations", 1)
    assert code == 0
    assert ["the data are nowhere" in text for level, _, text in log if level == "W"] == [True]
    found = [re.fullmatch(r" *mnist\tforward: (\S+) ms\.", line) for line in texts(log, "caffe.cpp")]
    assert [float(row[1]) < 0.1 for row in found if row] == [True]


def test_databases_and_their_mean(caffe, tmp_path: Path) -> None:
    flags = ("--resize_height=6", "-resize_width", 7, "--backend=lmdb", "--check_size", "--nogray")
    code, log, _ = caffe("convert_imageset", *flags, f"{SRC / 'img'}/", SRC / "list.txt", tmp_path / "db")
    assert code == 0 and [text for *_, text in log] == ["A total of 7 images.", "Processed 7 files."]
    (key, value), *_ = open_any(tmp_path / "db").items()
    assert bytes(key).startswith(b"00000000_")
    datum = proto.Datum.FromString(bytes(value))
    assert (datum.channels, datum.height, datum.width) == (3, 6, 7)

    code, log, _ = caffe("compute_image_mean", tmp_path / "db", tmp_path / "mean.binaryproto")
    assert code == 0 and "Processed 7 files." in [text for *_, text in log]
    mean = read_mean(tmp_path / "mean.binaryproto")
    assert log[-1][2] == f"mean_value channel [2]: {mean[0, 2].mean(dtype=np.float64):g}"
    assert caffe("compute_image_mean")[0] == 1


def test_time_looks_for_data_beside_the_prototxt(caffe, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "nets").mkdir()
    monkeypatch.chdir(tmp_path)
    name = next(iter((SRC / "list.txt").read_text().splitlines())).rpartition(" ")[0]
    (tmp_path / "nets" / "list.txt").write_text(f"{name} 3\n")
    images = f'source: "list.txt" root_folder: "{SRC / "img"}/" batch_size: 2 new_height: 6 new_width: 7'
    net = tmp_path / "nets" / "net.prototxt"
    net.write_text(f"""
    layer {{ name: "images" type: "ImageData" top: "data" top: "label" image_data_param {{ {images} }} }}
    layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {{ num_output: 5 }} }}
    layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}""")
    code, log, _ = caffe("time", "-model", net, "-iterations", 1)
    assert code == 0 and "W" not in [level for level, *_ in log]


def test_images_that_cannot_be_read_are_left_out(caffe, tmp_path: Path) -> None:
    name = next(iter((SRC / "list.txt").read_text().splitlines())).rpartition(" ")[0]
    (tmp_path / "list.txt").write_text(f"{name} 3\nnowhere.jpg 1\n")
    arguments = (f"{SRC / 'img'}/", tmp_path / "list.txt", tmp_path / "db")
    code, log, _ = caffe("convert_imageset", "--encoded", *arguments)
    assert code == 0
    assert [level for level, *_ in log] == ["I", "E", "I"] and "nowhere.jpg" in log[1][2]
    ((key, value),) = open_any(tmp_path / "db").items()
    assert proto.Datum.FromString(bytes(value)).encoded
    assert caffe("convert_imageset", *arguments)[0] == ABORTED
    assert caffe("convert_imageset", *arguments[:2])[0] == 1


def idx(path: Path, magic: int, values: np.ndarray) -> Path:
    """One of MNIST's files."""
    path.write_bytes(np.array([magic, *values.shape], ">u4").tobytes() + values.tobytes())
    return path


def test_the_tutorials_files_may_be_missing(caffe, tmp_path: Path) -> None:
    for name in ("convert_mnist_data", "convert_cifar_data"):
        code, log, _ = caffe(name, tmp_path, tmp_path, "lmdb")
        assert code == ABORTED
        assert any(text.startswith(str(tmp_path)) for *_, text in log)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_the_tutorials_databases(backend: str, caffe, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    digits, numbers = rng.integers(0, 256, (5, 4, 3), np.uint8), rng.integers(0, 10, 5, np.uint8)
    images = idx(tmp_path / "images", 2051, digits)
    labels = idx(tmp_path / "labels", 2049, numbers)
    code, log, _ = caffe("convert_mnist_data", images, labels, tmp_path / "mnist", f"--backend={backend}")
    assert code == 0
    assert [text for *_, text in log] == ["A total of 5 items.", "Rows: 4 Cols: 3", "Processed 5 files."]
    keys, datums = zip(*open_any(tmp_path / "mnist").items(), strict=True)
    assert [bytes(key) for key in keys] == [f"{number:08d}".encode() for number in range(5)]
    last = proto.Datum.FromString(bytes(datums[4]))
    assert (last.channels, last.height, last.width, last.label) == (1, 4, 3, numbers[4])
    assert last.data == digits[4].tobytes()

    batch = rng.integers(0, 10, (2, 3073), np.uint8)
    for name in [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]:
        (tmp_path / name).write_bytes(batch.tobytes())
    assert caffe("convert_cifar_data", tmp_path, tmp_path, backend)[0] == 0
    keys, datums = zip(*open_any(tmp_path / f"cifar10_train_{backend}").items(), strict=True)
    assert len(keys) == 10 and bytes(keys[9]) == b"00009"
    last = proto.Datum.FromString(bytes(datums[9]))
    assert (last.channels, last.height, last.width, last.label) == (3, 32, 32, batch[1, 0])
    assert last.data == batch[1, 1:].tobytes()
    assert len(list(open_any(tmp_path / f"cifar10_test_{backend}").items())) == 2


def test_pairs_of_digits(caffe, tmp_path: Path) -> None:
    numbers = np.array([3, 3, 7, 7] * 10, np.uint8)
    digits = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    images, labels = idx(tmp_path / "images", 2051, digits), idx(tmp_path / "labels", 2049, numbers)
    code, log, _ = caffe("convert_mnist_siamese_data", images, labels, tmp_path / "db")
    assert code == 0 and [text for *_, text in log] == ["A total of 40 items.", "Rows: 2 Cols: 3"]
    assert (tmp_path / "db" / "CURRENT").exists()  # LevelDB
    keys, datums = zip(*open_any(tmp_path / "db").items(), strict=True)
    assert [bytes(key) for key in keys] == [f"{number:08d}".encode() for number in range(40)]
    drawn = set()
    for datum in map(proto.Datum.FromString, map(bytes, datums)):
        first, second = np.frombuffer(datum.data, np.uint8).reshape(2, 6)
        assert (datum.channels, datum.height, datum.width) == (2, 2, 3)
        assert np.ptp(first) == np.ptp(second) == 0
        assert datum.label == (numbers[first[0]] == numbers[second[0]])
        drawn |= {(first[0], second[0])}
    assert len(drawn) > 20
    code, log, lines = caffe("convert_mnist_siamese_data")
    assert (code, log) == (0, []) and lines[-1].endswith("input_image_file input_label_file output_db_file")


def test_files_are_stored_as_they_are_where_caffe_does(caffe, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.jpeg", "c.png", "d.bmp"):
        Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "list").write_text("a.jpg 0\nb.jpeg 0\nc.png 0\nd.bmp 0\n")

    def kept(*flags: str) -> list[str]:
        target = tmp_path / "_".join(flags).replace("-", "")
        assert caffe("convert_imageset", *flags, f"{tmp_path}/", tmp_path / "list", target)[0] == 0
        records = {bytes(key).decode()[9:]: proto.Datum.FromString(bytes(v)) for key, v in open_any(target).items()}
        assert all(datum.encoded for datum in records.values())
        return [name for name, datum in records.items() if datum.data == (tmp_path / name).read_bytes()]

    assert kept("--encoded") == kept("--encoded", "--gray") == ["a.jpg", "b.jpeg", "c.png", "d.bmp"]
    assert kept("--encode_type=jpg") == ["a.jpg", "b.jpeg"]
    assert kept("--encode_type=png", "--gray") == ["c.png"]
    assert kept("--encode_type=png", "--resize_height=9") == []  # not resized, but made anew
    (tmp_path / "a.jpg").rename(tmp_path / "a")  # nothing tells how to encode this one
    (tmp_path / "list").write_text("a 0\nc.png 0\n")
    target = tmp_path / "named"
    code, log, _ = caffe("convert_imageset", "--encoded", f"{tmp_path}/", tmp_path / "list", target)
    assert code == 0 and ["does not tell how to encode" in text for level, _, text in log if level == "E"] == [True]
    assert [bytes(key) for key, _ in open_any(target).items()] == [b"00000001_c.png"]


def test_other_files_are_none_of_the_tutorials(caffe, tmp_path: Path) -> None:
    images, labels = tmp_path / "images", idx(tmp_path / "labels", 2049, np.zeros(2, np.uint8))
    target = tmp_path / "db"
    for content, words in (
        (b"", "not such a file of MNIST"),
        (b"\x00\x00\x08\x03", "not such a file of MNIST"),
        (np.array([2051, 2, 1, 1], ">u4").tobytes() + b"a", "incomplete"),
        (np.array([2051, 1, 1, 1], ">u4").tobytes() + b"a", "do not belong together"),
    ):
        images.write_bytes(content)
        code, log, _ = caffe("convert_mnist_data", images, labels, target)
        assert code == ABORTED and words in log[-1][2]
    (tmp_path / "data_batch_1.bin").write_bytes(b"short")
    code, log, _ = caffe("convert_cifar_data", tmp_path, tmp_path, "lmdb")
    assert code == ABORTED and "not a binary file of CIFAR-10" in log[-1][2]
    assert caffe("convert_mnist_data")[0] == caffe("convert_cifar_data")[0] == 0
    assert not target.exists()


V1 = 'name: "old" layers { name: "ip" type: INNER_PRODUCT top: "ip" bottom: "x" inner_product_param { num_output: 2 } }'


def test_upgrades(caffe, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(V1)
    code, log, _ = caffe("upgrade_net_proto_text", old, new)
    assert code == 0 and log[-1][2] == f"Wrote upgraded NetParameter text proto to {new}"
    assert 'type: "InnerProduct"' in new.read_text()
    code, log, _ = caffe("upgrade_net_proto_text", new, new)
    assert code == 0 and log[0][2].startswith("File already in latest proto format")

    net = proto.NetParameter(name="old")
    layer = net.layers.add(name="ip", type="INNER_PRODUCT", bottom=["x"], top=["ip"])
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    old.write_bytes(net.SerializeToString())
    assert caffe("upgrade_net_proto_binary", old, new)[0] == 0
    upgraded = proto.NetParameter.FromString(new.read_bytes())
    assert upgraded.layer[0].type == "InnerProduct" and list(upgraded.layer[0].blobs[0].data) == [1, 2]

    old.write_text('base_lr: 1 solver_type: ADAM net: "n"')
    assert caffe("upgrade_solver_proto_text", old, new)[0] == 0
    assert 'type: "Adam"' in new.read_text()


@pytest.mark.parametrize("program", ["upgrade_net_proto_text", "upgrade_net_proto_binary", "upgrade_solver_proto_text"])
def test_exit_codes_of_upgrades(program: str, caffe, tmp_path: Path) -> None:
    assert caffe(program, "one")[0] == 1
    (tmp_path / "other").write_bytes(b"\xff\xfe\x00 no message" if "text" in program else b"layer {")
    assert caffe(program, tmp_path / "other", tmp_path / "out")[0] == 2
    assert caffe(program, tmp_path / "nowhere", tmp_path / "out")[0] == ABORTED
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("train", "--foo=1"), 1, "ERROR: unknown command line flag 'foo'"),
        (("train", "--a,b=1"), 1, "ERROR: unknown command line flag 'a,b'"),
        (("convert_imageset", "-nobackend"), 1, "ERROR: unknown command line flag 'nobackend'"),
        (("test", "-iterations=many"), 1, "ERROR: illegal value 'many' specified for int32 flag 'iterations'"),
        (("train", "--solver"), 1, "ERROR: flag '--solver' is missing its argument; flag description: The solver "),
        (("--version",), 0, "caffe version 1.0.0"),
        (("train", "-helpshort"), 1, "    -solver (The solver definition"),
        ((), 0, "usage: caffe <command> <args>"),
        (("train", "--foo", "--version"), 0, "caffe version 1.0.0"),
        (("train", "--undefok=foo,bar", "--foo=1", "--nobar", "--version"), 0, "caffe version 1.0.0"),
        (("convert_imageset", "--version"), 0, "convert_imageset"),
        (("train", "--help"), 1, "  Flags from src/gflags_reporting.cc:"),
        (("--helpon=gflags",), 1, "    -tryfromenv (set flags from the environment if present) type: string"),
        (("--helpmatch=tools/",), 1, "  Flags from tools/caffe.cpp:"),
        (("-helpmatch", "nowhere"), 1, "  No modules matched: use -help"),
        (("convert_imageset", "--helppackage"), 1, "  Flags from tools/convert_imageset.cpp:"),
        (("--fromenv=model",), 1, "ERROR: FLAGS_model not found in environment"),
        (("--tryfromenv=model,foo",), 1, "ERROR: unknown command line flag 'foo' (via --fromenv or --tryfromenv)"),
        (("--flagfile=nowhere/flags",), 1, "nowhere/flags: No such file or directory"),
        (("convert_imageset", "root/", "list"), 1, "    convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME"),
    ],
)
def test_flags_in_gflags_words(arguments: tuple[str, ...], code: int, words: str, caffe) -> None:
    found, log, lines = caffe(*arguments)
    assert (found, log) == (code, [])
    assert [line for line in lines if line.startswith(words)], lines


def test_all_unknown_flags_are_named(caffe) -> None:
    told = ["ERROR: unknown command line flag 'a'", "ERROR: unknown command line flag 'b'"]
    assert caffe("train", "--b=1", "--a", "-b", "--iterations=3") == (1, [], told)


def test_flags_of_the_environment_and_as_xml(caffe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLAGS_iterations", "7")
    monkeypatch.setenv("FLAGS_gpu", "a<b&c")
    for given in (["--fromenv=iterations,gpu"], ["-tryfromenv", "iterations,solver,gpu"], ["--flagfile=flags"]):
        Path("flags").write_text("--iterations=7\n--gpu=a<b&c\n")
        code, log, lines = caffe("time", "--iterations=5", *given, "--helpxml")
        flags = {flag.findtext("name"): flag for flag in ElementTree.fromstring("\n".join(lines)).iter("flag")}
        assert (code, log) == (1, [])
        assert flags["gpu"].findtext("current") == "a<b&c"
        found = [flags["iterations"].findtext(tag) for tag in ("file", "type", "default", "current")]
        assert found == ["tools/caffe.cpp", "int32", "50", "7"]
    assert "    -iterations (The number of iterations to run.) type: int32 default: 50" in caffe("--helpshort")[2]
    assert "      currently: 7" in caffe("--fromenv=iterations", "--helpshort")[2]
    monkeypatch.setenv("FLAGS_solver", "fromenv")
    assert "ERROR: infinite recursion on environment flag 'fromenv'" in caffe("--fromenv=solver")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("brew",), "Unknown action: brew"),
        (("train",), "Need a solver definition to train."),
        (("train", "--solver=a", "--weights=b", "--snapshot=c"), "but not both"),
        (("train", "--solver=a", "--sigint_effect=go"), 'Invalid signal effect "go"'),
        (("test", "--model=a"), "Need model weights to score."),
        (("time", "--model=a", "--phase=VAL"), 'phase must be "TRAIN" or "TEST"'),
        (("train", "--solver=nowhere.prototxt"), "nowhere.prototxt"),
        (("convert_imageset", "a/", "nowhere.txt", "db"), "nowhere.txt"),
        (("compute_image_mean", "--backend=rocksdb", "db"), "Unknown database backend rocksdb"),
        (("extract_features", WEIGHTS, LENET, "a,b", "db", "1", "lmdb"), "must be equal"),
        (("extract_features", WEIGHTS, LENET, "a", "db", "0", "lmdb"), "num_mini_batches"),
    ],
)
def test_what_is_bad_ends_the_program(arguments: tuple[str, ...], words: str, caffe) -> None:
    code, log, lines = caffe(*arguments)
    assert (code, lines) == (ABORTED, [])
    assert log[-1][0] == "F" and words in log[-1][2]


def test_device_query_and_glogs_flags(caffe, monkeypatch: pytest.MonkeyPatch) -> None:
    code, log, _ = caffe("device_query", "--logtostderr=1", "--v=2")
    assert code == 0
    assert [text for level, _, text in log if level == "W"] == [
        f"--{flag} has no effect: the log goes to standard error" for flag in ("logtostderr", "v")
    ]
    monkeypatch.setenv("GLOG_minloglevel", "2")
    assert caffe("device_query")[1] == []
