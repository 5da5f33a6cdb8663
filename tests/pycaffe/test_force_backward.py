"""`force_backward: true` in pycaffe: every layer runs backward, those without bottoms or tops included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_caffe import pycaffe as caffe

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Source:
    """Gives X; remembers what its tops' diffs were."""

    seen: np.ndarray | None = None

    def setup(self, bottom: Any, top: Any) -> None:
        pass

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(2, 3)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = X

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        assert (list(propagate_down), list(bottom)) == ([], [])
        Source.seen = top[0].diff.copy()


class Data:
    """A source without backward."""

    setup, reshape, forward = Source.setup, Source.reshape, Source.forward


class Learned(Source):
    """Gives its blob; its gradient is twice its top's."""

    def setup(self, bottom: Any, top: Any) -> None:
        self.blobs.add_blob(2, 3)  # type: ignore[attr-defined]
        self.blobs[0].data[...] = X  # type: ignore[attr-defined]

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        self.blobs[0].diff[...] = 2 * top[0].diff  # type: ignore[attr-defined]


class Sink(Source):
    """Has no tops, and 7 as its bottom's gradient."""

    def reshape(self, bottom: Any, top: Any) -> None:
        pass

    def forward(self, bottom: Any, top: Any) -> None:
        pass

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        bottom[0].diff[...] = 7


PYTHON = {f"m.{cls.__name__}": cls for cls in (Source, Data, Learned, Sink)}
SOURCES = {
    "Python": 'type: "Python" python_param { module: "m" layer: "Source" }',
    "Python without backward": 'type: "Python" python_param { module: "m" layer: "Data" }',
    "Python with a blob": 'type: "Python" python_param { module: "m" layer: "Learned" }',
    "Input": 'type: "Input" input_param { shape { dim: 2 dim: 3 } }',
    "DummyData": 'type: "DummyData" dummy_data_param { shape { dim: 2 dim: 3 } data_filler { value: 2 } }',
    "Parameter": 'type: "Parameter" parameter_param { shape { dim: 2 dim: 3 } }',
    "MemoryData": 'type: "MemoryData" top: "l" memory_data_param { batch_size: 2 channels: 3 height: 1 width: 1 }',
    "HDF5Data": 'type: "HDF5Data" hdf5_data_param { source: "list" batch_size: 2 }',
}
PRODUCT = """layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 2 weight_filler { value: 1 } } } """
SINK = 'layer { name: "k" type: "Python" bottom: "%s" python_param { module: "m" layer: "Sink" } } '
SILENCE = 'layer { name: "q" type: "Silence" bottom: "%s" } '
OUTPUT = 'layer { name: "o" type: "HDF5Output" bottom: "ip" bottom: "x" hdf5_output_param { file_name: "o.h5" } } '
USES = {
    "an output": (PRODUCT, 2),
    "a product for a Python layer without tops": (PRODUCT + SINK % "ip", 14),
    "a Python layer without tops": (SINK % "x", 7),
    "Silence": (SILENCE % "x", 0),
    "Silence and a Python layer": (SILENCE % "x" + SINK % "x", 7),
    "a product for Silence": (PRODUCT + SILENCE % "ip", 0),
    "HDF5Output": (PRODUCT + OUTPUT, 0),
    "nothing": ("", 1),
}


def given(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = X
    (tmp_path / "list").write_text(str(tmp_path / "x.h5"))


@pytest.mark.filterwarnings("ignore:.*(no tops|does not write)")
@pytest.mark.parametrize("callbacks", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_the_diff_reaches_the_source(
    source: str, callbacks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(tmp_path)
    monkeypatch.chdir(tmp_path)
    quiet = SILENCE % "l" if source == "MemoryData" else ""
    for use, expected in USES.values():
        text = f'force_backward: true layer {{ name: "s" top: "x" {SOURCES[source]} }} {use} {quiet}'
        net = caffe.Net(text, caffe.TEST, python_layers=PYTHON)
        if callbacks:
            net.before_backward(lambda layer: None)
        if source == "MemoryData":
            net.set_input_arrays(X.reshape(2, 3, 1, 1), np.zeros(2))
        Source.seen = None
        net.forward()
        for name in net.outputs:
            net.blobs[name].diff[...] = 1
        net.backward()
        np.testing.assert_array_equal(net.blobs["x"].diff, np.full(net.blobs["x"].shape, expected))
        if source == "Python":
            np.testing.assert_array_equal(Source.seen, np.full((2, 3), expected))
        if source == "Parameter":
            np.testing.assert_array_equal(net.params["s"][0].diff, net.blobs["x"].diff)
        if source == "Python with a blob":
            np.testing.assert_array_equal(net.params["s"][0].diff, np.full((2, 3), 2 * expected))
