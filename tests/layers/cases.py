"""What the tests that go over all layer types need to know of each type: its `Case`, written in its own test file.

    CASES = [Case("Swish", layers.Swish(1.5), [SHAPE])]

`declared` finds them, and tests/layers/test_complete.py says what is missing.
"""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import keras

from keras_caffe import layers, registry
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.normalize import NormalizeChannels
from keras_caffe.shapes import Shape

HERE = Path(__file__).parent
SHAPE = (None, 4, 6, 8)


@dataclass(frozen=True)
class Case:
    """One layer type, or one way to use it.

    Args:
        type: the type's name in Caffe.
        layer: the type as a plain Keras layer, for the checks of test_standalone.py. Data layers need none.
        bottoms: shapes of the layer's bottoms as it stores them, None for an open size. The tests feed numbers below 3.
        reason: why there is no `layer`.
        net: a small net with the type, for tests/test_saving.py; needed where Caffe's arrays bring no net
            (tests/goldens/layers).
        input_shapes: {blob: shape} that the net does not tell.
        values: what checks the values where there are no arrays of Caffe; docs/layers.md prints it.
        refused: arguments of the constructor that the layer refuses, and what its LayerError says; one pair at least
            for each argument, here or in test_arguments.py.
    """

    type: str
    layer: keras.layers.Layer | None = None
    bottoms: Sequence[Shape] = ()
    reason: str = ""
    net: str = ""
    input_shapes: Mapping[str, Shape] | None = None
    values: str = ""
    refused: Sequence[tuple[Mapping[str, Any], str]] = ()


IMAGES = "transform_param { crop_size: 5 force_color: true }"  # gives the images of a data layer a size

# Types of which Caffe's arrays check everything, so that they have no test file of their own.
WITHOUT_A_FILE = [
    Case("AbsVal", layers.AbsVal(), [SHAPE]),
    Case("Axpy", layers.Axpy(), [(None, 8), SHAPE, SHAPE]),
    Case("BNLL", layers.BNLL(), [SHAPE]),
    Case("BatchNorm", layers.BatchNorm(), [SHAPE]),
    Case("BatchNorm", layers.BatchNorm(scale_bias=True, scale_filler={"type": "constant", "value": 2.0}), [SHAPE]),
    Case("Bias", layers.Bias(), [SHAPE]),
    Case("Bias", layers.Bias(axes=(-2, 1)), [SHAPE]),
    Case("Clip", layers.Clip(-0.5, 0.5), [SHAPE]),
    Case("Convolution", layers.Convolution(3, 2, group=1), [SHAPE]),
    Case("Deconvolution", layers.Deconvolution(3, 2, 2), [SHAPE]),
    Case("DepthwiseConvolution", layers.DepthwiseConvolution(8, 3, group=8), [SHAPE]),
    Case("ELU", layers.ELU(0.5), [SHAPE]),
    Case("Exp", layers.Exp(base=2, shift=0.5), [SHAPE]),
    Case("Flatten", layers.Flatten(axis=1, end_axis=2), [SHAPE]),
    Case("Im2col", layers.Im2col((2, 3)), [SHAPE]),
    Case("InnerProduct", layers.InnerProduct(5), [SHAPE]),
    Case("InnerProduct", layers.InnerProduct(5, normalize=True), [SHAPE]),
    Case("LRN", layers.LRN(3), [SHAPE]),
    Case("LRN", layers.LRN(3, norm_region="WITHIN_CHANNEL"), [SHAPE]),
    Case("Log", layers.Log(shift=2), [SHAPE]),
    Case("MVN", layers.MVN(eps=0.1), [SHAPE]),
    Case("MVN", layers.MVN(axes=(1, 2, 3), eps=0.1), [(None, 5)]),
    Case("Normalize", layers.Normalize(), [SHAPE]),
    Case("Normalize", NormalizeChannels("L1", with_norm=True), [SHAPE]),
    Case("PReLU", layers.PReLU(), [SHAPE]),
    Case("PReLU", layers.PReLU(channel_shared=True), [SHAPE]),
    Case("PSROIPooling", layers.PSROIPooling(2, 2, 1.0), [SHAPE, (None, 5)]),
    Case("Power", layers.Power(2, 0.5, 1), [SHAPE]),
    Case("ReLU", layers.ReLU(0.1), [SHAPE]),
    Case("ReLU6", layers.ReLU6(0.1), [SHAPE]),
    Case("Reduction", layers.Reduction("MEAN", axes=(1, 2)), [SHAPE]),
    Case("Reorg", layers.Reorg(2), [SHAPE]),
    Case("Reorg", layers.Reorg(2, reverse=True), [SHAPE]),
    Case("SPP", layers.SPP(2), [SHAPE]),
    Case("Scale", layers.Scale(bias_term=True), [SHAPE]),
    Case("Scale", layers.Scale(axes=(-2,)), [SHAPE]),
    Case("ShuffleChannel", layers.ShuffleChannel(4), [SHAPE]),
    Case("Sigmoid", layers.Sigmoid(), [SHAPE]),
    Case("Silence", reason="it has no top"),
    Case("Softmax", layers.Softmax(), [SHAPE]),
    Case("Softmax", layers.Softmax(1), [(None, 1, 3)]),
    Case("Split", layers.Split(2), [SHAPE]),
    Case("Swish", layers.Swish(1.5), [SHAPE]),
    Case("TanH", layers.TanH(), [SHAPE]),
    Case("Threshold", layers.Threshold(0.1), [SHAPE]),
    Case("Tile", layers.Tile(3, 2), [SHAPE]),
]


def own_types() -> dict[str, type[CaffeLayer]]:
    """The registered types that are this package's own."""
    own = {n: cls for n, cls in registry.registered().items() if cls.__module__.startswith(f"{layers.__name__}.")}
    return {name: cls for name, cls in own.items() if "." not in name}  # With a dot: classes of Python layers.


@cache
def declared() -> dict[str, list[Case]]:
    """The cases of each type, those of the test files beside this one and `WITHOUT_A_FILE`."""
    found: dict[str, list[Case]] = {}
    for case in itertools.chain(WITHOUT_A_FILE, *stated("CASES")):
        found.setdefault(case.type, []).append(case)
    return found


def stated(name: str) -> list[Any]:
    """The values of this name in the test files beside this one."""
    files = [
        path for path in sorted(HERE.glob("test_*.py")) if re.search(rf"^{name}(: .+)? = ", path.read_text(), re.M)
    ]
    return [getattr(importlib.import_module(f"tests.layers.{path.stem}"), name) for path in files]
