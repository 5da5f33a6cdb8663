"""An exported file beside the Keras model it comes from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ExportError
from keras_caffe.serving.servable import DEFAULT, argument, net_outputs
from keras_caffe.serving.timing import random_inputs

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """Largest absolute difference over all outputs, and the largest one over its output's largest value."""

    absolute: float
    relative: float


def saved_model_difference(model: CaffeModel, path: Path, seed: int = 0) -> Difference:
    """Of a version's default signature with plain inputs, in the model's data format."""
    serve = tf.saved_model.load(str(path)).signatures[DEFAULT]
    fed = random_inputs(model, seed)
    taken = serve.structured_input_signature[1]
    outputs = serve(**{argument(name): x for name, x in fed.items() if argument(name) in taken})
    return difference(model, fed, {name: value.numpy() for name, value in outputs.items()})


def tflite_difference(
    model: CaffeModel, path: Path, seed: int = 0, inputs: Mapping[str, Any] | None = None
) -> Difference:
    """Of a TensorFlow Lite file, run by its interpreter on `inputs` (8-bit files know only what is like their
    calibration data) or random numbers.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow says where the interpreter will move to.
        runner = tf.lite.Interpreter(model_path=str(path)).get_signature_runner(DEFAULT)
    fed = {**random_inputs(model, seed), **(inputs or {})}
    names = {argument(name): name for name in fed}
    sizes = {name: tuple(details["shape"]) for name, details in runner.get_input_details().items()}
    single = {
        names[name]: fed[names[name]][: shape[0]] if len(shape) else fed[names[name]] for name, shape in sizes.items()
    }
    outputs = runner(**{argument(name): x for name, x in single.items()})
    return difference(model, {**fed, **single}, outputs)


def difference(model: CaffeModel, fed: Mapping[str, Any], computed: Arrays) -> Difference:
    """Between the model's outputs and others for the same inputs."""
    wanted = {name: np.asarray(value) for name, value in net_outputs(model)(fed, training=False).items()}
    pairs = [(wanted[name], np.asarray(computed[name])) for name in wanted]
    if any(a.shape != b.shape for a, b in pairs):
        raise ExportError(
            "the export gives other shapes than the model",
            expected=[a.shape for a, _ in pairs],
            received=[b.shape for _, b in pairs],
        )
    each = [(float(np.abs(a - b).max(initial=0)), float(np.abs(a).max(initial=0))) for a, b in pairs]
    return Difference(max(d for d, _ in each), max(d / largest if largest else d for d, largest in each))
