"""The layers of C3D and video-caffe: sizes, windows beyond the input, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Convolution3D, Deconvolution3D, NdConvolution, NdPooling, Pooling3D
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe, make, tops
from tests.random_nets.draft import Draft

VIDEO = (None, 4, 5, 6, 3)
FLT_MAX = np.finfo("float32").max
FILLER = ("gausian", "unknown filler type of {}; .*Did you mean 'gaussian'")


def whole(name: str, value: Any, least: int) -> tuple[dict[str, Any], str]:
    return {name: value}, f"{name} must be a whole number of at least {least}; received"


CONVOLUTION = [
    whole("num_output", 0, 1),
    whole("kernel_size", 0, 1),
    whole("stride", 0, 1),
    whole("pad", -1, 0),
    ({"bias_term": 2}, "bias_term must be True or False; received 2"),
    *(({name: FILLER[0]}, FILLER[1].format(name)) for name in ("weight_filler", "bias_filler")),
]
SPREAD = [whole("dilation", -1, 0), whole("group", 0, 1)]
THREE = ({"kernel_size": (1, 2)}, "kernel_size must be given once or once per axis; expected 1 or 3 values")
POOL = ({"pool": "STOCHASTIC"}, "unknown pool; expected one of MAX, AVE; received 'STOCHASTIC'")
POOLING = [POOL, whole("kernel_size", 0, 1), whole("stride", 0, 1), whole("pad", -1, 0)]
CASES = [
    Case("Convolution3D", Convolution3D(2, (2, 3, 3), pad=1), [VIDEO], refused=[*CONVOLUTION, *SPREAD, THREE]),
    Case("Deconvolution3D", Deconvolution3D(2, 2, stride=2), [VIDEO], refused=[*CONVOLUTION, *SPREAD, THREE]),
    Case(
        "NdConvolution",
        NdConvolution(2, (4, 2, 3)),
        [VIDEO],
        refused=[*CONVOLUTION, *SPREAD],
    ),
    Case(
        "NdPooling",
        NdPooling("AVE", (2, 2, 2), pad=(0, 1, 0)),
        [VIDEO],
        refused=[*POOLING, ({"global_pooling": 2}, "global_pooling must be True or False; received 2")],
    ),
    Case("NdPooling", NdPooling("MAX", 3, global_pooling=True), [SHAPE]),
    Case("Pooling3D", Pooling3D("AVE", (1, 2, 2), 2, pad=1), [VIDEO], refused=[*POOLING, THREE]),
    Case("Pooling3D", Pooling3D("MAX", 2, 2), [VIDEO]),
]


def convolution_3d(type: str) -> Any:
    def part(draft: Draft) -> None:
        fields = draft.fields(num_output=(2, 4), kernel_depth=(1, 2), kernel_size=(1, 2), stride=(2, None))
        more = draft.fields(temporal_stride=(2, None), pad=(1, None), temporal_pad=(1, None), filter_group=(2, None))
        draft.add(type, [draft.bottom(5)], f"convolution3d_param {{ {fields} {more} }}")

    return part


def pooling_3d(draft: Draft) -> None:
    fields = draft.fields(pool=("MAX", "AVE"), kernel_depth=(1, 2), temporal_stride=(2, None), stride=(2, None))
    size = draft.choose(("kernel_size: 1", "kernel_size: 2", "kernel_size: 2 pad: 1"))
    draft.add("Pooling3D", [draft.bottom(5)], f"pooling3d_param {{ {fields} {size} }}")


def nd(type: str, param: str, *fields: str) -> Any:
    """The part of a type whose geometry has one dim per spatial axis."""

    def part(draft: Draft) -> None:
        bottom = draft.bottom(4, 5)
        axes = range(len(bottom.shape) - 2)
        kernel, stride = ("".join(f"dim: {draft.choose((1, 2))} " for _ in axes) for _ in range(2))
        more = f"kernel_shape {{ {kernel}}} stride_shape {{ {stride}}}"
        draft.add(type, [bottom], f"{param} {{ {draft.choose(fields)} {more} }}")

    return part


PARTS = {
    "Convolution3D": convolution_3d("Convolution3D"),
    "Deconvolution3D": convolution_3d("Deconvolution3D"),
    "NdConvolution": nd("NdConvolution", "convolution_param", "num_output: 2", "num_output: 3 bias_term: false"),
    "NdPooling": nd("NdPooling", "pooling_param", "pool: MAX", "pool: AVE", "pool: AVE global_pooling: true"),
    "Pooling3D": pooling_3d,
}
CONV = 'type: "%s" convolution3d_param { num_output: 4 kernel_size: 3 kernel_depth: 2 %s }'
POOL3D = 'type: "Pooling3D" pooling3d_param { kernel_size: 2 kernel_depth: 1 %s }'
SHAPE_3D = (2, 3, 4, 5, 5)  # channels first


def test_the_bias_of_a_deconvolution_is_switched_elsewhere() -> None:
    off = "bias_term: false"
    assert from_caffe(CONV % ("Deconvolution3D", off), SHAPE_3D).bias_term
    assert not from_caffe(CONV % ("Convolution3D", off), SHAPE_3D).bias_term
    assert not from_caffe(
        CONV % ("Deconvolution3D", "") + " convolution_param { bias_term: false }", SHAPE_3D
    ).bias_term


def test_filter_group_only_splits_the_work() -> None:
    layer = from_caffe(CONV % ("Convolution3D", "filter_group: 2 group: 3"), SHAPE_3D)
    assert layer.blob_table((2, 4, 5, 5, 3))[0].shape == (4, 3, 2, 3, 3)
    with pytest.raises(LayerError, match="filter_group does not divide the filters; .*4; received 3"):
        from_caffe(CONV % ("Convolution3D", "filter_group: 3"), SHAPE_3D)


def test_windows_without_a_pixel() -> None:
    x = np.arange(1, 6, dtype="float32").reshape(1, 5, 1, 1, 1)  # windows begin at 0, 3 and 6
    top = Pooling3D("MAX", 1, (3, 1, 1))(x)
    np.testing.assert_array_equal(np.ravel(top), [1, 4, -FLT_MAX])
    np.testing.assert_array_equal(np.ravel(Pooling3D("AVE", 1, (3, 1, 1))(x)), [1, 4, 0])


def test_padding_moves_averages_but_not_maxima() -> None:
    x = np.float32([1, 2, 3]).reshape(1, 1, 1, 3, 1) * np.ones((1, 1, 3, 1, 1), "float32")
    maxima = np.asarray(Pooling3D("MAX", (1, 2, 2), pad=1)(x))[0, 0, 0, :, 0]
    np.testing.assert_array_equal(maxima, [2, 3, 3, -FLT_MAX])
    means = np.asarray(Pooling3D("AVE", (1, 2, 2), pad=1)(x))[0, 0, 1, :, 0]
    np.testing.assert_array_equal(means, [0.5, 1.5, 2.5, 1.5])


@pytest.mark.parametrize(
    ("layer", "gradient"),
    [(Pooling3D("MAX", (1, 2, 2)), [1, 1, 1, 0]), (NdPooling("MAX", (1, 2, 2)), [1, 0, 0, 0])],
)
def test_ties(layer: Any, gradient: list[float]) -> None:
    x = tf.constant(np.float32([3, 3, 3, 1]).reshape(1, 1, 2, 2, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert float(y[0, 0, 0, 0, 0]) == 3
    np.testing.assert_array_equal(np.ravel(tape.gradient(y, x)), gradient)


def test_maxima_that_are_not_finite() -> None:
    x = np.float32([np.nan, 1, np.inf, 2, -np.inf, np.nan]).reshape(1, 1, 1, 6, 1)
    for layer in (Pooling3D("MAX", (1, 1, 2), 2), NdPooling("MAX", (1, 1, 2), 2)):
        np.testing.assert_array_equal(np.ravel(layer(x)), [1, np.inf, -FLT_MAX])


def test_axes_of_size_1_are_dropped() -> None:
    text = 'type: "NdConvolution" convolution_param { num_output: 2 kernel_shape { dim: 4 dim: 2 dim: 2 } }'
    assert tops(text, (1, 3, 4, 5, 6)) == [(1, 2, 4, 5)]
    assert tops(text, (1, 3, 5, 2, 2)) == [(1, 2, 2)]
    layer, _ = make(text.replace("dim: 4", "dim: 1"), (1, 3, 1, 5, 6))
    assert layer(np.ones((1, 1, 5, 6, 3), "float32")).shape == (1, 4, 5, 2)


@pytest.mark.parametrize(
    ("text", "shape", "error", "reason"),
    [
        (CONV % ("Convolution3D", ""), (2, 3, 5, 5), ShapeError, "Convolution3D needs bottoms with 5 axes"),
        (CONV % ("Convolution3D", "pad: 0"), (2, 3, 1, 1, 5), ShapeError, "the output would have a negative size"),
        (POOL3D % "pool: STOCHASTIC", SHAPE_3D, LayerError, "unknown pool"),
        (POOL3D % "pad: 2", SHAPE_3D, ShapeError, "a kernel larger than its pad"),
        (POOL3D % "stride: 1", (2, 3, 4, 1, 5), ShapeError, "Pooling3D has no windows"),
        ('type: "Pooling3D" pooling3d_param { kernel_size: 2 }', SHAPE_3D, LayerError, "kernel_depth is missing"),
        ('type: "NdPooling"', SHAPE_3D, LayerError, "kernel_shape is missing"),
        ('type: "NdPooling" pooling_param { kernel_shape { dim: 2 } }', SHAPE_3D, LayerError, "expected 3 dims"),
        ('type: "NdPooling" pooling_param { kernel_size: 2 }', SHAPE_3D, LayerError, "Write kernel_shape"),
        ('type: "NdConvolution" convolution_param { num_output: 1 pad: 2 }', SHAPE_3D, LayerError, "Write pad_shape"),
        (
            'type: "NdConvolution" convolution_param { num_output: 1 kernel_shape { dim: [1, 1, 1] } dilation: 2 }',
            SHAPE_3D,
            LayerError,
            "NdConvolution has no dilation",
        ),
        (
            'type: "Convolution" convolution_param { num_output: 1 kernel_shape { dim: 2 } }',
            SHAPE_3D,
            LayerError,
            "kernel_shape is for NdConvolution and NdPooling. Write kernel_size",
        ),
        ('type: "Im2col" convolution_param { stride_shape { } }', SHAPE_3D, LayerError, "Write stride"),
        ('type: "Pooling" pooling_param { pad_shape { dim: 2 } }', (1, 1, 4, 4), LayerError, "Write pad"),
    ],
)
def test_refused(text: str, shape: tuple[int, ...], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(text, shape)
