"""Every layer type through pycaffe.Net: some of the golden cases of each, forward and backward, in Caffe's order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from keras_caffe.pycaffe.blob import NetBlob
from tests.layers.golden_case import GOLDENS, Golden, assert_close, cases

KINDS = sorted(path.stem for path in GOLDENS.glob("*.npz") if path.stem != "Pooling_stochastic_derived")
EACH = 3

pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")


def some(kind: str) -> list[Golden]:
    """The first, the last and one from the middle."""
    exact = [case for case in cases(kind) if "stochastic" not in case.note and not case.note.startswith("quirk:")]
    return exact[:: max(1, (len(exact) - 1) // (EACH - 1))]


class Run:
    """A golden case as a pycaffe net with the case's parameters and inputs."""

    def __init__(self, case: Golden) -> None:
        self.case = case
        phase = caffe.TRAIN if case.training else caffe.TEST
        self.net = caffe.Net(case.text, phase, fork=case.fork)
        self.params = [self.net.params[layer][index] for layer, index in self.slots()]
        for index, array in case.group("param").items():
            self.params[index].data[...] = array
        for index, array in case.group("bottom").items():
            self.bottom(index).data[...] = array

    def bottom(self, index: int) -> NetBlob:
        """The blob fed as `bottom/<index>`: a parameter of the layer of that name, or the input."""
        name = f"in{index}"
        return self.net.params[name][0] if name in self.net.params else self.net.blobs[name]

    def slots(self) -> list[tuple[str, int]]:
        if "param_names" in self.case.arrays:
            pairs = [str(name).rsplit(":", 1) for name in self.case.arrays["param_names"]]
            return [(layer, int(index)) for layer, index in pairs]
        inputs = {f"in{index}" for index in self.case.group("bottom")}
        layers = [layer for layer in self.net.layers if layer.name not in inputs]
        return [(layer.name, index) for layer in layers for index in range(len(layer.blobs))]

    def tops(self) -> list[NetBlob]:
        """The blobs of `top/<i>`: those that the case names, or the last layer's tops; if it has more, earlier ones."""
        if "tops" in self.case.arrays:
            return [self.net.blobs[str(name)] for name in self.case.arrays["tops"]]
        names: list[str] = []
        for layer in reversed([layer for layer in self.net.layers if "_split" not in layer.name]):
            if not names or len(names) < len(self.case.group("top")):
                names = [*self.net.top_names[layer.name], *names]
        return [self.net.blobs[name] for name in names]

    def check(self, group: str, blobs: dict[int, np.ndarray]) -> None:
        for index, want in self.case.group(group).items():
            assert_close(self.case, blobs[index], want, f"{group}/{index}", gradient=group != "top")


@pytest.mark.parametrize("kind", KINDS)
def test_forward_and_backward(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for case in some(kind):
        for key, content in case.arrays.items():
            if key.startswith("file/"):
                Path(key.removeprefix("file/")).write_bytes(content.tobytes())
        run = Run(case)
        run.net.forward()
        tops = run.tops()
        run.check("top", {i: blob.data for i, blob in enumerate(tops)})
        run.check("param_after", {i: blob.data for i, blob in enumerate(run.params)})
        if case.group("top_diff"):
            for index, diff in case.group("top_diff").items():
                tops[index].diff[...] = diff
            run.net.backward()
            run.check("bottom_diff", {i: run.bottom(i).diff for i in case.group("bottom_diff")})
            run.check("param_diff", {i: blob.diff for i, blob in enumerate(run.params)})
