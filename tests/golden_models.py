"""Trained networks with what real Caffe computed of them (golden/models of KERAS_CAFFE_SHARED)."""

from __future__ import annotations

import importlib.util
import json
import warnings
from functools import cache
from types import ModuleType

import numpy as np

import keras_caffe
from tests.shared_goldens import MODELS


def variants() -> list[tuple[str, dict[str, str]]]:
    """(folder, names of its files) of every net."""
    manifest = json.loads((MODELS / "manifest.json").read_text()) if MODELS.is_dir() else {}
    return [(name, files) for name, entry in sorted(manifest.items()) for files in entry.get("variants", [entry])]


@cache
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_check", MODELS / "golden_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(prototxt, weights, data_format: str, inputs: dict[str, np.ndarray]) -> keras_caffe.CaffeModel:
    shapes = {name: array.shape for name, array in inputs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", keras_caffe.CaffeWarning)  # Foreign fields of the files' forks.
        return keras_caffe.load(prototxt, weights, data_format=data_format, input_shapes=shapes)
