"""What Caffe refuses about small layers, one row each."""

from __future__ import annotations

import pytest

from keras_caffe.converters.load import load
from keras_caffe.errors import LayerError
from tests.layers.layer_case import tops

FOUR = (2, 6, 4, 5)
AXIS = "axis is out of range"


@pytest.mark.parametrize(
    ("text", "shapes", "reason"),
    [
        ('type: "Axpy"', [(2, 6), FOUR, (2, 6, 4, 4)], "second and third bottom of Axpy must have one shape"),
        ('type: "Axpy"', [(2, 5), FOUR, FOUR], "one factor per image and channel"),
        ('type: "Axpy"', [(2, 6, 4, 1), FOUR, FOUR], r"expected \(N, C\) or \(N, C, 1, 1\)"),
        ('type: "Axpy"', [(2, 6), (2, 6, 4, 5, 1), (2, 6, 4, 5, 1)], "too many axes; expected at most 4"),
        ('type: "Clip" clip_param { min: 1 }', [FOUR], "Clip needs both min and max"),
        ('type: "Exp" exp_param { base: 0 }', [FOUR], "base must be positive, or -1"),
        ('type: "Exp" exp_param { base: -2 }', [FOUR], "base must be positive, or -1"),
        ('type: "Flatten" flatten_param { axis: 3 end_axis: 1 }', [FOUR], "end_axis lies before axis"),
        ('type: "Flatten" flatten_param { axis: 4 }', [FOUR], AXIS),
        ('type: "Log" log_param { base: 0 }', [FOUR], "base must be positive, or -1"),
        ('type: "Log" log_param { base: 1 }', [FOUR], "no logarithm to the base 1"),
        ('type: "MVN"', [(2, 3, 4, 5, 6)], "too many axes; expected at most 4"),
        ('type: "Maxout"', [FOUR], "expected chgroup_sz, .* received num_output 0"),
        ('type: "Maxout" maxout_param { num_output: 4 }', [FOUR], "num_output that divides 6; received num_output 4"),
        ('type: "Maxout" maxout_param { chgroup_sz: 4 }', [FOUR], "does not divide the channels; .* multiple of 4"),
        ('type: "PReLU"', [(3,)], "PReLU needs a channel axis"),
        ('type: "Reduction" reduction_param { axis: 5 }', [FOUR], AXIS),
        ('type: "Reorg" reorg_param { }', [FOUR], "stride is missing"),
        ('type: "Reorg" reorg_param { stride: 2 }', [FOUR], "stride 2 does not fit; expected a multiple of 4"),
        ('type: "Reorg" reorg_param { stride: 2 }', [(2, 4, 4)], "Reorg needs a bottom with 4 axes"),
        ('type: "ShuffleChannel" shuffle_channel_param { group: 4 }', [FOUR], "group does not divide the channels"),
        ('type: "ShuffleChannel" shuffle_channel_param { group: 0 }', [FOUR], "group must be positive"),
        ('type: "ShuffleChannel" shuffle_channel_param { group: 1 }', [(6,)], "ShuffleChannel needs channels"),
        ('type: "Softmax" softmax_param { axis: 4 }', [FOUR], AXIS),
        ('type: "Tile" tile_param { }', [FOUR], "tiles is missing"),
        ('type: "Tile" tile_param { tiles: 2 axis: 4 }', [FOUR], AXIS),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        tops(text, *shapes)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("text", "top"),
    [
        ('type: "Maxout" maxout_param { num_output: 2 }', (2, 2, 4, 5)),
        ('type: "Maxout" maxout_param { chgroup_sz: 2 }', (2, 3, 4, 5)),
        ('type: "Flatten" flatten_param { axis: 2 end_axis: 1 }', (2, 6, 1, 4, 5)),
        ('type: "Reduction" reduction_param { axis: -1 }', (2, 6, 4)),
        ('type: "L2Norm"', (2, 6, 4, 5)),
        ('type: "Tile" tile_param { tiles: 3 }', (2, 18, 4, 5)),
    ],
)
def test_accepted(text: str, top: tuple[int, ...], data_format: str) -> None:
    assert tops(text, FOUR, data_format=data_format) == [top]


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_channels_on_the_first_axis_fix_the_shape(kind: str) -> None:
    text = f"""layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 4 dim: 5 dim: 5 }} }} }}
        layer {{ name: "y" type: "{kind}" bottom: "x" top: "y"
          convolution_param {{ axis: 0 num_output: 2 kernel_size: 1 group: 2 }} }}"""
    model = load(text)
    assert model.input.shape == (4, 5, 5)
    assert model.output.shape == (2, 5, 5)
