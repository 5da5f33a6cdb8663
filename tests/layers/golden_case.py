"""Runs one case of goldens/layers (format: goldens/README.md) through keras_caffe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_caffe.converters.load import load
from keras_caffe.layers.base import BoundBlob, SharedView

GOLDENS = Path(__file__).parent.parent / "goldens" / "layers"
KINDS = sorted(path.stem for path in GOLDENS.glob("*.npz"))

EXACT = {
    *("Concat", "Slice", "Split", "Flatten", "Reshape", "Tile", "Crop", "Permute", "Filter", "BatchReindex", "Silence"),
    *("ShuffleChannel", "Upsample", "Input", "Parameter", "ReLU", "ArgMax", "DummyData"),
    *("Grid", "NegReLU"),
    *("BoxAnnotatorOHEM", "Upsample_segnet"),
    *("Transpose", "Reverse", "ReverseTime", "Flip", "ContinuationIndicator"),
}
# Caffe's gradient of an in-place Power with power 1 is scale^2 whatever the top's diff is, because the diff is
# overwritten before it is read. Here it is the formula's, as for all layers that Caffe computes wrongly in place.
WRONG_IN_CAFFE = {"Power-c0005"}
# Their gradients are the fork's also where these are not the derivative (`bottom_diff_kink`).
FORKS_GRADIENT = {"ChannelScale", "FocalLoss", "HardSigmoid", "Lstm", "RegionLoss", "Yolov3"}
# What follows a type in a file's name, where the net does not tell.
FORKS = {"ssd", "segnet", "pspnet", "hed", "nvidia"}
LOOSE = {
    *("LSTM", "RNN", "InPlaceChain", "Normalize"),
    *("CTCGreedyDecoder", "CTCLoss", "CtcLoss", "WarpCTCLoss", "MarginInnerProduct", "LargeMarginInnerProduct"),
    *("MultiStageMeanfield", "YoloDetectionOutput", "Yolov3DetectionOutput", "Yolov3", "RegionLoss"),
}


@dataclass
class Golden:
    """A golden case: `arrays` are its keys without the case's name."""

    kind: str
    name: str
    arrays: dict[str, np.ndarray]

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"

    @property
    def text(self) -> str:
        return str(self.arrays["prototxt"])

    @property
    def note(self) -> str:
        return str(self.arrays["note"])

    @property
    def training(self) -> bool:
        return str(self.arrays["phase"]) == "TRAIN"

    @property
    def fork(self) -> str | None:
        """What the case is to be loaded for; None where the file tells."""
        fork = self.kind.partition("_")[2]
        return fork if fork in FORKS else None

    @property
    def compares(self) -> bool:
        """Whether its arrays are to be met; test_dropout, test_dummy_data and test_fillers are about drawn ones.

        A note that begins with "quirk:" marks a fork's mistake.
        """
        drawn = self.note.strip().startswith("stochastic") and self.kind != "Pooling_stochastic_derived"
        return not drawn and not self.note.startswith("quirk:") and str(self) not in WRONG_IN_CAFFE

    def group(self, key: str) -> dict[int, np.ndarray]:
        """{index: array} of the keys `key/<index>`."""
        return {int(k.split("/")[1]): a for k, a in self.arrays.items() if re.fullmatch(rf"{key}/\d+", k)}

    @property
    def types(self) -> set[str]:
        return set(re.findall(r'^  type: "(\w+)"', self.text, re.M))


def cases(kind: str, wanted: Callable[[str, str], bool] = lambda name, key: True) -> Iterator[Golden]:
    """All cases of one file, with those of their arrays that are wanted by the case's name and the key."""
    with np.load(GOLDENS / f"{kind}.npz") as file:
        grouped: dict[str, dict[str, np.ndarray]] = {}
        for key in file.files:
            name, _, rest = key.partition("/")
            rest = rest.replace("_kink", "") if kind in FORKS_GRADIENT else rest
            if wanted(name, rest):
                grouped.setdefault(name, {})[rest] = file[key]
    for name, arrays in grouped.items():
        yield Golden(kind, name, arrays)


