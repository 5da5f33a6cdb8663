"""Trained values: every generation and format of file, against what Caffe holds after loading them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_caffe import proto
from keras_caffe.converters.read_weights import LayerBlobs, read_mean, read_weights
from keras_caffe.errors import CaffeError, CaffeWarning, ReadError, WeightsError
from tests.rejected import reason_for
from tests.shared_goldens import GOLDENS, MODELS, needs_models

SOURCES = GOLDENS / "net" / "weights_by_name.npz"


def arrays(layers: list[LayerBlobs]) -> dict[str, np.ndarray]:
    return {f"{layer.name}/{i}": blob.array for layer in layers for i, blob in enumerate(layer.blobs) if blob}


@pytest.mark.parametrize("name", ["w_src.caffemodel", "w_src.caffemodel.h5"])
def test_the_values_that_caffe_wrote(name: str) -> None:
    read = arrays(read_weights(GOLDENS / "net" / name))
    with np.load(SOURCES) as golden:
        source = {key.removeprefix("src/"): golden[key] for key in golden.files if key.startswith("src/")}
    missing = set(source) - set(read)
    assert missing == ({"sh2/0", "sh2/1"} if name.endswith("h5") else set()), "HDF5 leaves out shared blobs"
    for key, values in read.items():
        np.testing.assert_array_equal(values, source[key])


def test_layers_without_blobs_are_there_too() -> None:
    for name in ("w_src.caffemodel", "w_src.caffemodel.h5"):
        assert {layer.name for layer in read_weights(GOLDENS / "net" / name)} >= {"d", "d_d_0_split", "a"}


def test_double_and_legacy_files() -> None:
    source = arrays(read_weights(GOLDENS / "net" / "w_src.caffemodel"))
    double = read_weights(GOLDENS / "net" / "w_double.caffemodel")
    legacy = read_weights(GOLDENS / "net" / "w_legacy4d.caffemodel")
    assert [blob.legacy for blob in (*double[0].blobs, *legacy[0].blobs)] == [False, False, True, True]
    assert [blob.array.shape for blob in legacy[0].blobs] == [(1, 1, 4, 5), (1, 1, 1, 4)]
    assert [blob.array.dtype for blob in double[0].blobs] == [np.float32] * 2
    assert [blob.array.shape for blob in double[0].blobs] == [source["a/0"].shape, source["a/1"].shape]


def test_types_of_every_generation(tmp_path: Path) -> None:
    net = proto.NetParameter()
    net.layer.add(name="v2", type="Convolution")
    net.layers.add(
        name="v1", type="CONVOLUTION", blobs=[{"data": [1], "num": 1, "channels": 1, "height": 1, "width": 1}]
    )
    net.layers.add().layer.MergeFrom(proto.V0LayerParameter(name="v0", type="conv", blobs=[{"data": [2]}]))
    (tmp_path / "net").write_bytes(net.SerializeToString())
    layers = {layer.name: layer for layer in read_weights(tmp_path / "net")}
    assert {name: layer.type for name, layer in layers.items()} == {
        "v2": "Convolution",
        "v1": "CONVOLUTION",
        "v0": "conv",
    }
    assert layers["v1"].blobs[0].array.shape == (1, 1, 1, 1)
    assert layers["v0"].blobs[0].array == 2


def golden_weights(name: str) -> bytes:
    for file in ("rejected", "accepted"):
        loaded = json.loads((GOLDENS / "errors" / f"{file}.json").read_text())
        for entry in loaded if isinstance(loaded, list) else loaded.values():
            if entry["name"] == name:
                return base64.b64decode(entry["weights_base64"])
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "file", "kind"),
    [
        ("weights_truncated", "w.caffemodel", ReadError),
        ("weights_data_count", "w.caffemodel", WeightsError),
        ("weights_h5_garbage", "w.caffemodel.h5", ReadError),
    ],
)
def test_what_caffe_refuses(tmp_path: Path, name: str, file: str, kind: type[CaffeError]) -> None:
    (tmp_path / file).write_bytes(golden_weights(name))
    with pytest.raises(kind, match=reason_for(name)) as caught:
        read_weights(tmp_path / file)
    assert file in str(caught.value)
    if kind is WeightsError:
        assert "ip, blob 0" in str(caught.value)


def test_garbage_that_caffe_takes_for_an_empty_net(tmp_path: Path) -> None:
    (tmp_path / "w.caffemodel").write_bytes(golden_weights("weights_garbage"))
    with pytest.warns(CaffeWarning) as caught:
        assert read_weights(tmp_path / "w.caffemodel") == []
    assert any("no layers in it" in str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'name: "net"\nlayer { name: "a" }\n', "a text file"),
        (b"this is not a protobuf file", "a text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"PK\x03\x04\x14\0\0\0", "zip"),
        (b"\x1f\x8b\x08\0\0\0\0", "gzip"),
        (b"", "empty"),
        (b"\xa2\x06\xff\x01\n\x02ip", "bytes"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "w.caffemodel").write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read_weights(tmp_path / "w.caffemodel")
    assert said in str(caught.value)


def test_what_is_no_file_of_trained_values(tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(b"x")
    with pytest.raises(ReadError, match="nte.caffemodel: there is no such file. Did you mean .*net.caffemodel"):
        read_weights(tmp_path / "nte.caffemodel")
    with pytest.raises(ReadError, match="this is a folder; expected a file"):
        read_weights(tmp_path)
    (tmp_path / "s_iter_1.solverstate").write_bytes(b"\x08\x01")
    with pytest.raises(ReadError, match="solver's state, not a net's.*Give the .caffemodel"):
        read_weights(tmp_path / "s_iter_1.solverstate")


def test_a_layer_with_countless_blobs_is_refused(tmp_path: Path) -> None:
    blobs = b"\x3a\x02\x08\x00" * 20_000
    (tmp_path / "w").write_bytes(
        b"\xa2\x06" + bytes([len(blobs) & 127 | 128, len(blobs) >> 7 & 127 | 128, len(blobs) >> 14]) + blobs
    )
    with pytest.raises(ReadError, match="blobs"):
        read_weights(tmp_path / "w")


def test_names_that_are_not_utf8_stay_apart(tmp_path: Path) -> None:
    layers = b"".join(b"\xa2\x06\x06\n\x04\xd6\xd0\xce" + bytes([last]) for last in (0xC4, 0xC5))
    (tmp_path / "w").write_bytes(layers)
    assert len({layer.name for layer in read_weights(tmp_path / "w")}) == 2


def hdf5(path: Path, **layers: object) -> Path:
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for name, blobs in layers.items():
            group = data.require_group(name)
            for key, values in blobs.items():
                group[key] = values
    return path


def test_hdf5_names_with_slashes_and_gaps(tmp_path: Path) -> None:
    ones = np.ones((2, 3), np.float32)
    path = hdf5(
        tmp_path / "w.caffemodel.h5", **{"a/1x1": {"0": ones}, "a/3x3/b": {"1": ones}, "a": {}, "c": {"0": ones}}
    )
    layers = {layer.name: layer.blobs for layer in read_weights(path)}
    assert set(layers) == {"a/1x1", "a/3x3/b", "c"}
    assert layers["a/3x3/b"][0] is None
    np.testing.assert_array_equal(layers["a/3x3/b"][1].array, ones)


def test_more_than_ten_hdf5_blobs_are_in_order(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "w.h5", lstm={str(i): np.float32(i) for i in range(12)})
    assert [float(blob.array) for blob in read_weights(path)[0].blobs] == list(range(12))


def test_hdf5_without_its_suffix(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "w.caffemodel", a={"0": np.float64([1.5])})
    (blob,) = read_weights(path)[0].blobs
    assert (blob.array.dtype, list(blob.array)) == (np.float32, [1.5])


def odd_hdf5(path: Path, kind: str) -> None:
    with h5py.File(path, "w") as file:
        data = file.create_group("net" if kind == "no data" else "data")
        layer = data.create_group("a")
        if kind == "integers":
            layer["0"] = np.arange(3)
        elif kind == "no number":
            layer["weight"] = np.ones(3, np.float32)
        elif kind == "external link":
            layer["0"] = h5py.ExternalLink("/etc/passwd", "/x")
        elif kind == "soft link":
            layer["0"] = h5py.SoftLink("/nothing")
        elif kind == "nothing stored":
            layer.create_dataset("0", (1 << 20, 1 << 20), "f4")
        elif kind == "nothing stored in chunks":
            layer.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(64, 64))
        elif kind == "data is an array":
            del file["data"]
            file["data"] = np.ones(3, np.float32)
        elif kind == "circle":
            layer["b"] = layer


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("no data", "expected a group /data"),
        ("integers", "holds no floats"),
        ("no number", "a blob has no number; .* received weight"),
        ("external link", "/data/a/0 is neither a group nor a dataset of this file"),
        ("soft link", "/data/a/0 is neither a group nor a dataset of this file"),
        ("nothing stored", "expected 4398046511104 bytes"),
        ("nothing stored in chunks", "expected 4398046511104 bytes"),
        ("data is an array", "expected a group /data"),
        ("circle", "a/b: a group has two names"),
    ],
)
def test_odd_hdf5_files_are_refused(tmp_path: Path, kind: str, reason: str) -> None:
    path = tmp_path / "w.caffemodel.h5"
    odd_hdf5(path, kind)
    with pytest.raises(CaffeError, match=reason) as caught:
        read_weights(path)
    assert "w.caffemodel.h5" in str(caught.value)


def test_mean_images(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32)
    mean = proto.BlobProto(num=1, channels=3, height=2, width=2, data=values)
    (tmp_path / "mean.binaryproto").write_bytes(mean.SerializeToString())
    np.testing.assert_array_equal(read_mean(tmp_path / "mean.binaryproto"), values.reshape(1, 3, 2, 2))
    (tmp_path / "short").write_bytes(mean.SerializeToString()[:-3])
    (tmp_path / "text").write_text("mean")
    for name in ("short", "text", "nothing"):
        with pytest.raises(CaffeError, match=name):
            read_mean(tmp_path / name)


@needs_models
def test_real_models_hold_what_caffe_loaded() -> None:
    checked = 0
    for golden in sorted(MODELS.glob("*/golden*.npz")):
        (path,) = golden.parent.glob("weights.*")
        layers = {layer.name: layer for layer in read_weights(path)}
        with np.load(golden) as record:
            meta = json.loads(str(record["meta"]))
        for name, blobs in meta["params"].items():
            for blob, (shape, digest) in zip(layers[name].blobs, blobs, strict=True):
                assert blob.array.size == np.prod(shape, dtype=int)
                assert hashlib.sha256(np.ascontiguousarray(blob.array).tobytes()).hexdigest()[:16] == digest, (
                    path,
                    name,
                )
                checked += 1
    assert checked > 1000


def small_files() -> list[bytes]:
    return [
        (GOLDENS / "net" / name).read_bytes()
        for name in ("w_src.caffemodel", "w_double.caffemodel", "w_src.caffemodel.h5")
    ]


@settings(max_examples=400, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damaged_files_are_refused_or_read(rng: random.Random) -> None:
    data = bytearray(rng.choice(small_files()))
    for _ in range(rng.randint(1, 5)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    cut = rng.randint(1, len(data)) if rng.random() < 0.3 else len(data)
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"damaged-{os.getpid()}.caffemodel"
    path.write_bytes(data[:cut])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaffeWarning)
            values = sum(array.size for array in arrays(read_weights(path)).values())
        assert values <= len(data)
    except CaffeError as error:
        assert "damaged" in str(error)
    finally:
        path.unlink()
