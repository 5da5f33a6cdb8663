"""One small net for each layer type: the goldens' first case of the type, or that of its `Case` in its test file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

import keras_caffe
from keras_caffe.errors import CaffeWarning
from tests.layers.cases import declared
from tests.layers.golden_case import GOLDENS, cases


def models(folder: Path) -> dict[str, Any]:
    """{kind: CaffeModel}; the files that the nets name are put into `folder`, the working directory."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)
        for case in (case for cases_of_type in declared().values() for case in cases_of_type if case.net):
            found[case.type] = keras_caffe.load(case.net, input_shapes=case.input_shapes)
        for kind in sorted(path.stem for path in GOLDENS.glob("*.npz")):
            golden = next(golden for golden in cases(kind) if not golden.note.strip().startswith("stochastic"))
            for key, content in golden.arrays.items():
                if key.startswith("file/"):
                    (folder / key.removeprefix("file/")).write_bytes(content.tobytes())
            phase, fork = "TRAIN" if golden.training else "TEST", "ssd" if kind.endswith("_ssd") else None
            found[kind] = keras_caffe.load(golden.text, phase=phase, fork=fork)
    return found


def inputs(model: Any) -> dict[str, np.ndarray]:
    """Zeros and ones, which serve as values, labels and indices; the first of each row, maybe an image, is 0."""
    random, fed = np.random.default_rng(1), {}
    for tensor in model.inputs or []:
        declared = model.caffe_shapes.get(tensor.name, tensor.shape)
        sizes = [first if size is None else size for size, first in zip(tensor.shape, declared, strict=True)]
        fed[tensor.name] = random.integers(0, 2, sizes).astype("float32")
        if len(sizes) > 1:
            fed[tensor.name][..., 0] = 0
        if sizes[2:] == [8, 1]:  # boxes of ground truth, channels last, and none of the background
            fed[tensor.name][:, :, 1] = 1
    return fed
