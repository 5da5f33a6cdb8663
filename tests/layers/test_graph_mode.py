"""Every kind of layer in a graph, as `model.predict` runs it: the first axes of inputs are open while it is traced."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import CaffeWarning
from tests.layers.golden_case import Case, Run, assert_close, from_edge, to_edge
from tests.layers.test_goldens import KINDS, all_cases

CASES_PER_KIND = 5
EVERY = all_cases()


def chosen(kind: str) -> list[Case]:
    """The first case, the last, and one between them: the last ones are hand-picked edges."""
    found = [case for case in EVERY if case.kind == kind and case.group("top")]
    steps = np.linspace(0, len(found) - 1, min(CASES_PER_KIND, len(found)))
    return [found[round(step)] for step in steps]


class GraphRun(Run):
    """A case whose net runs inside a `tf.function` that knows of the inputs what the model itself declares."""

    def in_a_graph(self) -> list[np.ndarray]:
        specs = {tensor.name: tf.TensorSpec(tensor.shape, "float32") for tensor in self.tops.inputs}

        @tf.function(input_signature=[specs], autograph=False)
        def forward(inputs: Any) -> Any:
            return self.tops(inputs, training=self.case.training)

        outputs = forward(self._fed(self.case.group("bottom")))
        return [from_edge(outputs[name], self.data_format) for name in self.top_names]

    def _fed(self, bottoms: dict[int, np.ndarray]) -> dict[str, Any]:
        arrays = {f"in{i}": to_edge(array, self.data_format) for i, array in bottoms.items()}
        arrays = {**self.tops.__dict__["_defaults"], **arrays}
        for tensor in self.tops.inputs:  # Input layers without bottoms are under test for their shapes.
            if tensor.name not in arrays:
                arrays[tensor.name] = to_edge(np.zeros(self.model.caffe_shapes[tensor.name]), self.data_format)
        return {tensor.name: tf.convert_to_tensor(arrays[tensor.name], "float32") for tensor in self.tops.inputs}


@pytest.mark.parametrize("case", [case for kind in KINDS for case in chosen(kind)], ids=str)
def test_matches_caffe(case: Case, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for key, content in case.arrays.items():
        if key.startswith("file/"):
            (tmp_path / key[len("file/") :]).write_bytes(content.tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)
        run = GraphRun(case, "channels_last")
    for i, top in enumerate(run.in_a_graph()):
        assert_close(case, top, case.group("top")[i], f"top {i}")
