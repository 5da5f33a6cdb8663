"""The layers of C3D and video-caffe: sizes, windows beyond the input, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import load
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Convolution3D, Deconvolution3D, NdConvolution, NdPooling, Pooling3D
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe, make, tops
from tests.nets import net_with
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
    Case(
        "NdPooling",
        NdPooling("AVE", (2, 2, 2), 2, (0, 1, 1), rule="POOLING"),
        [VIDEO],
        refused=[({"rule": "INTEL"}, "unknown rule; expected one of NDPOOLING, POOLING; received 'INTEL'")],
    ),
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


def pooled_over_three_axes(x: np.ndarray, pool: str, kernel: Any, stride: Any, pad: Any) -> np.ndarray:
    """Intel's Pooling of (N, C, L, H, W), window by window."""
    out = []
    for size, k, s, p in zip(x.shape[2:], kernel, stride, pad, strict=True):
        count = math.ceil((size + 2 * p - k) / s) + 1
        out.append(count - 1 if any(pad) and (count - 1) * s >= size + p else count)
    top = np.zeros((*x.shape[:2], *out), "float32")
    for place in np.ndindex(*out):
        starts = [at * s - p for at, s, p in zip(place, stride, pad, strict=True)]
        ends = [min(a + k, n + p) for a, k, n, p in zip(starts, kernel, x.shape[2:], pad, strict=True)]
        inside = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(starts, ends, x.shape[2:], strict=True))
        window = x[(slice(None), slice(None), *inside)]
        area = math.prod(b - a for a, b in zip(starts, ends, strict=True))
        found = window.max((2, 3, 4)) if pool == "MAX" else window.sum((2, 3, 4)) / area
        top[(slice(None), slice(None), *place)] = found
    return top


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [((2, 2, 2), (2, 2, 2), (0, 0, 0)), ((3, 3, 3), (2, 2, 2), (1, 1, 1)), ((2, 3, 3), (2, 2, 3), (0, 1, 0))],
)
def test_pooling_of_five_axes_is_that_of_intels_caffe(pool: str, kernel: Any, stride: Any, pad: Any) -> None:
    x = np.random.default_rng(7).normal(size=(2, 3, 5, 7, 6)).astype("float32")
    sizes = {"kernel_size_3d": kernel, "stride_3d": stride, "pad_3d": pad}
    fields = " ".join(f"{name}: {number}" for name, numbers in sizes.items() for number in numbers)
    text = net_with("Pooling", x.shape, param=f"pooling_param {{ pool: {pool} {fields} }}")
    want = pooled_over_three_axes(x, pool, kernel, stride, pad)
    for shapes in (None, {"x0": (None, 3, None, None, None)}):
        model = load(text, data_format="channels_first", input_shapes=shapes)
        np.testing.assert_allclose(model(x), want, rtol=1e-5, atol=1e-6)


def test_pooling_of_five_axes_over_all_and_what_it_refuses() -> None:
    x = np.random.default_rng(7).normal(size=SHAPE_3D).astype("float32")
    layer = from_caffe('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', SHAPE_3D)
    top = layer(np.moveaxis(x, 1, -1))
    np.testing.assert_allclose(np.ravel(top), x.mean((2, 3, 4)).ravel(), rtol=1e-5, atol=1e-6)
    for fields, message in (
        ("kernel_size: 2 pad_3d: 1", "kernel_size is for planes, .* Write kernel_size_3d."),
        ("pad_h: 1 kernel_size_3d: 2", "pad_h is for planes, .* Write pad_3d."),
        ("stride_3d: 2", "kernel_size_3d is missing"),
        ("kernel_size_3d: [2, 2]", "kernel_size_3d must be given once or once per axis; expected 1 or 3 values"),
        ("kernel_size_3d: 2 global_pooling: true", "global_pooling takes the kernel from the bottom"),
    ):
        with pytest.raises(LayerError, match=message):
            from_caffe(f'type: "Pooling" pooling_param {{ {fields} }}', SHAPE_3D)
    with pytest.raises(LayerError, match="kernel_size_3d is for a Pooling whose bottom has five axes"):
        from_caffe('type: "Pooling" pooling_param { kernel_size: 2 kernel_size_3d: 2 }', (2, 3, 5, 5))
