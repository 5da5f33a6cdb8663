"""Gaussian filtering on the permutohedral lattice (Adams, Baek, Davis: Fast high-dimensional filtering, 2010)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.shapes import ceil_div

BLOCK = 4  # Caffes with this filter add places of zeros up to a multiple of it, whose corners exist, too


class Lattice(NamedTuple):
    """Places on a lattice of simplices.

    Args:
        corners: (places, d + 1) number of each corner of a place's simplex.
        weights: (places, d + 1) barycentric coordinates.
        neighbours: (d + 1, 2, corners), the two neighbours of each corner along each axis; `corners` if there is none.
        images, pixels: of which the places are.
    """

    corners: Any
    weights: Any
    neighbours: Any
    images: Any
    pixels: Any


def lattice(features: Any) -> Lattice:
    """The lattice of (N, pixels, d) features: pixels of one image whose features differ by about 1 are neighbours.

    Raises:
        LayerError: on JAX with integers of 32 bits, which do not hold a corner.
    """
    images, pixels, axes = ops.shape(features)
    added = ceil_div(pixels, BLOCK) * BLOCK - pixels
    places = ops.reshape(ops.pad(features, [(0, 0), (0, added), (0, 0)]), (-1, axes))
    keys, weights = _simplices(places)
    keys, steps = _packed(keys, images)
    known = ops.sort(ops.reshape(keys, (-1,)))
    # A corner that several places have is in `known` several times; its number is where it is first.
    corners = ops.searchsorted(known, ops.reshape(keys, (-1,)))
    neighbours = _found(known, ops.stack([known - steps[:, None], known + steps[:, None]], axis=1))
    shape = (images, pixels + added, axes + 1)
    corners, weights = (ops.reshape(ops.reshape(x, shape)[:, :pixels], (-1, axes + 1)) for x in (corners, weights))
    return Lattice(corners, weights, neighbours, images, pixels)


def mean_of_neighbours(values: Any, on: Lattice) -> Any:
    """(N, pixels, C) values, blurred along all axes of the lattice, over what that gives of ones."""
    blurred = _blurred(ops.concatenate([values, ops.ones_like(values[..., :1])], axis=-1), on)
    return blurred[..., :-1] / (blurred[..., -1:] + 1e-20)


def _blurred(values: Any, on: Lattice) -> Any:
    channels, axes = values.shape[-1], on.neighbours.shape[0]
    flat = ops.reshape(values, (-1, 1, channels)) * on.weights[..., None]
    corners = ops.reshape(on.corners, (-1,))
    v = ops.segment_sum(ops.reshape(flat, (-1, channels)), corners, ops.shape(on.neighbours)[2])
    for both in ops.unstack(on.neighbours, axes):
        v = v + 0.5 * ops.sum(ops.take(ops.pad(v, [(0, 1), (0, 0)]), both, axis=0), axis=0)
    read = ops.reshape(ops.take(v, corners, axis=0), (-1, axes, channels)) * on.weights[..., None]
    return ops.reshape(ops.sum(read, axis=1) / (1 + 2.0 ** -(axes - 1)), (on.images, on.pixels, channels))


def _simplices(features: Any) -> tuple[Any, Any]:
    """Of each place the d + 1 corners around it, (places, d + 1, d) whole numbers, and their weights."""
    d = features.shape[-1]
    lifted = _lifted(features)
    nearest = ops.round(lifted / (d + 1)) * (d + 1)
    excess = ops.cast(ops.round(ops.sum(nearest, axis=-1, keepdims=True) / (d + 1)), "int32")
    rest = lifted - nearest
    before = np.tri(d + 1, k=-1, dtype=bool)  # [i, j]: j < i
    smaller = rest[:, :, None] < rest[:, None, :]
    not_greater = ~(rest[:, None, :] < rest[:, :, None])
    ahead = ops.where(before, not_greater, smaller) & ~np.eye(d + 1, dtype=bool)
    rank = ops.sum(ops.cast(ahead, "int32"), axis=-1) + excess
    wrap = ops.cast(rank < 0, "int32") - ops.cast(rank > d, "int32")
    rank = rank + wrap * (d + 1)
    nearest = nearest + ops.cast(wrap * (d + 1), nearest.dtype)
    share = ((lifted - nearest) / (d + 1))[..., None]
    slot = (d - rank)[..., None]
    order = ops.arange(d + 2, dtype="int32")
    at, after = (ops.cast(ops.equal(order, place), share.dtype) for place in (slot, slot + 1))
    sums = ops.sum(share * (at - after), axis=1)
    weights = ops.concatenate([sums[:, :1] + 1 + sums[:, -1:], sums[:, 1:-1]], axis=-1)
    corner, wide = np.ogrid[: d + 1, : d + 1]
    canonical = ops.convert_to_tensor(np.where(wide <= d - corner, corner, corner - (d + 1)).astype("int32"))
    moved = ops.transpose(ops.take(canonical, rank[:, :d], axis=1), (1, 0, 2))
    return ops.cast(nearest[:, None, :d], "int32") + moved, weights


def _lifted(features: Any) -> Any:
    """(places, d + 1): the features in the plane of the lattice, whose coordinates sum to 0."""
    d = features.shape[-1]
    scales = [math.sqrt(2 / 3) * (d + 1) / math.sqrt((i + 1) * (i + 2)) for i in range(d)]
    scaled = ops.unstack(features * ops.convert_to_tensor(scales, features.dtype), d, axis=-1)
    total, coordinates = ops.zeros_like(scaled[0]), []
    for i in range(d, 0, -1):
        coordinates.append(total - i * scaled[i - 1])
        total = total + scaled[i - 1]
    return ops.stack([total, *reversed(coordinates)], axis=-1)


def _packed(keys: Any, images: Any) -> tuple[Any, Any]:
    """Each corner as one number, the image first, and (d + 1,) what leads from it to the neighbours along each axis."""
    keys = ops.cast(keys, "int64")
    if keras.backend.standardize_dtype(keys.dtype) != "int64":
        raise LayerError("the lattice needs 64-bit integers", fix="Set jax_enable_x64.")
    d = keys.shape[-1]
    low = ops.min(keys, axis=(0, 1)) - (d + 1)
    spans = ops.max(keys, axis=(0, 1)) - low + (d + 2)
    # As in a number's digits, a step of one key weighs as much as the spans of all keys behind it.
    weights = ops.flip(ops.cumprod(ops.flip(ops.pad(spans, [(0, 1)], constant_values=1))))
    packed = ops.reshape(ops.sum((keys - low) * weights[1:], axis=-1), (images, -1))
    steps = ops.sum(weights[1:]) - ops.pad(weights[1:], [(0, 1)]) * (d + 1)
    return packed + ops.arange(images, dtype="int64")[:, None] * weights[0], steps


def _found(known: Any, keys: Any) -> Any:
    """Where each key stands first in the sorted `known`; their number if nowhere."""
    count = ops.shape(known)[0]
    place = ops.reshape(ops.searchsorted(known, ops.reshape(keys, (-1,))), ops.shape(keys))
    there = ops.equal(ops.take(known, ops.minimum(place, count - 1), axis=0), keys)
    return ops.where(there, place, count)
