"""Maps of positions between the tops of a NetSpec, and the crops that follow from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import NetError
from keras_caffe.pycaffe import NetSpec, coord_map
from keras_caffe.pycaffe import layers as L
from keras_caffe.pycaffe import params as P
from keras_caffe.pycaffe.coord_map import compose, coord_map_from_to, crop, inverse


def same(found: Any, axis: int | None, scale: Any, shift: Any) -> bool:
    return found[0] == axis and np.array_equal(found[1], scale) and np.array_equal(found[2], shift)


def net(kernel: Any = 3, stride: Any = 1, pad: Any = 0, pool: int = 2, up: int = 2, up_pad: int = 0) -> NetSpec:
    """Convolution, pooling and back up again by a kernel of twice the stride."""
    n = NetSpec()
    n.data = L.Input(shape={"dim": [2, 1, 100, 100]})
    n.conv = L.Convolution(n.data, num_output=10, kernel_size=kernel, stride=stride, pad=pad)
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=pool, stride=pool)
    n.deconv = L.Deconvolution(n.pool, num_output=10, kernel_size=2 * up, stride=up, pad=up_pad)
    return n


def fcn() -> NetSpec:
    """The layers of Long et al.'s fully convolutional VGG-16 that change positions, with all of its heads."""
    n, top, pools = NetSpec(), L.Input(shape={"dim": [1, 3, 500, 500]}), []
    n.data = top
    for block, depth in enumerate((2, 2, 3, 3, 3)):
        for layer in range(depth):
            first = block == layer == 0
            top = L.ReLU(L.Convolution(top, num_output=8, kernel_size=3, pad=100 if first else 1), in_place=True)
        top = L.Pooling(top, kernel_size=2, stride=2)
        pools.append(top)
    n.score_fr = L.Convolution(L.Convolution(top, num_output=8, kernel_size=7), num_output=2, kernel_size=1)
    score_pool4, score_pool3 = (L.Convolution(pools[i], num_output=2, kernel_size=1) for i in (3, 2))
    n.upscore32 = L.Deconvolution(n.score_fr, convolution_param={"num_output": 2, "kernel_size": 64, "stride": 32})
    n.upscore2 = L.Deconvolution(n.score_fr, convolution_param={"num_output": 2, "kernel_size": 4, "stride": 2})
    n.score_pool4c = crop(score_pool4, n.upscore2)
    fused = L.Eltwise(n.upscore2, n.score_pool4c)
    n.upscore16 = L.Deconvolution(fused, convolution_param={"num_output": 2, "kernel_size": 32, "stride": 16})
    n.upscore_pool4 = L.Deconvolution(fused, convolution_param={"num_output": 2, "kernel_size": 4, "stride": 2})
    n.score_pool3c = crop(score_pool3, n.upscore_pool4)
    fused = L.Eltwise(n.upscore_pool4, n.score_pool3c)
    n.upscore8 = L.Deconvolution(fused, convolution_param={"num_output": 2, "kernel_size": 16, "stride": 8})
    for head in (32, 16, 8):
        n[f"score{head}"] = crop(n[f"upscore{head}"], n.data)
    return n


def test_the_offsets_of_the_published_fcns() -> None:
    layers = {layer.name: layer.crop_param for layer in fcn().to_proto().layer}
    offsets = {"score32": 19, "score_pool4c": 5, "score16": 27, "score_pool3c": 9, "score8": 31}
    assert {name: list(layers[name].offset) for name in offsets} == {name: [x] for name, x in offsets.items()}
    assert {layers[name].axis for name in offsets} == {2}


def test_their_scores_have_the_image_size() -> None:
    spec = fcn()
    spec.data.fn.params["shape"] = {"dim": [1, 3, 60, 80]}
    text = str(spec.to_proto())
    shapes = {name: blob.shape for name, blob in caffe.Net(text, caffe.TEST).blobs.items()}
    assert shapes["score32"] == shapes["score16"] == shapes["score8"] == (1, 2, 60, 80)


def test_down_and_up_again() -> None:
    n = net()
    assert same(coord_map_from_to(n.deconv, n.data), 1, [1], [0])
    n = net(pool=4, up=4)
    assert same(coord_map_from_to(n.deconv, n.data), 1, [1], [-1])
    n = net(kernel=5, stride=2, pad=1)
    assert same(coord_map_from_to(n.data, n.conv), 1, [1 / 2], [-1 / 2])
    assert same(coord_map_from_to(n.conv, n.data), 1, [2], [1])


def test_padding_and_dilation() -> None:
    for pad, up_pad in ((0, 0), (3, 0), (0, 3), (3, 3)):
        n = net(pad=pad, up_pad=up_pad)
        assert same(coord_map_from_to(n.deconv, n.data), 1, [1], [up_pad - pad])
    x = L.Input(shape={"dim": [1, 1, 9, 9]})
    assert same(coord_map.coord_map(L.Convolution(x, kernel_size=3, dilation=4, pad=1).fn), 1, [1], [-3])
    assert same(coord_map.coord_map(L.Convolution(x, kernel_size=3, hole=4, pad=1).fn), 1, [1], [-3])


