"""All that writes files, each as a function that writes one of two variants, and one that says which is there."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import keras_caffe
from keras_caffe import proto
from keras_caffe.cli.features import Parts, write_features
from keras_caffe.converters.read import read_mean, read_weights
from keras_caffe.converters.write import write_caffemodel
from keras_caffe.data.statistics import write_mean
from keras_caffe.data.writers import write
from keras_caffe.engines import memory
from keras_caffe.lmdb_file import LmdbFile
from keras_caffe.solver.state import State, read_state, write_state

NET = """input: "data" input_shape { dim: 1 dim: 1 dim: 8 dim: 8 }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 40 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }"""
RECORDS, ROWS = 1500, 2000


@dataclass(frozen=True)
class Writer:
    """One way of writing.

    Args:
        write: writes variant 0 or 1 into a folder, over what is there.
        found: of what is there, the variant; None if nothing is; raises whatever it likes if it is neither whole.
        begin: what a process does once before it writes, such as building a model.
        replaces: whether it replaces what is there; else that is moved aside first, and nothing may be found.
    """

    write: Callable[[Path, int], object]
    found: Callable[[Path], int | None]
    begin: Callable[[], object] = lambda: None
    replaces: bool = True


def _arrays(variant: int) -> list[list[np.ndarray]]:
    return [[], [np.full((40, 64), variant, np.float32), np.full(40, variant, np.float32)], []]


def _net() -> Any:
    layers = [proto.LayerParameter(name=name, type="InnerProduct") for name in ("data", "ip", "prob")]
    return proto.NetParameter(name="net", layer=layers)


def _variant(array: np.ndarray) -> int:
    """The one number that all values are."""
    (value,) = np.unique(array)
    return int(value)


def _weights(name: str) -> Writer:
    def found(folder: Path) -> int | None:
        if not (folder / name).exists():
            return None
        blobs = {layer.name: layer.blobs for layer in read_weights(folder / name)}["ip"]
        return _variant(np.concatenate([blob.array.ravel() for blob in blobs if blob is not None]))

    return Writer(lambda folder, variant: write_caffemodel(folder / name, _net(), _arrays(variant)), found)


def _snapshot(ending: str) -> Writer:
    """Parameters, then the state, as a solver writes them: a state always has its parameters."""
    weights = _weights(f"x.caffemodel{ending}")

    def written(folder: Path, variant: int) -> None:
        weights.write(folder, variant)
        history = [np.full((40, 64), variant, np.float32)]
        write_state(folder / f"x.solverstate{ending}", State(variant, f"x.caffemodel{ending}", history=history))

    def found(folder: Path) -> int | None:
        file = folder / f"x.solverstate{ending}"
        if not file.exists():
            return weights.found(folder) and None
        state = read_state(file)
        if weights.found(folder) is None or _variant(state.history[0]) != state.iteration:
            raise ValueError("a state without its parameters or with another's history")
        return state.iteration

    return Writer(written, found)


def _mean(folder: Path, variant: int) -> None:
    write_mean(folder / "mean.binaryproto", np.full((3, 60, 60), variant, np.float32))


def _mean_found(folder: Path) -> int | None:
    file = folder / "mean.binaryproto"
    return _variant(read_mean(file)) if file.exists() else None


def _aside(path: Path) -> None:
    """Moves what is there out of the way in one step, where nothing is replaced."""
    trash = path.parent.with_name("trash")
    shutil.rmtree(trash, ignore_errors=True)
    with contextlib.suppress(OSError):  # there is none, or its folder is closed
        path.rename(trash)


def _database(folder: Path, variant: int) -> None:
    _aside(folder / "db")
    write(folder / "db", ((b"%06d" % number, b"%d" % variant * 200) for number in range(RECORDS)))


def _libraries() -> None:
    """Loads what a process that becomes an ordinary user may not be able to load any more."""
    for name in ("lmdb", "plyvel"):
        importlib.import_module(name)


def _database_found(folder: Path) -> int | None:
    if not (folder / "db").exists():
        return None
    values = [bytes(value) for _, value in LmdbFile(folder / "db").items()]
    if len(values) != RECORDS or len(set(values)) != 1:
        raise ValueError(f"{len(values)} records of {len(set(values))} kinds")
    return int(values[0][:1])


class KnownFeatures:
    """In place of a net: batches of rows that are known."""

    blobs = ("a",)

    def __init__(self, variant: int) -> None:
        self.identity, self.variant = [variant], variant

    def batches_from(self, first: int) -> Any:
        for _ in range(first, 20):
            yield {"a": np.full((ROWS // 20, 8), self.variant, np.float32)}


def _features(folder: Path, variant: int) -> None:
    with Parts(str(folder / "f.h5"), KnownFeatures(variant)) as parts:  # type: ignore[arg-type]
        for _ in parts.collect():
            pass
        write_features(str(folder / "f.h5"), "hdf5", parts.arrays())
        parts.remove()


def _features_found(folder: Path) -> int | None:
    import h5py

    if not (folder / "f.h5").exists():
        return None
    with h5py.File(folder / "f.h5") as file:
        if file["a"].shape != (ROWS, 8):
            raise ValueError(f"rows: {file['a'].shape}")
        return _variant(file["a"][()])


def _page(folder: Path, variant: int) -> None:
    keras_caffe.view(NET.replace("prob", f"prob{variant}")).save(folder / "net.html")


def _page_found(folder: Path) -> int | None:
    if not (folder / "net.html").exists():
        return None
    text = (folder / "net.html").read_text()
    if not text.rstrip().endswith("</html>"):
        raise ValueError("half a page")
    return int("prob1" in text)


def _choice(folder: Path, variant: int) -> None:
    with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}):
        memory.remember({"net": "x"}, {"tensorflow": float(variant + 1)})


def _choice_found(folder: Path) -> int | None:
    with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}):
        files = [*memory.folder().glob("*.json")] if memory.folder().exists() else []
        told = memory.remembered({"net": "x"})
    if files and told is None:
        raise ValueError("a choice that cannot be read")
    return None if told is None else int(told["tensorflow"]) - 1


@functools.cache
def _models() -> list[Any]:
    models = [keras_caffe.load(NET) for _ in range(2)]
    for variant, model in enumerate(models):
        model.set_caffe_params({"ip": _arrays(variant)[1]})
    return models


def _export(folder: Path, variant: int) -> None:
    """Each export is a version of its own; of two at most the older goes."""
    with contextlib.suppress(PermissionError):  # the folder is closed
        versions = sorted((folder / "out").glob("[0-9]*"), key=lambda path: int(path.name))
        if len(versions) > 1:
            _aside(versions[0])
    keras_caffe.export(_models()[variant], folder / "out")


def _export_found(folder: Path) -> int | None:
    versions = sorted((folder / "out").glob("[0-9]*"), key=lambda path: int(path.name))
    for version in versions:
        names = {path.relative_to(version).as_posix() for path in version.rglob("*")}
        if not {"saved_model.pb", "variables/variables.index", "fingerprint.pb"} <= names:
            raise ValueError(f"{version.name} holds {sorted(names)}")
    if not versions:
        return None
    data = next(versions[-1].glob("variables/variables.data*")).read_bytes()
    return int(np.float32(1).tobytes() * 64 in data)


def _convert(folder: Path, variant: int) -> None:
    from keras_caffe.converters.write import replacing

    with replacing(folder / "net.keras") as file:
        _models()[variant].save(file)


def _convert_found(folder: Path) -> int | None:
    import io
    import zipfile

    import h5py

    if not (folder / "net.keras").exists():
        return None
    with zipfile.ZipFile(folder / "net.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    found: list[np.ndarray] = []
    with h5py.File(content) as file:
        file.visititems(lambda _, item: found.append(item[()].ravel()) if isinstance(item, h5py.Dataset) else None)
    return _variant(np.concatenate(found))


WRITERS = {
    "save": _weights("x.caffemodel"),
    "save_h5": _weights("x.caffemodel.h5"),
    "snapshot": _snapshot(""),
    "snapshot_h5": _snapshot(".h5"),
    "mean": Writer(_mean, _mean_found),
    "dataset_convert": Writer(_database, _database_found, _libraries, replaces=False),
    "extract": Writer(_features, _features_found),
    "view": Writer(_page, _page_found),
    "engine_choice": Writer(_choice, _choice_found),
    "export": Writer(_export, _export_found, _models),
    "convert": Writer(_convert, _convert_found, _models),
}
