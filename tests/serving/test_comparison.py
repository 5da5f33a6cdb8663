"""compare: blobs beside arrays that Caffe computed, and the first that diverges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.errors import NetError, ReadError
from tests.shared_goldens import GOLDENS

FILES = [str(samples.path(name)) for name in ("lenet.prototxt", "lenet.caffemodel")]


@pytest.fixture
def reference() -> dict[str, np.ndarray]:
    """What the package computes for three digits, in Caffe's order; `test_caffes_own_arrays` has Caffe's."""
    images, _ = samples.digits()
    x = (np.asarray(images[:3]) * samples.SCALE).astype("float32").reshape(3, 1, 28, 28)
    model = keras_caffe.load(*FILES, data_format="channels_first")
    return {"data": x, **{name: np.asarray(v) for name, v in model.extract(list(model.blobs)[1:])(x).items()}}


@pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")
@pytest.mark.parametrize("case", sorted((GOLDENS / "net").glob("net_*.npz")), ids=lambda path: path.stem)
def test_caffes_own_arrays(case: Path) -> None:
    """Nets with splits, in-place chains and losses, dumped from pycaffe."""
    with np.load(case) as file:
        meta = json.loads(str(file["meta"]))
        arrays = {name[4:]: file[name] for name in file.files if name.startswith("out/")}
        arrays |= {name[3:]: file[name] for name in file.files if name.startswith("in/")}
        params: dict[str, dict[int, np.ndarray]] = {}
        for name in file.files:
            if name.startswith("param/"):
                layer, index = name[6:].rsplit("/", 1)
                params.setdefault(layer, {})[int(index)] = file[name]
    text = meta.get("prototxt") or meta.get("net_prototxt")
    model = keras_caffe.load(text, phase=meta.get("phase", "TEST"))
    model.set_caffe_params({layer: [blobs[i] for i in sorted(blobs)] for layer, blobs in params.items()})
    found = keras_caffe.compare(model, reference=arrays)
    assert found, found.first
    assert found.unknown == ()


def test_all_blobs_agree(reference: dict[str, np.ndarray], tmp_path: Path) -> None:
    np.savez(tmp_path / "ref.npz", **reference)
    found = keras_caffe.compare(*FILES, tmp_path / "ref.npz")
    assert found and found.first is None
    assert [row.blob for row in found.rows] == ["conv1", "pool1", "conv2", "pool2", "ip1", "ip2", "prob"]
    assert found.rows[4].type == "ReLU" and found.rows[0].shape == (3, 20, 24, 24)
    assert all(row.relative < 1e-5 for row in found.rows)


def test_the_first_that_diverges(reference: dict[str, np.ndarray]) -> None:
    reference["conv2"] = reference["conv2"] + np.float32(0.5)
    reference["prob"] = reference["prob"] * 2
    found = keras_caffe.compare(*FILES, reference)
    assert not found
    assert found.first.blob == "conv2" and found.first.layer == "conv2"
    assert found.first.absolute == pytest.approx(0.5, rel=1e-5)
    assert found.first.relative == pytest.approx(0.5 / np.abs(reference["conv2"]).max(), rel=1e-5)
    assert [row.blob for row in found.rows if row.problem] == ["conv2", "prob"]
    assert keras_caffe.compare(*FILES, reference, tolerance=10)


def test_other_shapes_and_nan(reference: dict[str, np.ndarray]) -> None:
    reference["pool1"] = reference["pool1"][:, :, 1:]
    reference["ip2"] = reference["ip2"].copy()
    reference["ip2"][0, 0] = np.nan
    problems = {row.blob: row.problem for row in keras_caffe.compare(*FILES, reference).rows if row.problem}
    assert problems == {"pool1": "the reference has shape (3, 20, 11, 12)", "ip2": "diverges"}


def test_names_that_the_net_does_not_have(reference: dict[str, np.ndarray]) -> None:
    more = {**reference, "fc8": np.zeros(3), "ip1_ip1_0_split_0": np.zeros(3)}
    assert keras_caffe.compare(*FILES, more).unknown == ("fc8",)


def test_what_cannot_be_compared(reference: dict[str, np.ndarray], tmp_path: Path) -> None:
    for blob, values in {"prob": np.array(["a"]), "data": np.zeros((1, 1, 28, 28), "complex64")}.items():
        with pytest.raises(ReadError, match=f"blob '{blob}': this is not an array of real numbers"):
            keras_caffe.compare(*FILES, {**reference, blob: values})
    del reference["data"]
    with pytest.raises(NetError, match="lacks input 'data'"):
        keras_caffe.compare(*FILES, reference)
    with pytest.raises(ReadError, match="no blob of the net"):
        keras_caffe.compare(*FILES, {"data": np.zeros((1, 1, 28, 28), "float32")})
    with pytest.raises(ReadError, match="no such file"):
        keras_caffe.compare(*FILES, tmp_path / "nowhere.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 broken")
    with pytest.raises(ReadError, match="broken.npz"):
        keras_caffe.compare(*FILES, tmp_path / "broken.npz")
    np.savez(tmp_path / "pickled.npz", data=np.array([{}], object))
    with pytest.raises(ReadError, match="pickled.npz"):
        keras_caffe.compare(*FILES, tmp_path / "pickled.npz")


def test_the_command(reference: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "ref.npz", **reference)
    command = ["compare", *FILES, "--reference", str(tmp_path / "ref.npz")]
    assert main(command) == 0
    assert "7 blobs agree" in capsys.readouterr().out
    np.savez(tmp_path / "ref.npz", **{**reference, "pool2": reference["pool2"] + 1})
    assert main(command) == 1
    out = capsys.readouterr().out
    assert "first to diverge: pool2 (layer pool2, Pooling)" in out
    assert [line.split()[0] for line in out.splitlines() if line.strip().startswith("->")] == ["->"]
    assert main([*command, "--tolerance", "100"]) == 0
