"""Trained values: caffemodels, mean images, HDF5 files, `.keras` archives."""

from __future__ import annotations

import contextlib
import io
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from random import Random

import numpy as np

import keras_caffe
from keras_caffe.converters.keras_file import read_keras
from keras_caffe.converters.read import read_mean, read_weights
from keras_caffe.converters.write import write_caffemodel
from keras_caffe.data.sources.hdf5_data import row_shapes
from keras_caffe.errors import CaffeError
from keras_caffe.solver.state import read_state
from scripts.fuzzing.mutations import blocks, places_of, several, wire, words
from scripts.fuzzing.seeds import files
from scripts.fuzzing.target import Target, file_of

NET = """input: "data" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 3
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 2 } }
layer { name: "i" type: "InnerProduct" bottom: "c" top: "i" inner_product_param { num_output: 2 } }"""


def weights(data: bytes) -> None:
    file = file_of(data, "net.caffemodel")
    with contextlib.suppress(CaffeError):
        read_mean(file)
    for layer in read_weights(file):
        for blob in filter(None, layer.blobs):
            blob.copy()
            _ = blob.diff


def h5(data: bytes) -> None:
    file = file_of(data, "x.h5")
    for read in (read_weights, read_state, lambda path: row_shapes(path, ["data", "label"])):
        with contextlib.suppress(CaffeError):
            read(file)


def archive(data: bytes) -> None:
    read_keras(file_of(data, "net.keras"))


def caffemodels() -> Iterable[bytes]:
    yield _written("net.caffemodel")
    yield from files("*.binaryproto", "*.caffemodel")


def hdf5_files() -> Iterable[bytes]:
    yield _written("net.caffemodel.h5")
    yield from files("*.h5", shared=False)


def archives() -> Iterable[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.keras"
        keras_caffe.load(NET).save(file)
        yield file.read_bytes()


def _written(name: str) -> bytes:
    net = keras_caffe.load(NET).plan.net.message
    params = [[], [np.ones((2, 2, 2, 2)), np.ones(2)], [np.ones((2, 8)), np.ones(2)]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        write_caffemodel(file, net, params[-len(net.layer) :])
        return file.read_bytes()


def hdf5_words(random: Random, data: bytes) -> bytes:
    """Changes a number behind a signature of HDF5: the head, trees, heaps, lists of members, objects."""
    return words(random, data, [*places_of(data, b"\x89HDF", b"TREE", b"HEAP", b"SNOD", b"OHDR", b"GCOL"), 0x60, 800])


def member_of_archive(random: Random, data: bytes) -> bytes:
    """Changes one member of an archive, which is written anew, so that its checksums are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            members = {info.filename: old.read(info) for info in old.infolist() if info.file_size < 1 << 20}
    except Exception:  # zipfile raises many things of what is no archive
        return words(random, data)
    if not members:
        return words(random, data)
    name = random.choice(sorted(members))
    members[name] = (hdf5_words if name.endswith(".h5") else blocks)(random, members[name])
    if random.random() < 0.1:
        members[random.choice(["../x", "/etc/x", "config.json", "model.weights.h5", "a" * 300])] = members.pop(name)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    return out.getvalue()


TARGETS = {
    "weights": Target(weights, caffemodels, several(wire, wire, words, blocks)),
    "h5": Target(h5, hdf5_files, several(hdf5_words, hdf5_words, words, blocks), 1 << 16),
    "keras": Target(archive, archives, several(member_of_archive, member_of_archive, words), 1 << 17),
}
