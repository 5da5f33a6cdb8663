"""What the fuzzer has found stays mended, and the fuzzer finds what it is there for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from keras_caffe import proto
from keras_caffe.data.sources.tfrecord import TfRecordWalk
from keras_caffe.errors import CaffeWarning, DataError, ReadError
from scripts.fuzzing.campaign import Campaign, State, Tally, keep, limit_memory
from scripts.fuzzing.mutations import fields_of, joined, prototxt, wire
from scripts.fuzzing.target import Target, attempt, file_of, targets
from scripts.fuzzing.targets.databases import record
from tests.data.records import encoded
from tests.shared_goldens import ROOT

FINDINGS = sorted((Path(__file__).parent / "findings").glob("*/*"))
NAMES = {
    "text",
    "wire",
    "weights",
    "h5",
    "datum",
    "lmdb",
    "leveldb",
    "annotated_data",
    "window_lists",
    "solver",
    "check",
}
NAMES |= {"plan", "images", "keras", "tfrecord"}
INPUTS = {"keras": 2, "plan": 10, "check": 10, "tfrecord": 10}  # the others: 40
READS_ALL = pytest.mark.filterwarnings("ignore")


def test_every_reader_has_its_target() -> None:
    assert set(targets()) == NAMES


@READS_ALL
@pytest.mark.parametrize("file", FINDINGS, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_what_was_found_stays_mended(file: Path) -> None:
    target = targets()[file.parent.name]
    assert target.first_inputs()
    assert attempt(target, file.read_bytes()) is None


@READS_ALL
@pytest.mark.parametrize("name", sorted(NAMES))
def test_mutated_inputs_end_or_are_refused(name: str) -> None:
    target, random = targets()[name], Random(name)
    seeds = target.first_inputs()
    for _ in range(INPUTS.get(name, 40)):
        data = target.mutate(random, random.choice(seeds))[: target.longest]
        assert attempt(target, data) is None, data


def endless(data: bytes) -> None:
    while True:
        try:
            sum(range(1000))
        except Exception:  # nothing that ends the loop
            continue


def fails(data: bytes) -> None:
    raise {b"c": ReadError("no"), b"k": KeyError(3)}[data]


def test_only_a_caffe_error_may_come_out() -> None:
    target = Target(fails, list, lambda random, data: data)
    assert attempt(target, b"c") is None
    found = attempt(target, b"k")
    assert found is not None
    assert found.place.startswith("KeyError at test_fuzz.py:")


def test_an_input_has_a_second() -> None:
    found = attempt(Target(endless, list, lambda random, data: data), b"")
    assert found is not None
    assert found.place.startswith("TooSlow at ")


def test_memory_is_limited() -> None:
    """In a process of its own, which has no way back."""
    child = os.fork()
    if child == 0:
        limit_memory(Target(fails, list, lambda random, data: data))
        try:
            np.ones(600 << 20, np.uint8)
        except MemoryError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_the_shortest_input_of_a_fault_is_kept(tmp_path: Path) -> None:
    for data in (b"k" * 5, b"k", b"k" * 3):
        found = attempt(Target(lambda data: fails(data[:1]), list, lambda random, data: data), data)
        assert found is not None
        keep(found, data, tmp_path)
    inputs = [file for file in tmp_path.iterdir() if file.suffix != ".txt"]
    assert [file.read_bytes() for file in inputs] == [b"k"]
    assert "KeyError: 3" in inputs[0].with_suffix(".txt").read_text()


def test_a_run_of_nothing_is_not_fine() -> None:
    assert Tally(inputs=1).fine
    assert not Tally().fine
    assert not Tally(inputs=1, found={"KeyError": "file"}).fine


def test_slow_inputs_are_no_faults(tmp_path: Path) -> None:
    """libFuzzer keeps inputs of more than 10 seconds beside the faults unless told otherwise."""
    target = Target(fails, list, lambda random, data: data)
    campaign = Campaign("fails", target, State(tmp_path / "state.json"), 3, 0, 1)
    options = dict(option.split("=") for option in campaign._options(3, 1) if option.startswith("-"))
    assert options["-artifact_prefix"] == f"{tmp_path}/findings/fails/"
    assert int(options["-report_slow_units"]) > int(options["-timeout"]) >= 120


@pytest.mark.parametrize("side", [5000, 11_000])
def test_a_header_that_states_a_large_image_takes_no_second(side: int) -> None:
    """Readers take such images; here their time would be a fault."""
    header = bytearray(encoded("jpeg"))
    start = header.index(b"\xff\xc0") + 5
    header[start : start + 4] = side.to_bytes(2, "big") * 2
    assert attempt(targets()["images"], bytes(header)) is None


def test_messages_stay_messages() -> None:
    """Lengths around a changed field are right: most changes can still be parsed."""
    random, whole = Random(1), proto.Datum(channels=3, data=b"abc", label=7).SerializeToString()
    net = proto.NetParameter(
        name="n", layer=[proto.LayerParameter(name="a", type="Data", top=["x"])]
    ).SerializeToString()
    assert joined(fields_of(net) or []) == net
    assert fields_of(whole + b"\xff") is None
    assert sum(fields_of(wire(random, net)) is not None for _ in range(100)) > 80


def test_texts_grow_by_fields_of_the_schema() -> None:
    change = prototxt(proto.NetParameter, ["data"])
    random, texts = Random(2), [b"layer { convolution_param { num_output: 3 } }"]
    for _ in range(80):
        texts.append(change(random, random.choice(texts)))
    known = set(proto.LayerParameter.DESCRIPTOR.fields_by_name) | set(
        proto.ConvolutionParameter.DESCRIPTOR.fields_by_name
    )
    assert len([name for name in known if any(b"\n" + name.encode() in text for text in texts)]) > 5


def test_checksums_are_made_right(tmp_path: Path) -> None:
    """Some changed TFRecord files come through TensorFlow's checks."""
    target, random, read = targets()["tfrecord"], Random(3), 0
    seed = target.first_inputs()[0]
    for _ in range(25):
        file = file_of(record(random, seed), "changed.tfrecord")
        try:
            read += len(list(TfRecordWalk(file).items())) == 2
        except DataError:
            continue
    assert read > 1


