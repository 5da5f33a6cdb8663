"""Golden batches of Caffe's own data layers (format: goldens/README-solvers-data.md)."""

from __future__ import annotations

import json

import numpy as np

from keras_caffe.data import dataset
from tests.shared_goldens import GOLDENS

DATA = GOLDENS / "data"


def case(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    with np.load(DATA / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    return json.loads(str(arrays.pop("meta"))), arrays


def batches(meta: dict, arrays: dict[str, np.ndarray], **kwargs: object) -> list[dict[str, np.ndarray]]:
    given = {key[3:]: value for key, value in arrays.items() if key.startswith("in/")}
    found = dataset(
        meta["prototxt"], meta["phase"], base_dir=DATA, arrays=given, data_format="channels_first", **kwargs
    )
    return list(found.take(meta["forwards"]).as_numpy_iterator())
