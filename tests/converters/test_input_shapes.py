"""Inputs whose shapes nothing tells: one error says what to pass for all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import keras_caffe
from keras_caffe.cli import main
from keras_caffe.errors import ShapeError

DATA = """layer { name: "d" type: "Data" top: "d" top: "l" data_param { source: "none" batch_size: 4 }
  transform_param { crop_size: 6 } }
"""
MORE = """layer { name: "r" type: "ReLU" bottom: "d" top: "r" }
layer { name: "h" type: "HDF5Data" top: "x" top: "y" hdf5_data_param { source: "none" batch_size: 2 } }
layer { name: "bad" type: "ImageData" top: "i" image_data_param { source: "none" batch_size: 0 } }
"""


def refused(text: str, **shapes: tuple[int, ...]) -> str:
    with pytest.raises(ShapeError) as error:
        keras_caffe.load(text, input_shapes=shapes)
    return str(error.value)


def test_one_input() -> None:
    said = refused(DATA)
    assert "layer 'd' (Data): the shape of input 'd' is not known" in said
    assert "input_shapes={'d': (4, C, 6, 6)} with numbers for the letters" in said
    assert said.endswith("Or put the data where layer 'd' looks for them: source: 'none'.")


def test_inputs_of_several_layers_at_once() -> None:
    """What else is wrong with one of these layers does not hide the others."""
    said = refused(DATA + MORE)
    assert "the shapes of inputs 'd', 'x', 'y' are not known" in said
    assert said.endswith(
        "with numbers for the letters. Or put the data where layer 'd' looks for them: source: 'none'. "
        "Or put the list and its files where layer 'h' looks for them: source: 'none'."
    )


PYTHON = 'layer { name: "p" type: "Python" top: "p" top: "l" python_param { module: "m" layer: "C" } }\n'


def test_the_class_of_a_python_data_layer_comes_before_shapes_for_its_tops() -> None:
    text = (
        DATA.replace('"d"', '"e"').replace('"l"', '"f"') + PYTHON + PYTHON.replace('"p"', '"q"').replace('"l"', '"r"')
    )
    said = refused(PYTHON)
    assert said == (
        "<text>:1: layer 'p' (Python): the shapes of inputs 'p', 'l' are not known; expected a shape in Caffe's order "
        "(N, C, H, W) for each. Pass python_layers={'m.C': ...} with the class. Pass allow_python_imports=True to "
        "import the module, if you trust the file. Pass input_shapes={'p': (N, C, H, W), 'l': (N, C, H, W)} with "
        "numbers for the letters."
    )
    cures = refused(text).partition("for each. ")[2]
    assert cures.count("python_layers") == cures.count("allow_python_imports") == cures.count("input_shapes") == 1
    assert cures.startswith("Pass python_layers") and cures.endswith("source: 'none'.")


def test_the_shell_is_told_its_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.prototxt").write_text(PYTHON)
    assert main(["summary", str(tmp_path / "net.prototxt")]) == 1
    assert capsys.readouterr().err.partition("for each. ")[2] == (
        "In Python, pass python_layers={'m.C': ...} with the class. Pass --allow-python-imports to import the module, "
        "if you trust the file. Pass --input-shape p=N,C,H,W --input-shape l=N,C,H,W with numbers for the letters.\n"
    )


def test_only_what_is_not_given() -> None:
    said = refused(DATA + MORE, d=(4, 3, 6, 6), y=(2,))
    assert "layer 'h' (HDF5Data): the shape of input 'x' is not known" in said


def test_the_line_can_be_pasted() -> None:
    net = DATA + MORE.rpartition("layer")[0]
    line = re.search(r"input_shapes=(\{.*\})", refused(net))[1]
    given = ast.literal_eval(line.translate(str.maketrans("NCHW", "2357")))
    assert keras_caffe.load(net, input_shapes=given).caffe_shapes["r"] == (4, 3, 6, 6)
