"""Plain models as files, and what they give in a process that cannot import keras_caffe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_caffe

KERAS_ONLY = ("keras.src.layers.", "keras.src.ops.", "keras.src.models.")
ALONE = Path(__file__).with_name("without_keras_caffe.py")
FLAGGED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 5 dim: 2 dim: 3 } } }
layer { name: "cont" type: "Input" top: "cont" input_param { shape { dim: 5 dim: 2 } } }
layer { name: "memory" type: "%s" bottom: "x" bottom: "cont" top: "memory" %s { num_output: 4
  weight_filler { type: "uniform" min: -1 max: 1 } bias_filler { type: "uniform" min: -1 } } }
"""
"""A recurrent layer with flags; its type and its parameter's name are open."""


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype("float32")


def is_plain(model: keras.Model) -> bool:
    return all(type(operation).__module__.startswith(KERAS_ONLY) for operation in model.operations)


def keep(folder: Path, name: str, model: Any, fed: dict[str, np.ndarray]) -> None:
    """Saves the plain model, inputs, and what the Caffe model makes of them."""
    outputs = model(fed)
    outputs = outputs if isinstance(outputs, dict) else {"top": outputs}
    keras_caffe.to_keras(model).save(folder / f"{name}.keras")
    arrays = {f"in/{key}": array for key, array in fed.items()} | {
        f"out/{key}": np.asarray(x) for key, x in outputs.items()
    }
    np.savez(folder / f"{name}.npz", **arrays)


def alone(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the models in a folder; the names of those that give the same are printed, up to the first that does not."""
    command = [sys.executable, "-I", str(ALONE), str(folder)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def at_edges(inputs: dict[str, np.ndarray], data_format: str) -> dict[str, np.ndarray]:
    """Arrays in Caffe's order as a model with this data format takes them."""
    turned = data_format == "channels_last"
    return {
        name: np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if turned and x.ndim == 4 else x
        for name, x in inputs.items()
    }
