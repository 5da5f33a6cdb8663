"""What Keras's own quantisation meets in a Caffe layer."""

from __future__ import annotations

from typing import Any

from keras_caffe.errors import ExportError


class NotQuantized:
    """Mixin that refuses Keras's `quantize`, which would leave the layer in floats with a warning at most."""

    name: str
    weights: list[Any]

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Raises ExportError, if the layer has weights."""
        if not self.weights:
            return  # There is nothing to quantise.
        raise ExportError(
            "Keras does not quantise Caffe layers",
            layer=f"{self.name!r} ({type(self).__name__})",
            received=mode,
            fix=(
                "keras_caffe.serving.to_tflite(model, file, kind='int8', calibration=...) writes a file in 8 bits.",
                "keras_caffe.engine(model, precision='int8', calibration=...) computes in 8 bits.",
            ),
        )
