"""Nets from public repositories: every blob and parameter shape as real Caffe builds them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from keras_caffe import registry
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.graph import graph
from keras_caffe.converters.infer import Plan, infer
from keras_caffe.errors import CaffeError, CaffeWarning
from tests.golden_nets import read_json, substitute
from tests.shared_goldens import WILD, needs_wild

NETS = read_json(WILD / "shapes.json.gz") if WILD.is_dir() else {}
REFUSED = read_json(WILD / "refused.json.gz") if WILD.is_dir() else {}


def plan(text: str, phase: str, stages: tuple[str, ...] = ()) -> Plan:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)
        return infer(graph(read_definition(text).select(phase, 0, stages).message))


def text_of(name: str, record: dict[str, Any], entry: dict[str, Any]) -> str:
    text = (WILD / "prototxts" / name).read_text()
    if "part" in entry:
        text = substitute().net_text(text)[0]
    return substitute().substitute(text, tuple(record["chw"]))[0] if "sub" in record else text


def split_tops(record: dict[str, Any]) -> set[str]:
    splits = {name for name, kind in record["layers"] if kind == "Split"}
    return {blob for blob in record["blobs"] if blob.rsplit("_", 1)[0] in splits}


def known(shape: tuple[int | None, ...], provisional: list[int]) -> list[int | None]:
    """The shape, and Caffe's provisional number where that of rows of detections depends on values."""
    rows = len(shape) == len(provisional) == 4 and shape[0] == shape[1] == 1 and shape[3] in (5, 7)
    return [provisional[2] if size is None and rows and axis == 2 else size for axis, size in enumerate(shape)]


@needs_wild
@pytest.mark.parametrize("name", NETS)
def test_shapes(name: str) -> None:
    entry = NETS[name]
    for record in entry["nets"]:
        got = plan(text_of(name, record, entry), record["phase"], tuple(record.get("stages", ())))
        left_out = split_tops(record)
        wanted = {blob: shape for blob, shape in record["blobs"].items() if blob not in left_out}
        shapes = {blob: known(got.shapes[value], wanted.get(blob, [])) for blob, value in got.net.blobs.items()}
        assert shapes == wanted
        params = {p.node.name: [list(b.shape) for b in p.blobs] for p in reversed(got.layers.values()) if p.blobs}
        assert params == record["params"]


@needs_wild
@pytest.mark.parametrize("name", REFUSED)
def test_what_caffe_refuses_is_built_or_refused_with_a_reason(name: str) -> None:
    for phase in ("TRAIN", "TEST"):
        try:
            plan((WILD / "prototxts" / name).read_text(errors="replace"), phase)
        except CaffeError as error:
            assert str(error)


def test_data_layers_are_registered() -> None:
    assert {"Data", "DummyData", "ImageData"} <= set(registry.registered())
