"""pycaffe.Net against Caffe: every blob, every diff, every parameter's diff."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from tests.shared_goldens import GOLDENS

NETS = sorted(path.stem for path in (GOLDENS / "net").glob("net_*.npz"))
PHASES = {"TRAIN": caffe.TRAIN, "TEST": caffe.TEST}

pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")


def golden(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(GOLDENS / "net" / f"{name}.npz") as file:
        return json.loads(str(file["meta"])), {key: file[key] for key in file.files if key != "meta"}


def group(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(f"{prefix}/"): array for key, array in arrays.items() if key.startswith(f"{prefix}/")}


def close(got: np.ndarray, want: np.ndarray, what: str) -> None:
    assert got.shape == want.shape, what
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5, err_msg=what)


@pytest.mark.parametrize("name", NETS)
def test_everything_that_caffe_recorded(name: str) -> None:
    meta, arrays = golden(name)
    net = caffe.Net(meta["prototxt"], PHASES[meta["phase"]])
    assert [[layer.name, layer.type] for layer in net.layers] == meta["layers"]
    assert [[blob, list(net.blobs[blob].shape)] for blob in net.blobs] == meta["blobs"]
    assert dict(net.bottom_names) == meta["bottoms"]
    assert dict(net.top_names) == meta["tops"]
    assert (net.inputs, net.outputs) == (meta["inputs"], meta["outputs"])
    assert {n: [list(b.shape) for b in blobs] for n, blobs in net.params.items()} == meta["params"]
    assert dict(net.blob_loss_weights) == pytest.approx(meta["blob_loss_weights"])
    for key, array in group(arrays, "param").items():
        net.params[key.rpartition("/")[0]][int(key.rpartition("/")[2])].data[...] = array
    for blob, array in group(arrays, "in").items():
        net.blobs[blob].data[...] = array
    loss = net._forward(0, len(net.layers) - 1)
    assert loss == pytest.approx(meta["loss"], abs=1e-5, rel=1e-5)
    for blob, array in group(arrays, "out").items():
        close(net.blobs[blob].data, array, f"out/{blob}")
    net.backward()
    for blob, array in group(arrays, "diff").items():
        close(net.blobs[blob].diff, array, f"diff/{blob}")
    for key, array in group(arrays, "pdiff").items():
        close(net.params[key.rpartition("/")[0]][int(key.rpartition("/")[2])].diff, array, f"pdiff/{key}")
