"""The shape of a data layer's first record, for nets that are loaded in phase TRAIN."""

from __future__ import annotations

from typing import Any, cast

from keras_caffe.data.dataset import open_source
from keras_caffe.data.sources import SOURCES, Settings
from keras_caffe.data.sources.image_source import ImageSource
from keras_caffe.errors import is_there
from keras_caffe.layers.context import load_context
from keras_caffe.layers.source import record_reader
from keras_caffe.shapes import Shape


@record_reader("Data")
@record_reader("AnnotatedData")
@record_reader("DenseImageData")
@record_reader("ImageData")
@record_reader("ImageLabelmapData")
@record_reader("ImageSegData")
def first_record(layer: Any) -> Shape | None:
    """(C, H, W) of the first image before it is transformed; None if the source is not where the layer says.

    Names start where the load says: at the working directory, as in Caffe.

    Raises:
        DataError: the source is there but cannot be read.
    """
    settings = Settings(places=load_context().places)
    param = getattr(layer, cast(type[ImageSource], SOURCES[layer.type]).param)
    if not param.source or not is_there(settings.places.find(param.source)):
        return None
    source = cast(ImageSource, open_source(layer, settings))  # as all of these are
    return source.first_shape
