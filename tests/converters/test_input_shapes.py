"""Inputs whose shapes nothing tells: one error says what to pass for all of them."""

from __future__ import annotations

import ast
import re

import pytest

import keras_caffe
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
    assert "where the layer looks for them (source: 'none')." in said


def test_inputs_of_several_layers_at_once() -> None:
    """What else is wrong with one of these layers does not hide the others."""
    said = refused(DATA + MORE)
    assert "the shapes of inputs 'd', 'x', 'y' are not known" in said
    assert said.endswith("with numbers for the letters, or put the data where the layers look for them.")


def test_only_what_is_not_given() -> None:
    said = refused(DATA + MORE, d=(4, 3, 6, 6), y=(2,))
    assert "layer 'h' (HDF5Data): the shape of input 'x' is not known" in said


def test_the_line_can_be_pasted() -> None:
    net = DATA + MORE.rpartition("layer")[0]
    line = re.search(r"input_shapes=(\{.*\})", refused(net))[1]
    given = ast.literal_eval(line.translate(str.maketrans("NCHW", "2357")))
    assert keras_caffe.load(net, input_shapes=given).caffe_shapes["r"] == (4, 3, 6, 6)
