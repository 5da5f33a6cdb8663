"""Every layer that can be written as ONNX operations against real Caffe's arrays, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keras_caffe.onnx import writer_of
from keras_caffe.registry import registered
from tests.layers.golden_case import KINDS, Golden
from tests.onnx_cases import needs_onnx, problems, same_in_training

SOURCES = {"Input", "DummyData", "HDF5Data", "Data", "ImageData", "WindowData", "MemoryData"}

pytestmark = needs_onnx


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: Any) -> None:
    """Cases may name files in the working directory."""
    monkeypatch.chdir(tmp_path)


def written(case: Golden) -> bool:
    """Whether all layers of a case can be written."""
    classes = registered()
    return same_in_training(case) and all(writer_of(classes[type]) for type in case.types - SOURCES)


@pytest.mark.parametrize("kind", KINDS)
def test_matches_caffe(kind: str, tmp_path: Path) -> None:
    assert not problems(kind, tmp_path, written)
