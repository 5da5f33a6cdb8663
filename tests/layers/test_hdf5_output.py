"""HDF5Output gives nothing and says so once."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.converters.load import load
from keras_caffe.errors import CaffeWarning
from tests.layers.cases import Case
from tests.nets import net_with

CASES = [
    Case(
        "HDF5Output",
        reason="it has no top",
        net=net_with("HDF5Output", (2, 4), (2, 1), param='hdf5_output_param { file_name: "f" }', tops="")
        + 'layer { name: "sum" type: "Eltwise" bottom: "x0" bottom: "x0" top: "y" }',
        values="it has no top; what it writes is in tests/goldens/data",
    ),
]

NET = """
layer { name: "x" type: "Input" top: "x" top: "y" input_param { shape { dim: 3 dim: 2 } } }
layer { name: "relu" type: "ReLU" bottom: "x" top: "z" }
layer { name: "out" type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param { file_name: "never.h5" } }
"""


def test_a_sink_with_a_warning(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.warns(CaffeWarning, match=r"never\.h5.*extract") as caught:
        model = load(NET)
    assert len(caught) == 1
    values = {"x": np.array([[1.0, -1.0]] * 3), "y": np.zeros((3, 2))}
    np.testing.assert_array_equal(model(values), [[1, 0]] * 3)
    assert not list(tmp_path.iterdir())
