"""Definitions: what is a path and what a text, and that each file is read once, whoever asks for its net."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import proto, pycaffe
from keras_caffe.cli import main
from keras_caffe.converters.definition import Definition, check_not_swapped, read_definition
from keras_caffe.converters.read import path_of
from keras_caffe.data import Transform, write_hdf5
from keras_caffe.errors import CaffeWarning, NetError, ReadError

NET = """
layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "list.txt" batch_size: 2 } }
layer { name: "noise" type: "DummyData" top: "noise"
  dummy_data_param { shape { dim: 2 dim: 1 } data_filler { type: "gaussian" } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "noise" top: "sum" include { phase: TRAIN } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "label" top: "loss" unheard_of: 3 }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" snapshot_after_train: false
test_iter: 1 test_iter: 1 test_interval: 5
"""
V1 = 'layers { name: "r" type: RELU bottom: "d" top: "r" include { phase: TRAIN } }\n'


@pytest.mark.parametrize(
    "source", [V1, "# nothing", 'name: "n"', "input: 'd'", "layer <", "a\nb", proto.NetParameter()]
)
def test_texts_and_messages_have_no_path(source: object) -> None:
    assert path_of(source) is None


@pytest.mark.parametrize(
    "source", ["net.prototxt", "a/b", "C:\\net.prototxt", "a" * 5000, "x\0y", Path("{"), Path("a\nb")]
)
def test_names_are_paths_whether_they_exist_or_not(source: str | Path) -> None:
    assert path_of(source) == Path(source)


@pytest.mark.parametrize("name", ["net {1}.prototxt", "name: 1", "# 1"])
def test_what_exists_is_a_path_whatever_it_looks_like(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(V1)
    assert (path_of(name), read_definition(name).path) == (Path(name), Path(name))


def test_a_definition_is_upgraded_and_knows_where_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text("\n" + V1)
    definition = read_definition(tmp_path / "net.prototxt")
    assert (definition.message.layer[0].type, len(definition.message.layers)) == ("ReLU", 0)
    assert (definition.path, definition.where("r")) == (tmp_path / "net.prototxt", f"{tmp_path}/net.prototxt:2")
    assert read_definition(definition) is definition
    for source, file in ((V1, "<text>"), (definition.message, "<message>")):
        assert (read_definition(source).path, read_definition(source).file) == (None, file)


def test_select_leaves_the_definition_as_it_is() -> None:
    definition = read_definition(V1 + V1.replace("TRAIN", "TEST"))
    selected = definition.select("TRAIN")
    assert (selected.phase, len(selected.message.layer), selected.where("r")) == ("TRAIN", 1, "<text>:1")
    assert len(definition.message.layer) == 2


def test_errors_say_where() -> None:
    both = V1.replace("include", "exclude { phase: TEST } include")
    with pytest.raises(NetError, match="<text>:1.*both include and exclude"):
        read_definition(both).select()
    with pytest.raises(NetError, match="<text>:1.*both `layer` and `layers`"):
        read_definition(V1 + 'layer { name: "x" type: "ReLU" }')


def test_definition_and_weights_in_each_others_place(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(V1)
    (tmp_path / "w.caffemodel").write_bytes(proto.NetParameter(name="n").SerializeToString())
    right = [str(tmp_path / name) for name in ("net.prototxt", "w.caffemodel")]
    check_not_swapped(*right)
    check_not_swapped(read_definition(right[0]), right[1:])
    for take in (check_not_swapped, keras_caffe.load, lambda *files: keras_caffe.compare(*files, {})):
        with pytest.raises(ReadError, match="are swapped.*received .*w.caffemodel, then .*net.prototxt"):
            take(*reversed(right))


OPENED: list[str] | None = None


def note(event: str, arguments: tuple[Any, ...]) -> None:
    if OPENED is not None and event == "open":
        OPENED.append(Path(str(arguments[0])).name)


sys.addaudithook(note)  # for ever; it does nothing but within `opened`


@contextmanager
def opened() -> Iterator[list[str]]:
    global OPENED
    OPENED = []
    try:
        yield OPENED
    finally:
        OPENED = None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_hdf5("data.h5", np.ones((4, 3), "float32"), np.zeros((4, 1), "float32"))
    for name, text in (("list.txt", "data.h5\n"), ("net.prototxt", NET), ("solver.prototxt", SOLVER)):
        Path(name).write_text(text)
    return tmp_path


def compared(net: Any) -> Any:
    return keras_caffe.compare(net, None, {"data": np.ones((3, 3)), "label": np.ones((3, 1)), "ip": np.ones((3, 1))})


NETS: dict[str, Callable[[Any], Any]] = {
    "load": keras_caffe.load,
    "dataset": lambda net: keras_caffe.dataset(net, "TRAIN"),
    "Transform": Transform.from_prototxt,
    "compare": compared,
    "Net": lambda net: pycaffe.Net(net, pycaffe.TRAIN),
    "draw": lambda net: pycaffe.draw.get_pydot_graph(net, "LR", phase=pycaffe.TEST),
}
COMMANDS: dict[str, list[str]] = {
    "summary": ["net.prototxt"],
    "upgrade": ["net.prototxt"],
    "draw": ["net.prototxt", "-o", "net.dot"],
}
SOLVERS: dict[str, Callable[[Any], Any]] = {
    "load_solver": keras_caffe.load_solver,
    "SGDSolver": pycaffe.SGDSolver,
    "get_solver": pycaffe.get_solver,
}


def check_read_once(read: Callable[[str], Any], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as caught, opened() as files:
        warnings.simplefilter("always")
        read(name)
    told = [str(warning.message) for warning in caught if issubclass(warning.category, CaffeWarning)]
    told += capsys.readouterr().err.splitlines()
    assert [files.count("net.prototxt"), sum("unheard_of" in line for line in told)] == [1, 1]
    assert files.count(name) == 1


@pytest.mark.parametrize("who", NETS)
def test_a_net_is_read_once(who: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_read_once(NETS[who], "net.prototxt", capsys)


@pytest.mark.parametrize("who", SOLVERS)
def test_the_nets_of_a_solver_are_read_once(who: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_read_once(SOLVERS[who], "solver.prototxt", capsys)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_read_a_net_once(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_read_once(lambda _: main([command, *COMMANDS[command]]), "net.prototxt", capsys)


@pytest.mark.filterwarnings("ignore:.*unheard_of")
@pytest.mark.parametrize("who", NETS)
def test_a_definition_is_taken_in_place_of_a_prototxt(who: str, folder: Path) -> None:
    definition = read_definition("net.prototxt")
    Path("net.prototxt").unlink()
    NETS[who](definition)
    assert isinstance(definition, Definition) and len(definition.message.layer) == 5
