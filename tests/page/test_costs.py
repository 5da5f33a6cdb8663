"""Parameters, operations and memory, against published counts."""

from __future__ import annotations

import warnings

import pytest

from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.graph import graph
from keras_caffe.converters.infer import infer
from keras_caffe.converters.load import PlanSettings
from keras_caffe.page.costs import peak_memory
from keras_caffe.page.layers import described
from keras_caffe.page.scene import scene
from tests.page.nets import BLOCKS
from tests.shared_goldens import WILD, needs_wild

# {file: (input, parameters in million, products in million)} of convolutions and inner products for one picture.
# Gschwend, "ZynqNet" (ETH Zurich 2016), and the table of his Netscope analyser: AlexNet, VGG-16, GoogLeNet,
# SqueezeNet; torchvision's table of models: ResNet-50 with its strides in the 3x3 convolutions, as in this file; Howard
# et al., "MobileNets" (2017), table 8. GoogLeNet is counted without its auxiliary classifiers.
PUBLISHED = {
    "NVIDIA__caffe__models__bvlc_alexnet__train_val": (227, 60.97, 724.4),
    "NVIDIA__caffe__models__vgg16__train_val": (224, 138.36, 15470),
    "NVIDIA__caffe__models__bvlc_googlenet__train_val": (224, 7.0, 1600),
    "intel__caffe__examples__model_optimization__models__Facebook_ResNet_50__Baseline__train_val": (224, 25.557, 4089),
    "DeepScale__SqueezeNet__SqueezeNet_v1.0__deploy": (0, 1.248, 861.3),
    "PaddlePaddle__X2Paddle__test_benchmark__Caffe__MobileNetV1__mobilenet_deploy": (0, 4.2, 569),
}


@needs_wild
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    size, parameters, products = PUBLISHED[name]
    shapes = {"data": (1, 3, size, size), "label": (1,)} if size else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        definition = read_definition(WILD / "prototxts" / f"{name}.prototxt")
    layers = described(scene(definition, PlanSettings(input_shapes=shapes), "TEST", 0, ()))
    counted = [
        one
        for one in layers
        if one["kind"] in ("convolution", "dense") and not one["name"].startswith(("loss1", "loss2"))
    ]
    batch = int(layers[0]["shapes"][0][1].split(" ")[0])
    biases = sum(one["top_bytes"] // 4 for one in counted if len(one["blobs"]) > 1)
    assert sum(one["parameters"] for one in counted) / 1e6 == pytest.approx(parameters, rel=0.005)
    assert (sum(one["flops"] for one in counted) - biases) / 2e6 / batch == pytest.approx(products, rel=0.012)


def test_the_peak_is_what_is_held_at_once() -> None:
    net = infer(graph(read_definition(BLOCKS).select().message))
    conv, half = 4 * 8 * 30 * 22, 4 * 4 * 30 * 22  # bytes of conv1, and of each of its two readers
    # conv1 is let go of once mix_a/3x3 has read it; then the two and their Concat, which is as large as both, are held.
    assert peak_memory(net) == (conv + 2 * half, "mix_a/3x3")
    assert 2 * half + 2 * half == conv + 2 * half
