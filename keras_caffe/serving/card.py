"""model_card.json: where an exported version comes from, and what it takes and gives."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_caffe.converters.digest import sha256
from keras_caffe.converters.model import CaffeModel
from keras_caffe.serving.stock import operations
from keras_caffe.version import __version__

FILE = "model_card.json"


def card(
    model: CaffeModel, built: CaffeModel, functions: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """What the file holds.

    Args:
        model: what was exported.
        built: the model that was traced.
        functions: {signature: concrete function}.
        options: how it was exported.
    """
    return {
        "name": model.net.name,
        "sources": [{"file": path.name, "sha256": sha256(path)} for path in model.files],
        "net_sha256": hashlib.sha256(model.recipe.net.encode()).hexdigest(),
        "parameters_sha256": _parameters(model),
        "versions": {"keras_caffe": __version__, "tensorflow": tf.__version__, "keras": keras.__version__, **_numpy()},
        "data_format": built.data_format,
        "layers": {"caffe": len(model.net.nodes), "exported": len(built.net.nodes)},
        "signatures": {name: table(function) for name, function in functions.items()},
        "operations": {name: count(function) for name, function in functions.items()},
        "options": dict(options),
    }


def write(folder: Path, content: Mapping[str, Any]) -> None:
    (folder / FILE).write_text(json.dumps(content, indent=1) + "\n")


def table(function: Any) -> dict[str, Any]:
    """{"inputs" and "outputs": {name: dtype and shape}} of a concrete function; open sizes are None."""
    _, inputs = function.structured_input_signature
    both = {"inputs": inputs, "outputs": function.structured_outputs}
    return {side: {name: _tensor(spec) for name, spec in specs.items()} for side, specs in both.items()}


def count(function: Any) -> dict[str, int]:
    """How many operations of each kind the function runs, with those of the functions it calls."""
    counts = Counter(node.op for _, node in operations(function.graph.as_graph_def()))
    return dict(sorted(counts.items()))


def _tensor(spec: Any) -> dict[str, Any]:
    shape = spec.shape.as_list() if spec.shape.rank is not None else None
    return {"dtype": spec.dtype.name, "shape": shape}


def _parameters(model: CaffeModel) -> str:
    digest = hashlib.sha256()
    for name, arrays in model.get_caffe_params().items():
        digest.update(name.encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array, "<f4").data)
    return digest.hexdigest()


def _numpy() -> dict[str, str]:
    try:
        return {"numpy": version("numpy")}
    except PackageNotFoundError:
        return {}
