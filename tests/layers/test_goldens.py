"""Every registered layer type against real Caffe's arrays: forward and gradients, in both data formats."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from keras_caffe import registry
from keras_caffe.errors import CaffeWarning
from tests.layers.golden_case import GOLDENS, Case, Run, assert_close, cases

KINDS = sorted(path.stem for path in GOLDENS.glob("*.npz"))
REGISTERED = set(registry.registered())


def all_cases() -> list[Case]:
    return [case for kind in KINDS for case in cases(kind) if case.types <= REGISTERED]


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    """Cases may name files in the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_matches_caffe(case: Case, data_format: str, tmp_path) -> None:
    if "stochastic" in case.note.split(":")[0] and case.kind != "Fillers":
        pytest.skip("random values: compared by statistics in the layer's own test")
    if case.kind == "Fillers" and "stochastic" in case.note:
        pytest.skip("random values: compared by statistics in test_fillers")
    for key, content in case.arrays.items():
        if key.startswith("file/"):
            (tmp_path / key[len("file/") :]).write_bytes(content.tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)  # Some cases are unusual on purpose.
        run = Run(case, data_format)
    tops, bottom_diffs, param_diffs = run.forward_backward()
    for i, want in case.group("top").items():
        assert_close(case, tops[i], want, f"top {i}")
    for diffs, key in ((bottom_diffs, "bottom_diff"), (param_diffs, "param_diff")):
        for i, want in case.group(key).items():
            got = np.zeros_like(want) if diffs[i] is None else diffs[i]
            assert_close(case, got, want, f"{key} {i}", gradient=True)
    _check_state(case, run, "param_after")
    if case.group("bottom_step2"):
        step2 = run.forward(case.group("bottom_step2"))
        for i, want in case.group("top_step2").items():
            from tests.layers.golden_case import from_edge

            assert_close(case, from_edge(step2[i], data_format), want, f"second top {i}")
        _check_state(case, run, "param_after_step2")


def _check_state(case: Case, run: Run, key: str) -> None:
    params = run.model.get_caffe_params()
    for i, want in case.group(key).items():
        layer, index = run.slots()[i]
        assert_close(case, params[layer][index], want, f"{key} {i}", gradient=True)