def test_grey_images_have_no_hue() -> None:
    from keras_caffe.data.sources.distort import distort

    param = proto.DistortionParameter(hue_prob=1, hue_delta=9)
    with pytest.raises(DataError, match=r"expected 3 channels; received 1. Set force_color: true in transform_param"):
        distort(np.zeros((4, 5, 1), np.uint8), param, np.random.default_rng(0))
    assert distort(np.zeros((4, 5, 3), np.uint8), param, np.random.default_rng(0)).shape == (4, 5, 3)


@pytest.mark.parametrize("length", [33, 1 << 57, (1 << 64) - 1])
def test_a_record_longer_than_its_file_is_refused(tmp_path: Path, length: int) -> None:
    """TensorFlow ends the process, or takes the file for a shorter one."""
    file = tmp_path / "x.tfrecord"
    file.write_bytes(length.to_bytes(8, "little") + b"\0" * 20)
    with pytest.raises(
        DataError, match=f"x.tfrecord: the TFRecord file is cut off or damaged; received a record of {length} "
    ):
        list(TfRecordWalk(file).items())


def test_strings_that_are_not_utf8_are_read_as_latin_1(tmp_path: Path) -> None:
    from keras_caffe.converters.read import read_message, read_net

    file = tmp_path / "net.bin"
    layer = b"\x0a\x02\xe9\xe8\x12\x04ReLU\x1a\x01\xff"
    file.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    found = read_net(file).message.layer[0]
    assert (found.name, found.type, list(found.bottom)) == ("éè", "ReLU", ["ÿ"])
    file.write_bytes(b"\xc2\x01\x01\xe9")
    assert read_message(file, "SolverParameter").net == "é"


def test_only_readers_note_unknown_values(tmp_path: Path) -> None:
    """In a file, the field that they note them in is one like any other that is not known."""
    from keras_caffe.converters.read import read_net

    text = 'layer { name: "a" type: "ReLU" unknown_value { field: "FocalLoss" value: "x" } }'
    with pytest.warns(CaffeWarning, match="LayerParameter.unknown_value"):
        assert not read_net(text).message.layer[0].unknown_value
    layer = proto.LayerParameter(name="a", type="ReLU", unknown_value=[{"field": "FocalLoss", "value": "x"}])
    (tmp_path / "net").write_bytes(proto.NetParameter(layer=[layer]).SerializeToString())
    assert not read_net(tmp_path / "net").message.layer[0].unknown_value


def test_the_command_counts_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris (extra fuzz) is not installed")
    state = tmp_path / "state.json"
    command = [sys.executable, "-m", "scripts.fuzzing", "datum", "--inputs", "300", "--seconds", "0", "--seed", "5"]
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    shown = subprocess.run(
        [*command, "--state", str(state)], cwd=ROOT, env=environment, check=True, capture_output=True
    )
    told = json.loads(state.read_text())["datum"]
    assert told["inputs"] >= 300
    assert told["found"] == {}
    assert b"seed 5\n" in shown.stdout
    assert b"0 faults" in shown.stdout
