"""Mean: a mean from a file, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_caffe import proto
from keras_caffe.errors import DataError, LayerError, ShapeError
from keras_caffe.layers import Mean
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe, make
from tests.random_nets.draft import Draft

CASES = [
    Case(
        "Mean",
        Mean("SUBTRACT", (1, 2), input_scale=0.5),
        [SHAPE],
        refused=[
            ({"operation": "MULTIPLY"}, "unknown operation; expected one of ADD, SUBTRACT; received 'MULTIPLY'"),
            ({"value": "1"}, "value must be a number; received '1'"),
            ({"value": ()}, "Mean needs one mean; expected either values or a file; received none"),
            ({"value": 1, "image": [[[1]]]}, "Mean needs one mean; .*; received both"),
            ({"image": [1, 2]}, r"image must be \(c, H, W\) numbers; received shape \(2,\)"),
            ({"value": 1, "mean_scale": None}, "mean_scale must be a number; received None"),
            ({"value": 1, "input_scale": "1"}, "input_scale must be a number; received '1'"),
            ({"value": 1, "output_scale": "1"}, "output_scale must be a number; received '1'"),
        ],
    )
]


def mean(draft: Draft) -> None:
    fields = draft.fields(operation=("ADD", "SUBTRACT"), mean_scale=(2, None), input_scale=(0.5, None))
    draft.add("Mean", [draft.bottom(4)], f"mean_param {{ value: 0.5 {fields} }}")


PARTS = {"Mean": mean}
TEXT = 'type: "Mean" mean_param { operation: SUBTRACT %s }'
X = np.arange(48, dtype="float32").reshape(1, 4, 3, 4)  # channels first


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The mean of two channels in m.binaryproto."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype("float32")
    blob = proto.BlobProto(num=1, channels=2, height=3, width=4, data=values.ravel())
    Path("m.binaryproto").write_bytes(blob.SerializeToString())
    return values[0]


def test_the_channels_of_a_file_repeat(file: np.ndarray) -> None:
    layer, _ = make(TEXT % 'file: "m.binaryproto" mean_scale: 2 output_scale: 0.5', X.shape)
    want = (X - 2 * np.concatenate([file, file])) / 2
    layer = Mean.from_config(layer.get_config())
    np.testing.assert_allclose(np.moveaxis(layer(np.moveaxis(X, 1, -1)), -1, 1), want, rtol=1e-6)


@pytest.mark.parametrize(
    ("param", "shape", "error", "reason"),
    [
        (
            'file: "m.binaryproto"',
            (1, 4, 3, 5),
            ShapeError,
            r"another size; expected \(3, 5\) pixels; received 24 values",
        ),
        ('file: "m.binaryproto"', (1, 3, 3, 4), ShapeError, "other channels; expected a multiple of 2; received 3"),
        ('file: "none"', (1, 4, 3, 4), DataError, "the mean cannot be read"),
        ("", (1, 4, 3, 4), LayerError, "Mean needs one mean"),
        ('value: 1 file: "m.binaryproto"', (1, 4, 3, 4), LayerError, "Mean needs one mean"),
        (
            "value: 1 value: 2 value: 3",
            (1, 4, 3, 4),
            ShapeError,
            "other channels; expected a multiple of 3; received 4",
        ),
    ],
)
@pytest.mark.usefixtures("file")
def test_refused(param: str, shape: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        from_caffe(TEXT % param, shape)
