"""Whatever file is missing, whoever needs it: the error is of our kind and a FileNotFoundError that names the file."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import keras_caffe
from keras_caffe import pycaffe, samples
from keras_caffe.cli import images, predict
from keras_caffe.converters import labels
from keras_caffe.converters.keras_file import read_keras
from keras_caffe.converters.pictures import read_image
from keras_caffe.converters.read import read_array, read_mean
from keras_caffe.converters.write import replacing
from keras_caffe.data.imageset import find_images
from keras_caffe.data.statistics import open_any
from keras_caffe.data.writers import write
from keras_caffe.errors import CaffeError, DataError, ExportError, ReadError, SolverError
from keras_caffe.proto.wire import Mapped
from keras_caffe.serving.versions import new_version
from keras_caffe.solver.state import read_state
from tests.nets import data_net, image_net, input_layer, layer

NET, WEIGHTS = str(samples.path("lenet.prototxt")), str(samples.path("lenet.caffemodel"))
X = input_layer("x", 2, 3)
DUMMY = "dummy_data_param { shape { dim: 2 %s } }"
IP = layer("ip", "InnerProduct", "x", "ip", "inner_product_param { num_output: 3 }")
INFOGAIN = layer("loss", "InfogainLoss", "ip y", more='infogain_loss_param { source: "none" }')
TRAIN = "".join(
    [
        layer("x", "DummyData", tops="x", more=DUMMY % "dim: 3"),
        layer("y", "DummyData", tops="y", more=DUMMY % ""),
        IP,
        layer("loss", "SoftmaxWithLoss", "ip y"),
    ]
)


def hdf5_net(source: object) -> str:
    return layer("d", "HDF5Data", tops="x", more=f'hdf5_data_param {{ source: "{source}" batch_size: 1 }}')


def window_net(source: object) -> str:
    param = f'window_data_param {{ source: "{source}" batch_size: 4 }} transform_param {{ crop_size: 4 }}'
    return layer("d", "WindowData", tops="x y", more=param)


def batch(net: str) -> Any:
    return next(iter(keras_caffe.dataset(net, seed=1)))


def listed(name: str, content: str) -> str:
    Path(name).write_text(content)
    return name


def solver(**fields: Any) -> str:
    fields = {"base_lr": 0.1, "lr_policy": '"fixed"', "max_iter": 1, "snapshot": 1, **fields}
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def train_net() -> str:
    return f'"{listed("train.prototxt", TRAIN)}"'


MISSING: dict[str, tuple[type[CaffeError], Callable[[], Any]]] = {
    "net": (ReadError, lambda: keras_caffe.load("none.prototxt")),
    "net as a path": (ReadError, lambda: keras_caffe.load(Path("none.prototxt"))),
    "weights": (ReadError, lambda: keras_caffe.load(NET, "none.caffemodel")),
    "HDF5 weights": (ReadError, lambda: keras_caffe.load(NET, "none.caffemodel.h5")),
    "weights of a model": (ReadError, lambda: keras_caffe.load(NET).load_weights_from("none.caffemodel")),
    "net of pycaffe": (ReadError, lambda: pycaffe.Net("none.prototxt", pycaffe.TEST)),
    "image of pycaffe": (ReadError, lambda: pycaffe.io.load_image("none.png")),
    "reference": (ReadError, lambda: keras_caffe.compare(NET, WEIGHTS, "none.npz")),
    "sample": (ReadError, lambda: samples.path("none")),
    "mean": (ReadError, lambda: read_mean("none.binaryproto")),
    "array": (ReadError, lambda: read_array("none.npy")),
    "solver": (ReadError, lambda: keras_caffe.load_solver("none.prototxt")),
    "net of a solver": (ReadError, lambda: keras_caffe.load_solver(solver(net='"none.prototxt"'))),
    "weights of a solver": (
        ReadError,
        lambda: keras_caffe.load_solver(solver(net=train_net()), weights="none.caffemodel"),
    ),
    "folder of snapshots": (
        SolverError,
        lambda: keras_caffe.load_solver(solver(net=train_net(), snapshot_prefix='"no/where"')),
    ),
    "solver state": (ReadError, lambda: read_state("none.solverstate")),
    "HDF5 solver state": (ReadError, lambda: read_state("none.solverstate.h5")),
    "LMDB": (DataError, lambda: batch(data_net("none"))),
    "LevelDB": (DataError, lambda: batch(data_net("none", backend="LEVELDB"))),
    "list of images": (DataError, lambda: batch(image_net("none"))),
    "image in a list": (DataError, lambda: batch(image_net(listed("list", "no.jpg 1")))),
    "list of HDF5 files": (DataError, lambda: batch(hdf5_net("none"))),
    "HDF5 file in a list": (DataError, lambda: batch(hdf5_net(listed("list", "no.h5")))),
    "window file": (DataError, lambda: batch(window_net("none"))),
    "mean file": (DataError, lambda: batch(data_net(samples.path("db"), transform='mean_file: "none.binaryproto"'))),
    "infogain matrix": (
        DataError,
        lambda: keras_caffe.load(X + input_layer("y", 2) + IP + INFOGAIN),
    ),
    "database": (DataError, lambda: open_any("none")),
    "TFRecord": (DataError, lambda: open_any("none.tfrecord")),
    "images to convert": (DataError, lambda: find_images("none")),
    "folder of a database": (DataError, lambda: write("no/where", [(b"k", b"v")])),
    "labels of an export": (ExportError, lambda: labels.read_labels("none.txt")),
    "folder of a file": (
        ReadError,
        lambda: keras_caffe.save(keras_caffe.load(X), prototxt="no/net.prototxt"),
    ),
    "labels": (ReadError, lambda: predict.read_labels("none.txt")),
    "labelmap": (ReadError, lambda: predict.read_labels("none.prototxt")),
    "Keras model": (ReadError, lambda: read_keras("none.keras")),
    "picture": (ReadError, lambda: read_image("none.png", 3)),
    "mean picture": (ReadError, lambda: images.mean_of("none.npy", (3, 4, 4))),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_file_is_a_file_not_found_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kind, attempt = MISSING[name]
    with pytest.raises(FileNotFoundError) as caught:
        attempt()
    error = caught.value
    assert isinstance(error, kind), repr(error)
    assert error.errno == errno.ENOENT
    assert {"no", "none"} & set(re.split(r"[/.]", str(error.filename)))
    assert "\n" not in str(error)


@pytest.mark.parametrize("file", ["net", "weights", "state", "list", "list of HDF5 files"])
@pytest.mark.parametrize("kind", [PermissionError, OSError])
def test_why_the_system_refuses_a_file_is_kept(
    file: str, kind: type[OSError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\0")
    number = errno.EACCES if kind is PermissionError else errno.EIO

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        raise kind(number, "refused", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    attempts: dict[str, Callable[[], Any]] = {
        "net": lambda: keras_caffe.load(path),
        "weights": lambda: Mapped(path),
        "state": lambda: read_state(path),
        "list": lambda: find_images(path),
        "list of HDF5 files": lambda: keras_caffe.load(hdf5_net(path)),
    }
    with pytest.raises(kind, match="file: .*the file cannot be read: refused") as caught:
        attempts[file]()
    assert isinstance(caught.value, DataError if "list" in file else ReadError)
    assert (caught.value.errno, caught.value.filename) == (number, str(path))


@pytest.mark.parametrize(
    "attempt",
    [
        lambda folder: keras_caffe.load(folder),
        lambda folder: keras_caffe.load(NET, folder),
        lambda folder: read_state(folder),
        lambda folder: read_image(str(folder), 3),
        lambda folder: predict.read_labels(str(folder)),
    ],
)
def test_a_folder_is_no_file(attempt: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="this is a folder; expected a file") as caught:
        attempt(tmp_path)
    assert isinstance(caught.value, ReadError) and caught.value.errno == errno.EISDIR


def test_what_is_there_already_is_a_file_exists_error(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="something with this name exists already") as caught:
        write(tmp_path, [(b"k", b"v")])
    assert isinstance(caught.value, DataError) and caught.value.filename == str(tmp_path)


def test_files_that_can_be_opened_but_are_something_else_are_no_os_errors(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_text("this is text")
    for attempt in (read_array, lambda file: read_image(str(file), 3), read_state, open_any):
        with pytest.raises(CaffeError) as caught:
            attempt(path)
        assert not isinstance(caught.value, OSError)


def test_an_export_below_a_file_is_a_not_a_directory_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="there is a file where the folder of versions should be") as caught:
        with new_version(tmp_path / "file" / "out", None):
            pass
    assert isinstance(caught.value, ExportError)
    (tmp_path / "out" / "3").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="this version exists already") as caught:
        with new_version(tmp_path / "out", 3):
            pass
    assert isinstance(caught.value, ExportError) and caught.value.filename == str(tmp_path / "out" / "3")


def test_an_error_about_another_file_passes_through_what_writes_one(tmp_path: Path) -> None:
    for writing in (new_version(tmp_path / "out", None), replacing(tmp_path / "file")):
        with pytest.raises(FileNotFoundError, match="^none.txt: there is no such file"), writing:
            labels.read_labels("none.txt")


@pytest.mark.filterwarnings("ignore:.*backslash:keras_caffe.errors.CaffeWarning")
@pytest.mark.parametrize(
    ("act", "where"),
    [
        (lambda file: keras_caffe.dataset(data_net(r"D:\temp\new_lmdb")), r"D:\temp\new_lmdb"),
        (lambda file: keras_caffe.load("D:\temp\new.prototxt"), r"D:\temp\new.prototxt"),
        (lambda file: keras_caffe.load_solver(file(r"D:\temp\net.prototxt")), r"D:\temp\net.prototxt"),
        (lambda file: keras_caffe.load_solver(file(r"nets\new.prototxt")), r"nets\new.prototxt"),
        (lambda file: pycaffe.SGDSolver(file(r"D:\temp\net.prototxt")), r"D:\temp\net.prototxt"),
    ],
    ids=["source", "argument", "net of a solver", "relative net of a solver", "net of pycaffe's solver"],
)
def test_a_path_of_windows_is_shown_as_it_was_written_with_the_reason(
    act: Callable[[Callable[[str], str]], Any], where: str, tmp_path: Path
) -> None:
    """Its backslashes and the letters after them have become tabs and line feeds, in Caffe too."""
    file = tmp_path / "solver.prototxt"

    def solver_of(net: str) -> str:
        file.write_text(f'net: "{net}" base_lr: 0.1 lr_policy: "fixed"')
        return str(file)

    with pytest.raises(FileNotFoundError) as caught:
        act(solver_of)
    said = str(caught.value)
    assert said.startswith(f"{where}: ")
    assert r"A backslash begins an escape in prototxt strings, as in Python's: write / or \\." in said
    assert (f"{file} names it." in said) == file.exists()


def test_a_layer_that_names_no_source_is_told_so() -> None:
    with pytest.raises(DataError, match="^<text>:1: layer 'd' .Data.: the layer names no source; expected the name"):
        keras_caffe.dataset(data_net(""))
