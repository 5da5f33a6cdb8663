"""Models that `convert` wrote, as .keras files."""

from __future__ import annotations

from pathlib import Path

import keras

from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ReadError, not_found, unreadable


def read_keras(file: str | Path) -> CaffeModel:
    """The model that `convert` wrote.

    Raises:
        ReadError: there is none in the file.
    """
    if not Path(file).exists():  # of which Keras makes a ValueError
        raise unreadable(file, not_found(file))
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:  # Keras raises whatever it stumbles on
        raise ReadError("this is not a Keras model", where=str(file), received=error) from error
    if not isinstance(model, CaffeModel):
        raise ReadError("this model does not come from a Caffe net", where=str(file), received=type(model).__name__)
    return model
