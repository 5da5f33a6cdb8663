"""TensorFlow: a SavedModel, or a concrete function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.errors import ExportError
from keras_caffe.runtimes.base import Arrays, Runtime, refused
from keras_caffe.shapes import Shape

DEFAULT = "serving_default"


class TensorFlow(Runtime):
    """A concrete function with a dict of inputs and one of outputs, or a SavedModel's "serving_default".

    Args:
        source: the function, or the folder of the SavedModel as a Path.

    Raises:
        ExportError: the folder is no SavedModel, or has no such signature.
    """

    title: str = f"TensorFlow {tf.__version__}"

    def __init__(self, source: Any) -> None:
        self._source = source if not isinstance(source, Path) else _loaded(source)  # whose variables must live on
        self._serve = self._source.signatures[DEFAULT] if isinstance(source, Path) else source
        specs = self._serve.structured_input_signature[1]
        self.inputs: Mapping[str, Shape] = {name: tuple(spec.shape) for name, spec in specs.items()}
        self.outputs: Sequence[str] = list(self._serve.structured_outputs)

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        found = self._serve(**{name: tf.constant(fed[name]) for name in self.inputs})
        return {name: found[name].numpy() for name in self.outputs}


def _loaded(folder: Path) -> Any:
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise refused(TensorFlow.title, error) from error
    if DEFAULT not in loaded.signatures:
        have = ", ".join(loaded.signatures) or "none"
        raise ExportError("the SavedModel has no default signature", expected=DEFAULT, received=have)
    return loaded
