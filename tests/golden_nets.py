"""What the tests of this folder share: golden files, and the way from text to a graph."""

from __future__ import annotations

import gzip
import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from google.protobuf import text_format

from keras_caffe import proto
from keras_caffe.converters.graph import Net, graph
from keras_caffe.converters.select import select
from keras_caffe.converters.splits import with_splits
from keras_caffe.converters.upgrade import upgrade
from tests.shared_goldens import GOLDENS, MODELS, WILD, needs_models, needs_wild

__all__ = ["GOLDENS", "MODELS", "WILD", "needs_models", "needs_wild"]


def parse(text: str, message: str = "NetParameter", lenient: bool = False) -> Any:
    return text_format.Parse(text, getattr(proto, message)(), allow_unknown_field=lenient)


def selected(
    text: str, phase: str = "TEST", level: int = 0, stages: tuple[str, ...] = (), lenient: bool = False
) -> Any:
    return select(upgrade(parse(text, lenient=lenient)), phase, level, stages)


def graph_of(text: str, phase: str = "TEST") -> Net:
    return graph(selected(text, phase))


@cache
def read_json(path: Path) -> Any:
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def meta(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        return json.loads(str(arrays["meta"]))


@cache
def substitute() -> ModuleType:
    """The corpus's own script, which replaces data layers by DummyData."""
    spec = importlib.util.spec_from_file_location("substitute", WILD / "substitute.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blob_names(net: Net, ids: tuple[str, ...]) -> list[str]:
    return [net.values[key].blob for key in ids]


def check_record(net: Any, record: dict[str, Any]) -> None:
    """`net`, upgraded and selected, is what Caffe recorded of it after inserting its Split layers."""
    split = with_splits(net)
    assert [[layer.name, layer.type] for layer in split.layer] == record["layers"]
    whole = graph(split)
    assert blob_names(graph(net), graph(net).inputs) == record["inputs"]
    assert blob_names(whole, whole.outputs) == record["outputs"]
    for side in ("bottom", "top"):
        if f"{side}s" in record:
            assert {layer.name: list(getattr(layer, side)) for layer in split.layer} == record[f"{side}s"]
    if "blobs" in record:
        names = record["blobs"] if isinstance(record["blobs"], dict) else [name for name, _ in record["blobs"]]
        assert {value.blob for value in whole.values.values()} == set(names)