def test_each_axis_has_its_own() -> None:
    both = net(kernel=[3, 5], stride=[1, 2], pad=[0, 10])
    _, scale, shift = coord_map_from_to(both.deconv, both.data)
    for axis, one in enumerate((net(3, 1, 0), net(5, 2, 10))):
        assert same(coord_map_from_to(one.deconv, one.data), 1, scale[axis : axis + 1], shift[axis : axis + 1])
    h_w = L.Convolution(both.data, kernel_h=3, kernel_w=5, stride_h=1, stride_w=2, pad_h=0, pad_w=10)
    assert same(coord_map_from_to(h_w, both.conv), 1, [1, 1], [0, 0])
    solid = L.Convolution(L.Input(), kernel_size=[3, 3, 3], pad=[0, 1, 2])
    assert same(coord_map.coord_map(solid.fn), 1, [1], [-1, 0, 1])


def test_element_wise_layers_change_nothing() -> None:
    n = net()
    relu = L.ReLU(L.BatchNorm(n.deconv), in_place=True)
    assert same(coord_map_from_to(relu, n.deconv), None, 1, 0)
    assert list(crop(relu, n.deconv).fn.message().crop_param.offset) == [0]


def test_every_top_of_a_layer_is_mapped_alike() -> None:
    one, two = L.Input(ntop=2)
    tops = L.Convolution(one, two, ntop=2, kernel_size=5, stride=2)
    assert same(coord_map_from_to(tops[0], one), 1, [2], [2])
    assert same(coord_map_from_to(tops[1], two), 1, [2], [2])


def test_crops_are_followed_by_their_first_bottom() -> None:
    n = net()
    cropped = L.Crop(n.deconv, L.ReLU(n.conv), axis=2, offset=[4, 7])
    assert same(coord_map_from_to(cropped, n.data), 1, [1], [4, 7])
    size_only = L.Crop(L.Input(), n.data)
    with pytest.raises(coord_map.UnconnectedException, match="from a top of Crop to one of Input"):
        coord_map_from_to(size_only, n.data)


def test_maps_are_composed_and_inverted() -> None:
    first, then = (1, 2.0, 3.0), (None, 4.0, 5.0)
    assert compose(then, first) == (1, 8.0, 17.0)
    assert compose(first, inverse(first)) == (1, 1.0, 0.0)
    with pytest.raises(coord_map.AxisMismatchException, match="expected 1; received 2"):
        compose(first, (2, 1, 0))


def test_a_deep_net_of_branches_takes_no_time() -> None:
    data = top = L.Input(shape={"dim": [1, 1, 9, 9]})
    for _ in range(200):
        top = L.Eltwise(top, L.Convolution(top, kernel_size=3, pad=1))
    assert same(coord_map_from_to(top, data), None, 1, 0)


@pytest.mark.parametrize(
    ("top", "reason", "kind", "usual"),
    [
        (
            lambda n: L.InnerProduct(n.deconv, num_output=2),
            "from a top of InnerProduct",
            coord_map.UnconnectedException,
            RuntimeError,
        ),
        (
            lambda n: L.Pooling(n.data, global_pooling=True),
            "from a top of Pooling",
            coord_map.UnconnectedException,
            RuntimeError,
        ),
        (lambda n: n.pool, "differ in scale", coord_map.CropException, AssertionError),
        (
            lambda n: L.Deconvolution(n.pool, kernel_size=4, stride=2, pad=9),
            r"offset; .* received \[-",
            coord_map.CropException,
            AssertionError,
        ),
        (
            lambda n: L.Deconvolution(n.pool, kernel_size=5, stride=2),
            r"offset; .* received .*\.5",
            coord_map.CropException,
            AssertionError,
        ),
        (
            lambda n: L.Crop(n.deconv, n.data, axis=3),
            "maps of different axes",
            coord_map.AxisMismatchException,
            NetError,
        ),
    ],
    ids=["inner product", "global pooling", "scale", "negative", "half", "axis"],
)
def test_what_no_crop_can_do(top: Any, reason: str, kind: type, usual: type) -> None:
    """The exceptions are also those that Caffe raises."""
    n = net()
    with pytest.raises(kind, match=reason) as error:
        crop(top(n), n.data)
    assert isinstance(error.value, usual) and isinstance(error.value, NetError)


def test_layers_without_a_map_are_named() -> None:
    with pytest.raises(coord_map.UndefinedMapException, match="InnerProduct"):
        coord_map.coord_map(L.InnerProduct(L.Input(), num_output=2).fn)