def to_edge(array: np.ndarray, data_format: str) -> np.ndarray:
    """Caffe's order -> the order that callers use."""
    return np.moveaxis(array, 1, -1) if data_format == "channels_last" and array.ndim > 3 else array


def from_edge(array: Any, data_format: str) -> np.ndarray:
    array = np.asarray(keras.ops.convert_to_numpy(array))
    return np.moveaxis(array, -1, 1) if data_format == "channels_last" and array.ndim > 3 else array


class Outcome(NamedTuple):
    """What a pass computes: tops, and gradients {"bottom_diff/0": array or None}; Caffe's order."""

    tops: list[np.ndarray]
    diffs: dict[str, np.ndarray | None]


class Run:
    """A case's net, its parameters set. It speaks Caffe's order."""

    def __init__(self, case: Golden, data_format: str, **kwargs: Any) -> None:
        self.case, self.data_format = case, data_format
        phase = "TRAIN" if case.training else "TEST"
        self.model = load(case.text, phase=phase, data_format=data_format, fork=case.fork, **kwargs)
        params = self.model.get_caffe_params()
        self.slots = self._slots(params)
        self._set_params(params)
        self.top_names = self._top_names()
        self.tops = self.model.extract(self.top_names) if self.top_names else None
        self._first = [keras.ops.convert_to_numpy(v.value) for v in self.model.variables]

    def begin(self) -> None:
        """Everything as before the first pass: parameters, statistics, carried states, seeds."""
        for variable, value in zip(self.model.variables, self._first, strict=True):
            variable.assign(value)

    def _top_names(self) -> list[str]:
        """The tops that the case names, or the last layer's; if it has more tops, those of the layers before, too."""
        if "tops" in self.case.arrays:
            return [str(name) for name in self.case.arrays["tops"]]
        names: list[str] = []
        for node in reversed(self.model.net.nodes):
            if not names or len(names) < len(self.case.group("top")):
                names = [*node.outputs, *names]
        return names

    def _slots(self, params: dict[str, list[np.ndarray]]) -> list[tuple[str, int]]:
        """(layer, blob index) of each `param/<i>`, in order."""
        if "param_names" in self.case.arrays:
            pairs = [str(name).rsplit(":", 1) for name in self.case.arrays["param_names"]]
            return [(layer, int(index)) for layer, index in pairs]
        inputs = {f"in{index}" for index in self.case.group("bottom")}
        names = [node.name for node in self.model.net.nodes if node.name not in inputs]
        return [(name, index) for name in names for index in range(len(params.get(name, ())))]

    def _set_params(self, params: dict[str, list[np.ndarray]]) -> None:
        for (layer, index), array in zip(self.slots, self.case.group("param").values(), strict=True):
            params[layer][index] = array
        for index, array in self.case.group("bottom").items():
            if f"in{index}" in params:
                params[f"in{index}"] = [array]
        self.model.set_caffe_params(params)

    def fed(self, bottoms: dict[int, np.ndarray]) -> dict[str, Any]:
        """{input: tensor} of all inputs of the tops, as callers give them."""
        if self.tops is None:
            return {}
        named = {f"in{i}": to_edge(array, self.data_format) for i, array in bottoms.items()}
        named = {**self.tops.tensors.defaults, **named}
        for name in {tensor.name for tensor in self.tops.inputs} - named.keys():  # Input layers under test.
            named[name] = to_edge(np.zeros(self.model.caffe_shapes[name]), self.data_format)
        return {t.name: keras.ops.convert_to_tensor(named[t.name], "float32") for t in self.tops.inputs}

    def forward(self, bottoms: dict[int, np.ndarray]) -> list[np.ndarray]:
        """The tops."""
        outputs = self.tops(self.fed(bottoms), training=self.case.training) if self.tops else {}
        return [from_edge(outputs[name], self.data_format) for name in self.top_names]

    def step(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The tops, and the gradients of what `sources` names; runs eagerly or in a graph of TensorFlow."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            for tensor in inputs.values():
                tape.watch(tensor)
            outputs = self.tops(inputs, training=self.case.training) if self.tops else {}
        sources = {k: s if tf.is_tensor(s) else s.value for k, s in self.sources(inputs).items()}
        diffs = self.top_diffs()
        found = tape.gradient([outputs[name] for name in diffs], sources, list(diffs.values()))
        return outputs, {key: None if g is None else tf.convert_to_tensor(g) for key, g in found.items()}

    def top_diffs(self) -> dict[str, Any]:
        """{top: its diff} of the tops that the golden's gradients come from, as callers see them."""
        diffs = self.case.group("top_diff").items()
        used = {self.top_names[i]: to_edge(diff, self.data_format) for i, diff in diffs if diff.any() or not diff.ndim}
        return {name: keras.ops.convert_to_tensor(diff, "float32") for name, diff in used.items()}

    def sources(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """{"bottom_diff/0": tensor, "param_diff/0": variable}: what the golden has gradients with respect to."""
        found: dict[str, Any] = {}
        for index in self.case.group("bottom_diff"):
            name = f"in{index}"
            if name in inputs:
                found[f"bottom_diff/{index}"] = inputs[name]
            elif name in self.model.caffe_layers:
                found[f"bottom_diff/{index}"] = self._owner(name, 0).variable
        for index in self.case.group("param_diff"):
            owner = self._owner(*self.slots[index])
            if owner.variable.trainable:
                found[f"param_diff/{index}"] = owner.variable
        return found

    def _owner(self, layer: str, index: int) -> BoundBlob:
        held = self.model.caffe_layers[layer].caffe_blobs[index]
        return held.variable.owner if isinstance(held.variable, SharedView) else held

    def outcome(self, outputs: dict[str, Any], gradients: dict[str, Any]) -> Outcome:
        """Results of `step` in Caffe's order."""
        tops = [from_edge(outputs[name], self.data_format) for name in self.top_names]
        diffs = {key: None if g is None else self._in_caffe_order(key, g) for key, g in gradients.items()}
        return Outcome(tops, diffs)

    def _in_caffe_order(self, key: str, gradient: Any) -> np.ndarray:
        what, index = key.split("/")
        slot = self.slots[int(index)] if what == "param_diff" else (f"in{index}", 0)
        if slot[0] in self.model.caffe_layers:
            array = self._owner(*slot).blob.to_caffe(keras.ops.convert_to_numpy(gradient))
            return array.reshape(self.model.caffe_layers[slot[0]].caffe_blobs[slot[1]].blob.shape)
        return from_edge(gradient, self.data_format)


def assert_close(case: Golden, got: Any, want: np.ndarray, what: str, *, gradient: bool = False) -> None:
    """Compares by the goldens' table of tolerances."""
    got = np.asarray(got)
    assert got.shape == want.shape, f"{case} {what}: shape {got.shape}, Caffe has {want.shape}"
    if case.kind in EXACT or (case.kind == "Pooling" and "MAX" in case.text and "AVE" not in case.text):
        rtol, atol = 0.0, 0.0
    elif "edge:" in case.note and case.kind == "BatchNorm":
        rtol, atol = 1e-3, 1e-4
    elif gradient or case.kind in LOOSE or "WITHIN_CHANNEL" in case.text:
        rtol, atol = 1e-4, 1e-5
    else:
        rtol, atol = 1e-5, 1e-6
    finite = want[np.isfinite(want)]
    scale = max(1.0, float(np.abs(finite).max())) if finite.size else 1.0
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol * scale, err_msg=f"{case} {what}: {case.note}")
