"""What Caffe refuses about small layers, one row each."""

from __future__ import annotations

import pytest

from keras_caffe.converters.load import load
from keras_caffe.errors import LayerError
from tests.layers.layer_case import tops

FOUR = (2, 6, 4, 5)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ('type: "Axpy"', [(2, 6), FOUR, (2, 6, 4, 4)]),
        ('type: "Axpy"', [(2, 5), FOUR, FOUR]),
        ('type: "Axpy"', [(2, 6, 4, 1), FOUR, FOUR]),
        ('type: "Axpy"', [(2, 6), (2, 6, 4, 5, 1), (2, 6, 4, 5, 1)]),
        ('type: "Clip" clip_param { min: 1 }', [FOUR]),
        ('type: "Exp" exp_param { base: 0 }', [FOUR]),
        ('type: "Exp" exp_param { base: -2 }', [FOUR]),
        ('type: "Flatten" flatten_param { axis: 3 end_axis: 1 }', [FOUR]),
        ('type: "Flatten" flatten_param { axis: 4 }', [FOUR]),
        ('type: "Log" log_param { base: 0 }', [FOUR]),
        ('type: "Log" log_param { base: 1 }', [FOUR]),
        ('type: "MVN"', [(2, 3, 4, 5, 6)]),
        ('type: "Maxout"', [FOUR]),
        ('type: "Maxout" maxout_param { num_output: 4 }', [FOUR]),
        ('type: "Maxout" maxout_param { chgroup_sz: 4 }', [FOUR]),
        ('type: "PReLU"', [(3,)]),
        ('type: "Reduction" reduction_param { axis: 5 }', [FOUR]),
        ('type: "Reorg" reorg_param { }', [FOUR]),
        ('type: "Reorg" reorg_param { stride: 2 }', [FOUR]),
        ('type: "Reorg" reorg_param { stride: 2 }', [(2, 4, 4)]),
        ('type: "ShuffleChannel" shuffle_channel_param { group: 4 }', [FOUR]),
        ('type: "ShuffleChannel" shuffle_channel_param { group: 0 }', [FOUR]),
        ('type: "ShuffleChannel" shuffle_channel_param { group: 1 }', [(6,)]),
        ('type: "Softmax" softmax_param { axis: 4 }', [FOUR]),
        ('type: "Tile" tile_param { }', [FOUR]),
        ('type: "Tile" tile_param { tiles: 2 axis: 4 }', [FOUR]),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(LayerError):
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
