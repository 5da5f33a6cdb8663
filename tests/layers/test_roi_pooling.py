"""Pooling of regions against plain loops, where the goldens do not reach: large windows, many images, open sizes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import pycaffe
from keras_caffe.converters.load import load
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import PSROIPooling, ROIAlign, ROIPooling
from keras_caffe.ops.roi import round_away
from tests.layers.cases import SHAPE, Case
from tests.layers.regions import regions
from tests.nets import net_with

CASES = [
    Case("ROIPooling", ROIPooling(2, 3), [SHAPE, (None, 5)]),
]

F = np.float32


def c_round(value: float) -> float:
    return math.copysign(math.floor(abs(value) + 0.5), value)


def cut(value: float, size: int) -> int:
    return int(min(max(value, 0), size))


def by_loops(x: np.ndarray, rois: np.ndarray, pooled: tuple[int, int], scale: float) -> np.ndarray:
    top = np.zeros((len(rois), *pooled, x.shape[-1]), "float32")
    for r, roi in enumerate(rois):
        x1, y1, x2, y2 = (c_round(v * F(scale)) for v in roi[1:])
        high, wide = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        for i, j in np.ndindex(*pooled):
            h0, h1 = (cut(e + y1, x.shape[1]) for e in (i * high // pooled[0], -(-(i + 1) * high // pooled[0])))
            w0, w1 = (cut(e + x1, x.shape[2]) for e in (j * wide // pooled[1], -(-(j + 1) * wide // pooled[1])))
            if h0 < h1 and w0 < w1:
                top[r, i, j] = x[int(roi[0]), h0:h1, w0:w1].max((0, 1))
    return top


@pytest.mark.parametrize("count", range(1, 9))
def test_bins_are_the_same_in_a_graph(count: int) -> None:
    """Graphs would multiply by 1 / count, which rounds otherwise than Caffe's division."""
    x = np.random.default_rng(2).standard_normal((1, 2, 64, count**2)).astype("float32")
    rois = np.array([(0, 0, 0, width, 1) for width in range(64)], "float32")
    for layer in (ROIPooling(1, count), PSROIPooling(1, count, 1.0), ROIAlign(pooled_h=1, pooled_w=count)):
        np.testing.assert_allclose(tf.function(layer)([x, rois]), layer([x, rois]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooled", [(1, 1), (2, 3), (7, 7)])
def test_equals_plain_loops(pooled: tuple[int, int]) -> None:
    x = np.random.default_rng(1).standard_normal((3, 30, 41, 2)).astype("float32")
    rois = regions(20, 3, 160)
    got = ROIPooling(*pooled, 0.25)([x, rois])
    np.testing.assert_array_equal(got, by_loops(x, rois, pooled, 0.25))


def test_the_gradient_goes_to_the_first_of_equal_maxima() -> None:
    x = tf.Variable(tf.zeros((1, 20, 30, 1)))
    with tf.GradientTape() as tape:
        top = ROIPooling(1, 1)([x, tf.constant([[0.0, 2, 3, 28, 18]])])
    want = np.zeros((1, 20, 30, 1))
    want[0, 3, 2] = 1
    np.testing.assert_array_equal(tf.convert_to_tensor(tape.gradient(top, x)), want)


@pytest.mark.parametrize("layer", [ROIPooling(2, 2), PSROIPooling(1, 2, 1.0)], ids=["max", "mean"])
def test_open_sizes(layer: Any) -> None:
    spec = [tf.TensorSpec((None, None, None, 4)), tf.TensorSpec((None, 5))]
    run = tf.function(layer, input_signature=[spec])
    x = np.random.default_rng(2).standard_normal((2, 9, 11, 4)).astype("float32")
    for count in (0, 1, 6):
        rois = regions(count, 2, 10)
        np.testing.assert_allclose(run([x, rois]), layer([x, rois]), rtol=1e-6)
    channels = 4 if isinstance(layer, ROIPooling) else 1
    assert layer.compute_output_shape([(None, None, None, 4), (None, 5)]) == (None, 2, 2, channels)


def test_half_precision_keeps_the_corners() -> None:
    x = np.zeros((1, 1, 2100, 1), "float16")
    x[0, 0, 2051] = 1
    layer = ROIPooling(1, 1, dtype="mixed_float16")
    top = layer([tf.constant(x), tf.constant([[0.0, 2051, 0, 2051, 0]])])  # In half precision 2051 is 2052.
    assert top.dtype == tf.float16
    assert float(top[0, 0, 0, 0]) == 1


def test_rounding() -> None:
    values = [0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, 3.2, -3.7]
    np.testing.assert_array_equal(round_away(tf.constant(values)), [1, -1, 2, 3, -3, 0, 3, -4])


REGION_LAYERS = {
    "ROIPooling": "roi_pooling_param { pooled_h: 2 pooled_w: 2 }",
    "ROIAlign": "roi_align_param { pooled_h: 2 pooled_w: 2 }",
    "ROIWarping": "roi_warping_param { pooled_h: 2 pooled_w: 2 }",
    "PSROIPooling": "psroi_pooling_param { output_dim: 1 group_size: 2 spatial_scale: 1 }",
    "DeformablePSROIPooling": "deformable_psroi_pooling_param { output_dim: 1 group_size: 2 spatial_scale: 1 "
    "no_trans: true }",
}


@pytest.mark.parametrize("type", REGION_LAYERS)
def test_a_placeholder_for_the_regions_is_read_only_when_the_layer_runs(type: str) -> None:
    """Published nets declare `rois` as 1 x 4; their scripts resize it. Caffe's Reshape asks for the number alone."""
    text = net_with(type, (1, 4, 6, 6), (1, 4), param=REGION_LAYERS[type])
    x = np.random.default_rng(1).standard_normal((1, 4, 6, 6)).astype("float32")
    rois = regions(3, 1, 6)
    net = pycaffe.Net(text, pycaffe.TEST)
    assert net.blobs["y"].shape == (1, 1 if "PSROI" in type else 4, 2, 2)
    with pytest.raises(ShapeError, match="layer.*not a list of regions; expected 5 numbers for each.*received .1, 4."):
        net.forward()
    with pytest.raises(ShapeError, match="not a list of regions"):
        load(text, data_format="channels_first")([x, np.zeros((1, 4), "float32")])
    net.blobs["x1"].reshape(3, 5)
    whole = load(text, data_format="channels_first", input_shapes={"x1": (3, 5)})
    np.testing.assert_array_equal(net.forward(x0=x, x1=rois)["y"], whole([x, rois]))


@pytest.mark.parametrize("type", REGION_LAYERS)
@pytest.mark.parametrize("shape", [(3, 5, 1, 1), (3, 1, 5), (3, 6), (3, 2, 3, 1), (3, 1, 2, 3)])
def test_the_first_five_values_of_a_row_in_caffes_order_are_the_region(type: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).standard_normal((1, 4, 6, 6)).astype("float32")
    rows = np.zeros((3, math.prod(shape[1:])), "float32")
    rows[:, :5] = regions(3, 1, 6)
    whole, other = (
        load(net_with(type, (1, 4, 6, 6), form, param=REGION_LAYERS[type]), data_format="channels_first")
        for form in ((3, 5), shape)
    )
    np.testing.assert_array_equal(other([x, rows.reshape(shape)]), whole([x, rows[:, :5]]))


def test_refusals() -> None:
    def net(values: int, param: str) -> str:
        return net_with("ROIPooling", (1, 2, 8, 8), (3, values), param=f"roi_pooling_param {{ {param} }}")

    with pytest.raises(LayerError, match="pooled_w"):
        load(net(values=5, param="pooled_h: 2"))
    with pytest.raises(ShapeError, match="not a list of regions"):
        load(
            net_with("ROIPooling", (1, 2, 8, 8), (3, 5, 1, 1, 1), param="roi_pooling_param { pooled_h: 2 pooled_w: 2 }")
        )
    model = load(net(values=5, param="pooled_h: 2 pooled_w: 2"))
    with pytest.raises(LayerError, match="image index"):
        model({"x0": np.zeros((1, 8, 8, 2), "float32"), "x1": np.ones((3, 5), "float32")})
