"""converters/unique_names.py: names of layers, and of the operations between them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_caffe.converters.unique_names import free_name
from tests.shared_goldens import ROOT

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "transpose" type: "TanH" bottom: "conv" top: "t" }
layer { name: "transpose_1" type: "PReLU" bottom: "t" top: "u" }
"""
# Keras counts its operations from the start of the process: only in a new one is the first one called "transpose".
SCRIPT = """
import sys, keras, keras_caffe
model = keras_caffe.load(sys.argv[1], data_format="channels_first")
model.save(sys.argv[2])
for net in (model, model.extract(["conv", "t", "u"]), keras.saving.load_model(sys.argv[2])):
    names = [operation.name for operation in net.operations]
    assert len(set(names)) == len(names), names
    assert type(net.get_layer("transpose")).__name__ == "TanH"
    assert [v.path for v in net.get_layer("transpose_1").variables] == ["transpose_1/slope"]
"""


def test_layers_called_as_keras_calls_its_operations(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, NET, str(tmp_path / "net.keras")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("taken", "name"), [((), "a"), (("a",), "a_1"), (("a", "a_1", "a_3"), "a_2"), (("a_1",), "a")])
def test_free_names(taken: tuple[str, ...], name: str) -> None:
    names = set(taken)
    assert free_name("a", names) == name
    assert names == {*taken, name}
