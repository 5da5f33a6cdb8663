"""What Caffe refuses about small layers, one row each."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import pytest

from keras_caffe import layers
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.load import PlanSettings, load, plan
from keras_caffe.errors import LayerError
from tests.layers.layer_case import tops
from tests.nets import net_with

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
        ('type: "PriorBox" prior_box_param { min_size: inf }', [FOUR, FOUR], "min_size must be a number above 0 and"),
        (
            'type: "PriorBox" prior_box_param { min_size: 2 max_size: inf }',
            [FOUR, FOUR],
            "max_size must be a number of",
        ),
        ('type: "PriorBox" prior_box_param { min_size: 2 aspect_ratio: inf }', [FOUR, FOUR], "aspect_ratio must be a"),
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
        (
            'type: "ShuffleChannel" shuffle_channel_param { group: 0 }',
            [FOUR],
            "group must be a whole number",
        ),
        ('type: "ShuffleChannel" shuffle_channel_param { group: 1 }', [(6,)], "ShuffleChannel needs channels"),
        ('type: "Softmax" softmax_param { axis: 4 }', [FOUR], AXIS),
        ('type: "Tile" tile_param { }', [FOUR], "tiles is missing"),
        ('type: "Tile" tile_param { tiles: 2 axis: 4 }', [FOUR], AXIS),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        tops(text, *shapes)


# How many axes Caffe's set-up and Reshape take; the layers' sources check with num_axes(), shape(i) and legacy sizes.
ANY = "AbsVal BNLL Clip Dropout ELU Embed Exp Log Power ReLU Reshape Sigmoid Silence Split Swish TanH Threshold"
FROM_TWO = "BatchNorm Bias Concat Convolution Deconvolution Flatten Im2col InnerProduct PReLU Scale Slice Softmax Tile"
RANKS = {
    **dict.fromkeys(ANY.split(), range(6)),
    **dict.fromkeys(("ArgMax", "Reduction"), range(1, 6)),
    **dict.fromkeys(FROM_TWO.split(), range(2, 6)),
    **dict.fromkeys(("LRN", "Pooling", "SPP"), [4]),
    "MVN": range(5),
}
FIELDS = {
    "Clip": "clip_param { min: 0 max: 1 }",
    "Convolution": "convolution_param { num_output: 2 kernel_size: 1 }",
    "Deconvolution": "convolution_param { num_output: 2 kernel_size: 1 }",
    "Embed": "embed_param { num_output: 2 input_dim: 3 }",
    "Im2col": "convolution_param { kernel_size: 1 }",
    "InnerProduct": "inner_product_param { num_output: 2 }",
    "Pooling": "pooling_param { kernel_size: 1 }",
    "Reshape": "reshape_param { shape { dim: -1 } }",
    "SPP": "spp_param { pyramid_height: 1 }",
    "Slice": "slice_param { slice_point: 1 }",
    "Tile": "tile_param { tiles: 2 }",
}


@pytest.mark.parametrize("type", RANKS)
@pytest.mark.parametrize("rank", range(6))
def test_as_many_axes_as_caffe_takes(type: str, rank: int) -> None:
    tops = {"Silence": "", "Slice": "y z"}.get(type, "y")
    net = read_definition(net_with(type, (2, 3, 4, 4, 5)[:rank], param=FIELDS.get(type, ""), tops=tops)).select()
    with nullcontext() if rank in RANKS[type] else pytest.raises(LayerError, match="ax[ie]s"):
        assert len(plan(net, PlanSettings())[0].net.nodes) == 2


@pytest.mark.parametrize(
    ("layer", "shape", "match"),
    [
        (layers.MVN(), (2, 3, 4, 5, 6), "the bottom has too many axes"),
        (layers.Maxout(4), FOUR, "chgroup_sz does not divide the channels; expected a multiple of 4; received 5"),
        (layers.Maxout(5, axis=4), FOUR, "axis is out of range; expected -4 <= axis < 4; received 4"),
        (layers.Normalize(), (3,), "Normalize needs 2 to 4 axes"),
        (layers.PReLU(), (3,), "PReLU needs a channel axis"),
        (layers.PReLU(axis=-5), FOUR, "axis is out of range; expected -4 <= axis < 4; received -5"),
        (layers.Permute((1, 0)), FOUR, "order does not fit the bottom; expected 2 axes"),
        (layers.Pooling(kernel_size=2), (2, 3), "Pooling needs a bottom with 4 axes"),
        (layers.Reduction(axes=(0, -4)), FOUR, "axes names an axis twice"),
        (layers.Reduction(axes=4), FOUR, "axes is out of range; expected -4 <= axes < 4; received 4"),
        (layers.Reorg(4), FOUR, "Reorg with stride 4 does not fit; expected a multiple of 16; received 6"),
        (layers.Reshape((7, -1)), FOUR, "the dim of -1 cannot be inferred"),
        (layers.SPP(3), (2, 1, 1, 3), "bins are too many for this bottom"),
        (layers.Scale(axes=4), FOUR, "axes is out of range; expected -4 <= axes < 4; received 4"),
        (layers.ShuffleChannel(2), FOUR, "group does not divide the channels; expected a multiple of 2; received 5"),
        (layers.ShuffleChannel(axis=4), FOUR, "axis is out of range"),
        (layers.Slice(2), FOUR, "Slice cannot cut into equal parts; expected a multiple of 2; received 5"),
        (layers.Slice(2, axis=4), FOUR, "axis is out of range"),
        (layers.Softmax(axis=4), FOUR, "axis is out of range"),
        (layers.Tile(2, axis=4), FOUR, "axis is out of range"),
        (layers.Upsample(), (2, 3), "Upsample needs a bottom with 4 axes"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_called_on_what_does_not_fit(layer: Any, shape: tuple[int, ...], match: str) -> None:
    copy = type(layer).from_config(layer.get_config())
    with pytest.raises(LayerError, match=match):
        layer(np.ones(shape, "float32"))
    with pytest.raises(LayerError, match=match):
        copy(keras.Input(batch_shape=shape))


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
    text = net_with(kind, (4, 5, 5), param="convolution_param { axis: 0 num_output: 2 kernel_size: 1 group: 2 }")
    model = load(text)
    assert model.input.shape == (4, 5, 5)
    assert model.output.shape == (2, 5, 5)
