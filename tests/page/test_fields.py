"""Receptive fields, against gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import load, view
from keras_caffe.page.fields import Field, as_text, fields
from scripts.benchmarks import nets

SIZE = 41
SHAPE = f"shape {{ dim: 1 dim: 1 dim: {SIZE} dim: {SIZE} }}"
INPUT = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ {SHAPE} }} }}'


def conv(name: str, bottom: str, kind: str = "Convolution", **sizes: int) -> str:
    words = " ".join(f"{key}: {value}" for key, value in sizes.items())
    filler = 'weight_filler { type: "constant" value: 1 }'
    return f"""layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}"
      convolution_param {{ num_output: 1 {words} {filler} }} }}"""


def pool(name: str, bottom: str, words: str) -> str:
    edges = f'bottom: "{bottom}" top: "{name}"'
    return f'layer {{ name: "{name}" type: "Pooling" {edges} pooling_param {{ pool: AVE {words} }} }}'


NETS = {
    "branches": INPUT
    + conv("a", "data", kernel_size=5, stride=2)
    + pool("p", "a", "kernel_size: 3 stride: 2 pad: 1")
    + conv("small", "p", kernel_size=1)
    + conv("large", "p", kernel_size=3, pad=2, dilation=2)
    + 'layer { name: "norm" type: "LRN" bottom: "p" top: "norm"'
    + " lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 } }"
    + 'layer { name: "both" type: "Eltwise" bottom: "small" bottom: "large" top: "both" }',
    "up and down": INPUT
    + conv("a", "data", kernel_size=3, stride=2, pad=1)
    + conv("b", "a", kernel_size=3, stride=2, pad=1)
    + conv("up", "b", "Deconvolution", kernel_size=4, stride=2, pad=1)
    + conv("c", "up", kernel_size=3, pad=1),
}


def seen(model: Any, blob: str, position: int) -> tuple[int, int]:
    """The first and the last pixel along an axis that a position of a blob depends on."""
    pixels = tf.ones((1, *model.inputs[0].shape[1:]), model.inputs[0].dtype)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        value = model.extract([blob])(pixels)[blob][0, position, position]
    found = np.flatnonzero((tape.gradient(value, pixels).numpy()[0, :, :, 0] != 0).any(1))
    return int(found[0]), int(found[-1])


@pytest.mark.parametrize("name", NETS)
def test_what_a_position_sees_is_what_has_a_gradient(name: str) -> None:
    model = load(NETS[name], data_format="channels_last")
    found = fields(model.plan, "data@data")
    checked = 0
    for blob in list(model.blobs)[1:]:
        field = found[model.net.blobs[blob]][0]
        for position in range(model.caffe_shapes[blob][2] or 0):
            first = field.start + position * field.stride
            last = first + field.size - 1
            if first >= 0 and last < SIZE:  # the padding has no gradient
                mine = seen(model, blob, position)
                assert mine[0] >= first and mine[1] <= last
                if "Deconvolution" not in NETS[name]:  # of a deconvolution it is the most that a position may see
                    assert mine == (first, last), (blob, position)
                checked += 1
    assert checked > 8


def of_type(kind: str, words: str = "", more: str = "") -> str:
    column = "convolution_param { kernel_h: 5 kernel_w: 1 num_output: 1 }"
    return f"""{INPUT} layer {{ name: "a" type: "Convolution" bottom: "data" top: "a" {column} }}
      layer {{ name: "b" type: "{kind}" bottom: "a" top: "b" {words} }} {more}"""


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (of_type("Normalize", "norm_param { across_spatial: true }"), "the whole input"),
        (of_type("Normalize", "norm_param { across_spatial: false }"), "5 × 1 pixels"),
        (of_type("InstanceNorm"), "the whole input"),
        (of_type("GroupNorm", "group_norm_param { group_num: 1 }"), "the whole input"),
        (of_type("BatchNorm", "batch_norm_param { use_global_stats: false }"), "5 × 1 pixels"),  # as in papers
        (of_type("Softmax", "softmax_param { axis: 2 }"), "not known"),
        (of_type("Softmax"), "5 × 1 pixels"),
        (of_type("Permute", "permute_param { order: 0 order: 1 order: 3 order: 2 }"), "not known"),
        (of_type("Reverse", "reverse_param { axis: 2 }"), "not known"),
    ],
)
def test_layers_that_look_beyond_their_place(net: str, said: str) -> None:
    model = load(net)
    assert as_text(fields(model.plan, "data@data")[model.net.blobs["b"]]).startswith(said)


def test_a_page_of_correlations() -> None:
    second = INPUT.replace('"data"', '"other"')
    text = 'layer { name: "c" type: "Correlation" bottom: "data" bottom: "other" top: "c" correlation_param { %s } }'
    rules = "pad: 4 kernel_size: 1 max_displacement: 4 stride_1: 1 stride_2: 2"
    found = view(INPUT + second + text % rules).data["scenes"]["TEST"]["layers"]
    assert [layer["name"] for layer in found if "field" in layer] == ["data"]


# {net: (side of the picture, {blob: size and stride of its field})}; the last of AlexNet, VGG-16, MobileNet and ResNet
# as in Araujo, Norris, Sim, "Computing receptive fields of convolutional neural networks" (Distill 2019).
KNOWN = {
    "lenet": (28, {"conv2": (14, 2), "pool2": (16, 4)}),
    "cifar10_full": (80, {"pool2": (23, 4), "pool3": (55, 8)}),
    "alexnet": (400, {"conv5": (163, 16), "pool5": (195, 32)}),
    "caffenet": (400, {"conv5": (163, 16), "pool5": (195, 32)}),
    "vgg16": (420, {"conv5_3": (196, 16), "pool5": (212, 32)}),
    "googlenet": (800, {"inception_4a/output": (171, 16), "inception_5b/output": (715, 32)}),
    "squeezenet": (400, {"fire5/concat": (63, 8), "conv10": (207, 16)}),
    "mobilenet": (400, {"conv4_1/sep": (43, 8), "conv6/sep": (315, 32)}),
    "resnet50": (600, {"res3d": (99, 8), "res5c": (483, 32)}),
    "resnet152": (1600, {"res5b2": (1507, 32)}),
}


def narrowed(net: Any, side: int) -> Any:
    """The net with one channel everywhere, averages in place of maxima, and the sum of a window as its convolution.

    What a position sees is the same, and all of it has a gradient.
    """
    for layer in net.layer:
        if layer.type == "Input":
            layer.input_param.shape[0].dim[:] = [1, 1, side, side]
        elif layer.type == "Pooling":
            layer.pooling_param.pool = layer.pooling_param.AVE
        elif layer.type == "Convolution":
            layer.convolution_param.num_output = layer.convolution_param.group = 1
        elif layer.type == "InnerProduct":
            layer.inner_product_param.num_output = 1
    return net


@pytest.mark.parametrize("name", KNOWN)
def test_known_nets_see_what_has_a_gradient(name: str) -> None:
    side, blobs = KNOWN[name]
    model = load(narrowed(nets.NETS[name](1), side), data_format="channels_last", dtype="float64")
    ones = {layer: [np.ones_like(blob) for blob in params] for layer, params in model.get_caffe_params().items()}
    model.set_caffe_params(ones)
    found = fields(model.plan, "data@data")
    for blob, wanted in blobs.items():
        field = found[model.net.blobs[blob]][0]
        position = (model.caffe_shapes[blob][2] or 0) // 2
        first = field.start + position * field.stride
        assert (field.size, field.stride) == wanted
        assert seen(model, blob, position) == (first, first + field.size - 1)


def test_vgg_and_alexnet_as_published() -> None:
    """7x7 after three 3x3 convolutions (Simonyan, Zisserman 2014, section 2.3); AlexNet's pool5: 195, 32."""
    three = Field(1, 1, 0).through(3, 1, 1).through(3, 1, 1).through(3, 1, 1)
    assert three == (7, 1, 0)
    alexnet = Field(1, 1, 0)
    for layer in ((11, 4, 0), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0)):
        alexnet = alexnet.through(*layer)
    assert alexnet[:2] == (195, 32)


def test_what_is_not_a_window() -> None:
    model = load(
        INPUT
        + conv("a", "data", kernel_size=3)
        + pool("all", "a", "global_pooling: true")
        + 'layer { name: "fc" type: "InnerProduct" bottom: "a" top: "fc" inner_product_param { num_output: 2 } }'
        + 'layer { name: "flat" type: "Flatten" bottom: "a" top: "flat" }'
    )
    found = {blob: as_text(fields(model.plan, "data@data")[value]) for blob, value in model.net.blobs.items()}
    assert found == {
        "data": "1 × 1 pixels, stride 1, offset 0",
        "a": "3 × 3 pixels, stride 1, offset 1",
        "all": "the whole input",
        "fc": "the whole input",
        "flat": "not known",
    }
