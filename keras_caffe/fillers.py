"""Caffe's fillers as Keras initializers (include/caffe/filler.hpp).

A filler is a plain dict, e.g. `{"type": "gaussian", "std": 0.01}`, a type alone, or any Keras initializer. Shapes are
Caffe's: axis 0 of a blob decides the fan-in (count / shape[0]).
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_caffe import proto
from keras_caffe._keras import Initializer
from keras_caffe.errors import LayerError, instead

TYPES = ("constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear")

Filler: TypeAlias = str | dict[str, Any] | Initializer

ONE: Filler = {"type": "constant", "value": 1.0}  # of factors, where Caffe's layers fill with 1 unless told otherwise


def from_caffe(message: Any) -> dict[str, Any]:
    """A FillerParameter as a plain dict: the type and the fields its file sets."""
    fields = {field.name: value for field, value in message.ListFields()}
    if "variance_norm" in fields:
        fields["variance_norm"] = type(message).VarianceNorm.Name(message.variance_norm)
    return {"type": message.type, **fields}


def get(filler: Filler) -> Initializer:
    """The initializer for a filler.

    Raises:
        LayerError: the type is unknown.
    """
    if isinstance(filler, Initializer):
        return filler
    spec = {"type": filler} if isinstance(filler, str) else filler
    if spec["type"] not in TYPES:
        raise LayerError(f"unknown filler type {spec['type']!r}", **instead([spec["type"]], TYPES))
    return CaffeFiller(**spec)


def check(filler: Filler, shape: tuple[int, ...]) -> None:
    """Refuses what Caffe refuses about a filler, before any memory is taken.

    Raises:
        LayerError: unknown type, bounds that contradict each other, or a shape the filler cannot fill.
    """
    initializer = get(filler)
    if isinstance(initializer, CaffeFiller):
        initializer.check(shape)


def defaults() -> dict[str, Any]:
    """The fields of a filler but its type, as the message has them where a file sets none."""
    message = proto.FillerParameter()
    values = {f.name: getattr(message, f.name) for f in message.DESCRIPTOR.fields if f.name != "type"}
    values["variance_norm"] = type(message).VarianceNorm.Name(message.variance_norm)
    return values


@keras.saving.register_keras_serializable(package="keras_caffe")
class CaffeFiller(Initializer):
    """One of Caffe's fillers.

    Formulas (n is the fan chosen by `variance_norm`): constant `value`; uniform U[min, max); gaussian N(mean, std^2),
    times Bernoulli(sparse / shape[0]) if sparse >= 0; positive_unitball U(0, 1) with rows of sum 1;
    xavier U(-a, a), a = sqrt(3 / n); msra N(0, 2 / n); bilinear: the up-sampling kernel in every channel pair.

    Args:
        type: Caffe's name of the filler.
        **fields: fields of FillerParameter; the defaults are the message's.

    Raises:
        LayerError: fields that contradict each other.
    """

    def __init__(self, type: str = "constant", seed: int | None = None, **fields: Any) -> None:
        self.type, self.seed, self.fields = type, seed, fields
        for name, value in {**defaults(), **fields}.items():
            setattr(self, name, value)
        if self.sparse != -1 and type != "gaussian":
            raise LayerError(f"filler {type!r} cannot be sparse", fix="Only gaussian fillers can.")
        if type == "gaussian" and not self.std > 0:
            raise LayerError("a gaussian filler needs a positive std", received=self.std)
        if type == "uniform" and self.min > self.max:
            raise LayerError("a uniform filler has min > max", received=f"min {self.min}, max {self.max}")

    def get_config(self) -> dict[str, Any]:
        return {"type": self.type, "seed": self.seed, **self.fields}

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
        values = getattr(self, f"_{self.type}")(tuple(shape), _generator(self.seed))
        return np.asarray(values, "float32").reshape(shape)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuses shapes that Caffe's filler refuses."""
        if self.type == "gaussian" and self.sparse >= 0 and (not shape or self.sparse > shape[0]):
            raise LayerError("sparse is larger than the number of outputs", expected=shape[:1], received=self.sparse)
        if self.type == "bilinear" and (len(shape) != 4 or shape[2] != shape[3]):
            raise LayerError("a bilinear filler needs a 4-axis blob with a square kernel", received=shape)

    def _fan(self, shape: tuple[int, ...]) -> float:
        count = math.prod(shape)
        fan_in = count / max(shape[0], 1) if shape else count
        fan_out = count / max(shape[1], 1) if len(shape) > 1 else count
        fans = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}
        return max(fans[self.variance_norm], 1e-30)

    def _constant(self, shape: tuple[int, ...], _: np.random.Generator) -> np.ndarray:
        return np.full(shape, self.value, "float32")

    def _uniform(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return self.min + (self.max - self.min) * random.random(shape, "float32")

    def _gaussian(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        values = self.mean + self.std * random.standard_normal(shape, "float32")
        if self.sparse >= 0:
            values *= random.random(shape, "float32") < self.sparse / shape[0]
        return values

    def _positive_unitball(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        rows = random.random((shape[0], math.prod(shape[1:])), "float32")
        return rows / rows.sum(axis=1, keepdims=True)

    def _xavier(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        bound = math.sqrt(3 / self._fan(shape))
        return (2 * random.random(shape, "float32") - 1) * np.float32(bound)

    def _msra(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return random.standard_normal(shape, "float32") * np.float32(math.sqrt(2 / self._fan(shape)))

    def _bilinear(self, shape: tuple[int, ...], _: np.random.Generator) -> np.ndarray:
        size = shape[-1]
        f = math.ceil(size / 2)
        centre = (size - 1) / (2 * f)
        line = 1 - np.abs(np.arange(size) / f - centre)
        return np.broadcast_to(np.outer(line, line), shape)


def _generator(seed: int | None) -> np.random.Generator:
    """A generator seeded from NumPy's global one, which keras.utils.set_random_seed covers and graphs leave alone."""
    return np.random.default_rng(np.random.randint(2**31) if seed is None else seed)
