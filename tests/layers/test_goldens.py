"""Every registered layer type against real Caffe's arrays: forward and gradients, in both data formats."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from keras_caffe.errors import CaffeWarning
from tests.layers.golden_case import GOLDENS, Case, Run, assert_close, cases, from_edge

KINDS = sorted(path.stem for path in GOLDENS.glob("*.npz"))


# Caffe's gradient of an in-place Power with power 1 is scale^2 whatever the top's diff is, because the diff is
# overwritten before it is read. Here it is the formula's, as for all layers that Caffe computes wrongly in place.
WRONG_IN_CAFFE = {"Power-c0005"}


def is_random(case: Case) -> bool:
    """Drawn values: compared by statistics in test_dropout, test_dummy_data and test_fillers."""
    return case.note.strip().startswith("stochastic") and case.kind != "Pooling_stochastic_derived"


def all_cases() -> list[Case]:
    every = [case for kind in KINDS for case in cases(kind)]
    return [case for case in every if not is_random(case) and str(case) not in WRONG_IN_CAFFE]


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    """Cases may name files in the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_matches_caffe(case: Case, data_format: str, tmp_path) -> None:
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
            assert_close(case, from_edge(step2[i], data_format), want, f"second top {i}")
        _check_state(case, run, "param_after_step2")


def _check_state(case: Case, run: Run, key: str) -> None:
    params = run.model.get_caffe_params()
    for i, want in case.group(key).items():
        layer, index = run.slots()[i]
        assert_close(case, params[layer][index], want, f"{key} {i}", gradient=True)
