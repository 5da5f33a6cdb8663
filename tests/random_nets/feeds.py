"""What a net is fed, and the values of its parameters, from its seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras_caffe.converters.infer import Plan
from keras_caffe.layers import Convolution
from keras_caffe.layers.base import Blob, CaffeLayer
from keras_caffe.shapes import Sizes
from tests.random_nets.draft import planned
from tests.random_nets.net import RandomNet

Arrays = dict[str, np.ndarray]
Random = np.random.Generator


@dataclass(frozen=True)
class Fed:
    """A net with all that it computes from, in Caffe's order.

    Args:
        net: the net.
        batches: the inputs of its two batches.
        params: {layer: its blobs}.
        groups: the numbers of the batches that one Keras model takes: both or, if it does not fit both, one each.
    """

    net: RandomNet
    batches: Sequence[Arrays]
    params: Mapping[str, Sequence[np.ndarray]]
    groups: Sequence[tuple[int, ...]]

    @classmethod
    def of(cls, net: RandomNet) -> Fed:
        """The arrays that follow from the net's seed."""
        plan = planned(net.text, phase=net.phase)
        params = _parameters(np.random.default_rng([net.seed, 2]), plan, net.special)
        return cls(
            net, [_inputs(net, batch) for batch in (0, 1)], params, [(0, 1)] if _takes(plan, net) else [(0,), (1,)]
        )


def _takes(plan: Plan, net: RandomNet) -> bool:
    """Whether the model that the plan describes takes the second batch, too."""
    sizes = {value: net.shapes(1)[plan.net.values[value].blob] for value in plan.inputs}
    return all(
        open_size in (None, size)
        for value, shape in sizes.items()
        for open_size, size in zip(plan.input_shape(value), shape, strict=True)
    )


def _inputs(net: RandomNet, batch: int) -> Arrays:
    random, found = np.random.default_rng([net.seed, batch]), {}
    for name, feed in net.feeds.items():
        found[name] = KINDS[feed.kind](random, feed.blob.shapes[batch], feed.limits[batch]).astype("float32")
        if feed.kind == "values":
            _put(random, found[name], net.special)
    return found


def _distinct(random: Random, shape: Sizes, limit: int) -> np.ndarray:
    """No two alike, and none near another: what chooses among them has no ties."""
    size = int(np.prod(shape))
    return random.permutation(np.linspace(-2, 2, size + 1)[:size]).reshape(shape)


def _unit(random: Random, shape: Sizes, limit: int) -> np.ndarray:
    return _distinct(random, shape, limit) / 4 + 0.505


def _corners(random: Random, rows: int) -> np.ndarray:
    """(rows, 4) of xmin, ymin, xmax, ymax in units of the image."""
    begin = random.uniform(0, 0.6, (rows, 2))
    return np.concatenate([begin, begin + random.uniform(0.2, 0.4, (rows, 2))], 1)


def _priors(random: Random, shape: Sizes, limit: int) -> np.ndarray:
    boxes = _corners(random, shape[2] // 4)
    return np.stack([boxes.ravel(), np.tile([0.1, 0.1, 0.2, 0.2], len(boxes))])[None]


def _truth(random: Random, shape: Sizes, limit: int) -> np.ndarray:
    """Rows of image, label, instance, box, difficult; images in order, as Caffe expects."""
    rows = shape[2]
    image, label = np.sort(random.integers(0, limit, rows)), random.integers(1, 3, rows)
    difficult = random.integers(0, 2, rows)
    return np.column_stack([image, label, np.zeros(rows), _corners(random, rows), difficult])[None, None]


def _detections(random: Random, shape: Sizes, limit: int) -> np.ndarray:
    rows = shape[2]
    image, label = random.integers(0, limit, rows), random.integers(1, 3, rows)
    return np.column_stack([image, label, _unit(random, (rows,), 0), _corners(random, rows)])[None, None]


def _regions(random: Random, shape: Sizes, limit: int) -> np.ndarray:
    begin, size = random.integers(0, 8, (shape[0], 2)), random.integers(0, 9, (shape[0], 2))
    return np.column_stack([random.integers(0, limit, shape[0]), begin, begin + size])


KINDS: Mapping[str, Callable[[Random, Sizes, int], np.ndarray]] = {
    "values": lambda random, shape, limit: random.normal(size=shape),
    "small": lambda random, shape, limit: random.normal(0, 0.3, shape),
    "integers": lambda random, shape, limit: random.integers(0, limit, shape),
    "image info": lambda random, shape, limit: np.array([[90, 120, 1]]),
    "distinct": _distinct,
    "unit": _unit,
    "priors": _priors,
    "truth": _truth,
    "detections": _detections,
    "regions": _regions,
}


def _parameters(random: Random, plan: Plan, special: Sequence[float]) -> dict[str, list[np.ndarray]]:
    """{layer: its blobs in Caffe's order}; statistics are positive."""
    found: dict[str, list[np.ndarray]] = {}
    for layer in plan.layers.values():
        arrays = []
        for blob in layer.blobs:
            values = random.normal(0, 0.5, blob.shape) if blob.trainable else random.uniform(0.5, 1.5, blob.shape)
            arrays.append(np.asarray(values, "float32"))
            _put(random, arrays[-1], special if blob.trainable and not _lies_over_zeros(layer.layer, blob) else ())
        if arrays:
            found[layer.node.name] = arrays
    return found


def _lies_over_zeros(layer: CaffeLayer, blob: Blob) -> bool:
    """Whether a kernel is multiplied with padding: some doors skip its zeros and so a NaN, as docs/layers.md says."""
    return isinstance(layer, Convolution) and blob.name == "kernel" and any(layer.pad)


def _put(random: Random, values: np.ndarray, special: Sequence[float]) -> None:
    """Now and then one to three of the special numbers, somewhere."""
    if special and values.size and random.random() < 0.5:
        for place in random.integers(0, values.size, random.integers(1, 4)):
            values.flat[place] = special[random.integers(len(special))]
