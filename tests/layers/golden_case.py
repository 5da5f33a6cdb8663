"""Runs one case of goldens/layers (format: goldens/README.md) through keras_caffe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_caffe.converters.load import load
from keras_caffe.layers.base import SharedView

GOLDENS = Path(__file__).parent.parent / "goldens" / "layers"

EXACT = {
    *("Concat", "Slice", "Split", "Flatten", "Reshape", "Tile", "Crop", "Permute", "Filter", "BatchReindex", "Silence"),
    *("ShuffleChannel", "Upsample", "Input", "Parameter", "ReLU", "ArgMax", "DummyData"),
}
LOOSE = {"LSTM", "RNN", "InPlaceChain", "Normalize"}


@dataclass
class Case:
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

    def group(self, key: str) -> dict[int, np.ndarray]:
        """{index: array} of the keys `key/<index>`."""
        return {int(k.split("/")[1]): a for k, a in self.arrays.items() if re.fullmatch(rf"{key}/\d+", k)}

    @property
    def types(self) -> set[str]:
        return set(re.findall(r'^  type: "(\w+)"', self.text, re.M))


def cases(kind: str) -> Iterator[Case]:
    """All cases of one file."""
    with np.load(GOLDENS / f"{kind}.npz") as file:
        grouped: dict[str, dict[str, np.ndarray]] = {}
        for key in file.files:
            name, _, rest = key.partition("/")
            grouped.setdefault(name, {})[rest] = file[key]
    for name, arrays in grouped.items():
        yield Case(kind, name, arrays)


def to_edge(array: np.ndarray, data_format: str) -> np.ndarray:
    """Caffe's order -> the order that callers use."""
    return np.moveaxis(array, 1, -1) if data_format == "channels_last" and array.ndim > 3 else array


def from_edge(array: Any, data_format: str) -> np.ndarray:
    array = np.asarray(keras.ops.convert_to_numpy(array))
    return np.moveaxis(array, -1, 1) if data_format == "channels_last" and array.ndim > 3 else array


class Run:
    """A case's net, its parameters set; `forward` and `gradients` speak Caffe's order."""

    def __init__(self, case: Case, data_format: str, **kwargs: Any) -> None:
        self.case, self.data_format = case, data_format
        phase = "TRAIN" if case.training else "TEST"
        fork = "ssd" if case.kind.endswith("_ssd") else None
        self.model = load(case.text, phase=phase, data_format=data_format, fork=fork, **kwargs)
        self._set_params()
        self.top_names = self._top_names()
        self.tops = self.model.extract(self.top_names) if self.top_names else None
        self.inputs: dict[str, Any] = {}

    def _top_names(self) -> list[str]:
        """The last layer's tops; where the case has more tops, also those of the layers before it."""
        names: list[str] = []
        for node in reversed(self.model.net.nodes):
            if not names or len(names) < len(self.case.group("top")):
                names = [*node.outputs, *names]
        return names

    def slots(self) -> list[tuple[str, int]]:
        """(layer, blob index) of each `param/<i>`, in order."""
        if "param_names" in self.case.arrays:
            pairs = [str(name).rsplit(":", 1) for name in self.case.arrays["param_names"]]
            return [(layer, int(index)) for layer, index in pairs]
        params = self.model.get_caffe_params()
        inputs = {f"in{index}" for index in self.case.group("bottom")}
        return [
            (node.name, i)
            for node in self.model.net.nodes
            if node.name not in inputs
            for i in range(len(params.get(node.name, ())))
        ]

    def _set_params(self) -> None:
        params = self.model.get_caffe_params()
        for (layer, index), array in zip(self.slots(), self.case.group("param").values(), strict=True):
            params[layer][index] = array
        for index, array in self.case.group("bottom").items():
            if f"in{index}" in params:
                params[f"in{index}"] = [array]
        self.model.set_caffe_params(params)

    def forward(self, bottoms: dict[int, np.ndarray]) -> list[Any]:
        """The tops, as callers see them."""
        if self.tops is None:
            return []
        wanted = [t.name for t in self.tops.inputs]
        named = {f"in{i}": a for i, a in bottoms.items()}
        if self.case.kind == "Input":
            named = {name: np.zeros(self.model.caffe_shapes[name], "float32") for name in wanted}
        fed = {name: keras.ops.convert_to_tensor(to_edge(a, self.data_format), "float32") for name, a in named.items()}
        self.inputs = {name: fed[name] for name in wanted if name in fed}
        for tensor in self.inputs.values():
            if self.tape is not None:
                self.tape.watch(tensor)
        outputs = self.tops(self.inputs, training=self.case.training)
        return [outputs[name] for name in self.top_names]

    tape: Any = None

    def forward_backward(self) -> tuple[list[np.ndarray], dict[int, Any], dict[int, Any]]:
        """Tops, bottom diffs and parameter diffs in Caffe's order; a missing gradient is None."""
        import tensorflow as tf

        case = self.case
        with tf.GradientTape(persistent=True) as self.tape:
            tops = self.forward(case.group("bottom"))
            diffs = case.group("top_diff")
            terms = [
                tf.reduce_sum(tops[i] * to_edge(d, self.data_format)) for i, d in diffs.items() if d.any() or not d.ndim
            ]
            total = tf.add_n(terms) if terms else tf.zeros(())
        bottom_diffs = {i: self._bottom_diff(total, i) for i in case.group("bottom_diff")}
        param_diffs = {}
        for i in case.group("param_diff"):
            layer, index = self.slots()[i]
            param_diffs[i] = self._param_diff(total, layer, index)
        self.tape = None
        return [from_edge(t, self.data_format) for t in tops], bottom_diffs, param_diffs

    def _bottom_diff(self, total: Any, index: int) -> np.ndarray | None:
        name = f"in{index}"
        if name in self.inputs:
            gradient = self.tape.gradient(total, self.inputs[name])
            return None if gradient is None else from_edge(gradient, self.data_format)
        return self._param_diff(total, name, 0) if name in self.model.caffe_layers else None

    def _param_diff(self, total: Any, layer: str, index: int) -> np.ndarray | None:
        held = self.model.caffe_layers[layer].caffe_blobs[index]
        blob, variable = held
        if isinstance(variable, SharedView):
            blob, variable = variable.owner
        if not variable.trainable:
            return None
        gradient = self.tape.gradient(total, variable.value)
        if gradient is None:
            return None
        array = blob.to_caffe(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(gradient)))
        return array.reshape(held.blob.shape)


def assert_close(case: Case, got: Any, want: np.ndarray, what: str, *, gradient: bool = False) -> None:
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
