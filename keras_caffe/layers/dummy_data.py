"""DummyData: blobs that fillers fill (src/caffe/layers/dummy_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from keras_caffe import fillers
from keras_caffe.errors import LayerError
from keras_caffe.layers.source import SourceLayer
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known

LEGACY = ("num", "channels", "height", "width")


@register_layer("DummyData")
class DummyData(SourceLayer):
    """Inputs that need not be fed: their default values are what the fillers give (constant 0 without a filler).

    Shapes: no bottoms; one `shape`, or num, channels, height and width, for all tops or one for each top.

    Raises:
        LayerError: both forms of shapes, no shape, or a number of shapes or fillers that fits neither one nor all tops.

    Caffe: src/caffe/layers/dummy_data_layer.cpp
    """

    @classmethod
    def declared_shapes(cls, layer: Any) -> Sequence[Shape | None]:
        param, tops = layer.dummy_data_param, len(layer.top)
        _check_count("data_filler", param.data_filler, {0, 1, tops})
        if param.shape and any(getattr(param, name) for name in LEGACY):
            raise LayerError("shape is given together with num, channels, height or width", fix="Use one of the two.")
        if param.shape:
            return _for_all([tuple(shape.dim) for shape in _check_count("shape", param.shape, {1, tops})], tops)
        sizes = [_for_all(_check_count(name, getattr(param, name), {1, tops}), tops) for name in LEGACY]
        return list(zip(*sizes, strict=True))

    @classmethod
    def default_values(cls, layer: Any, shapes: Sequence[Shape]) -> Sequence[np.ndarray] | None:
        specs = cls.fillers(layer)
        for spec, shape in zip(specs, shapes, strict=True):
            fillers.check(spec, known(shape))
        return _Drawn(specs, shapes)

    @staticmethod
    def fillers(layer: Any) -> list[dict[str, Any]]:
        """The filler of each top, as `keras_caffe.fillers` takes it."""
        given = [fillers.from_caffe(filler) for filler in layer.dummy_data_param.data_filler]
        return _for_all(given or [{"type": "constant"}], len(layer.top))


class _Drawn(Sequence[np.ndarray]):
    """What fillers give, drawn when it is first asked for: `check` asks for none, however large the blobs are."""

    def __init__(self, specs: Sequence[dict[str, Any]], shapes: Sequence[Shape]) -> None:
        self._asked = [cache(partial(_filled, spec, shape)) for spec, shape in zip(specs, shapes, strict=True)]

    def __len__(self) -> int:
        return len(self._asked)

    def __getitem__(self, index: Any) -> Any:
        return self._asked[index]()


def _filled(spec: dict[str, Any], shape: Shape) -> np.ndarray:
    """What a filler gives; a constant takes no memory, however large the blob is."""
    if spec["type"] != "constant":
        return np.asarray(fillers.get(spec)(shape), "float32")
    return np.broadcast_to(np.asarray(fillers.get(spec)((1,) * len(shape)), "float32"), known(shape))


def _check_count(name: str, values: Sequence[Any], allowed: set[int]) -> Sequence[Any]:
    if len(values) not in allowed:
        wanted = " or ".join(map(str, sorted(allowed)))
        raise LayerError(f"{name} must be given once or once per top", expected=wanted, received=len(values))
    return values


def _for_all(values: Sequence[Any], tops: int) -> list[Any]:
    return list(values) * tops if len(values) == 1 else list(values)
