"""What real Caffe refuses we refuse, with a reason; what it accepts against expectation we accept."""

from __future__ import annotations

import base64
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import CaffeError
from tests.layers.golden_case import to_edge
from tests.rejected import REJECTED, reason_for
from tests.shared_goldens import GOLDENS, SHARED

ACCEPTED = json.loads((GOLDENS / "errors" / "accepted.json").read_text())

# Caffe aborts on a missing or contradictory data source when it builds the net. Here a data layer only declares inputs,
# so that a train net loads without its data; the dataset refuses these.
DATASET = {
    *("data_missing_db", "data_crop_too_large", "data_mean_value_count", "data_mean_shape", "data_mean_missing"),
    *("data_varsize_batch", "image_missing_list", "image_missing_file", "hdf5_missing_list", "hdf5_missing_dataset"),
    *("window_missing", "hdf5output_second_forward"),
}
STRICT = {
    "syntax_unknown_field": "an unknown field is a warning, so that other forks' nets load, and with strict an error"
}


def attempt(case: dict[str, Any], folder: Path) -> None:
    """Does what the case did with real Caffe."""
    text = case["prototxt"].replace("SRC/", f"{SHARED / 'data' / 'src'}/")
    model = keras_caffe.load(text, phase=case["phase"], strict=case["name"] in STRICT)
    if "weights_base64" in case:
        file = folder / case.get("weights_name", "w.caffemodel")
        file.write_bytes(base64.b64decode(case["weights_base64"]))
        model.load_weights_from(file)
    if "reshape" in case:
        blob, shape = case["reshape"]
        model({blob: to_edge(np.zeros(shape, "float32"), model.data_format)})
    if case.get("forward"):
        given = case["forward"] if isinstance(case["forward"], dict) else {}
        shapes = model.caffe_shapes
        names = [model.net.values[v].blob for v in model.net.inputs]
        fed = {n: np.asarray(given.get(n, np.zeros(shapes[n])), "float32").reshape(shapes[n]) for n in names}
        model({n: to_edge(a, model.data_format) for n, a in fed.items()}, training=case["phase"] == "TRAIN")


@pytest.fixture(autouse=True)
def _unusual(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", keras_caffe.CaffeWarning)
        yield


@pytest.mark.parametrize(
    "case",
    [c for c in REJECTED if c["kind"] != "solver" and c["name"] not in DATASET],
    ids=lambda c: c["name"],
)
def test_refused(case: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match=reason_for(case["name"])) as caught:
        attempt(case, tmp_path)
    message = str(caught.value)
    if case["layer"] and case["stage"] == "construct" and case["name"] != "legacy_input_without_dims":
        assert f"'{case['layer']}'" in message or case["layer"] in message, message
    assert "\n" not in message


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda c: c["name"])
def test_accepted(case: dict[str, Any], tmp_path: Path) -> None:
    # What Caffe leaves undefined (a label out of range) is an error here, but only when the net runs.
    attempt({**case, "forward": None} if "undefined" in case else case, tmp_path)
