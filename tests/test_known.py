"""keras_caffe.known: famous nets by their layers."""

from __future__ import annotations

import pytest

import keras_caffe
from keras_caffe import known, samples
from keras_caffe.cli import main
from keras_caffe.converters.definition import read_definition
from tests.shared_goldens import MODELS, needs_models


def net(known_net: known.Known):
    """A message with the layers that a net is recognised by."""
    sizes = known_net.layers.items()
    text = "".join(
        f'layer {{ name: "{name}" type: "Convolution" convolution_param {{ num_output: {size or 7} }} }}'
        for name, size in sizes
    )
    return read_definition(text)


@pytest.mark.parametrize("one", known.NETS, ids=lambda one: one.name)
def test_each_is_recognised_as_itself(one: known.Known) -> None:
    found = known.recognise(net(one))
    assert found is not None
    assert found.name == one.name


def test_nothing_is_made_up() -> None:
    assert known.recognise(read_definition('layer { name: "conv1" type: "ReLU" }')) is None


ALEXNET = "conv1 96 11, conv2 256 5, conv3 384 3, conv5 256 3, fc6 4096 1, fc7 4096 1, fc8 1000 1"
VGG = "conv1_1 64 3, conv2_1 128 3, conv3_3 256 3, conv5_3 512 3, fc6 4096 1, fc7 4096 1, fc8 1000 1"
LENET = "conv1 20 5, conv2 50 5, ip1 500 1, ip2 10 1"
SSD = "conv1_1 64 3, conv4_3_norm 1 1, conv4_3_norm_mbox_loc {} 3, fc7_mbox_loc {} 3"
RESNET = "conv1 64 7, res2a_branch1 256 1, res3a_branch2a 128 1{}, res4f_branch2c 1024 1, res5c_branch2c 2048 1"
RPN = "rpn_cls_score 18 1, rpn_bbox_pred 36 1, cls_score 21 1, bbox_pred 84 1"
NAMESAKES = {
    "AlexNet": (ALEXNET, "CaffeNet or AlexNet"),
    "ZFNet": (ALEXNET.replace("96 11", "96 7"), None),
    "AlexNet with batches normalised": (ALEXNET + ", bn1 BatchNorm", None),
    "LRCN on AlexNet": (ALEXNET + ", lstm1 LSTM, predict 8801 1", None),
    "VGG-16": (VGG, "VGG-16"),
    "VGG-16 with NVIDIA's BN": (VGG + ", bn1 BN", None),
    "LeNet": (LENET, "LeNet"),
    "siamese": (LENET + ", feat 2 1", None),
    "SSD": (SSD.format(16, 24), "SSD (VGG-16)"),
    "TextBoxes": (SSD.format(48, 48), None),
    "S3FD": (SSD.format(4, 4), None),
    "ResNet-50": (RESNET.format(" 2") + ", bn BatchNorm, fc1000 1000 1", "ResNet-50"),
    "ResNet-50 of Facebook": (RESNET.format(" 1") + ", bn BatchNorm, fc1000 1000 1", None),
    "Faster R-CNN": (f"rpn_conv1 256 3, {RPN}", "Faster R-CNN"),
    "PVANET": (f"convf 256 1, rpn_conv1 384 3, {RPN}", None),
}


def of_layers(text: str):
    """A message of layers "name outputs kernel stride" or "name type"."""
    layers = ""
    for name, *rest in map(str.split, text.split(",")):
        fields = ""
        if rest[0].isdigit():
            fields = " ".join(map("{}: {}".format, ("num_output", "kernel_size", "stride"), rest))
            rest = ["Convolution"]
        layers += f'layer {{ name: "{name}" type: "{rest[0]}" convolution_param {{ {fields} }} }}'
    return read_definition(layers)


@pytest.mark.parametrize(("layers", "name"), NAMESAKES.values(), ids=NAMESAKES)
def test_nets_whose_layers_are_called_as_those_of_others(layers: str, name: str | None) -> None:
    found = known.recognise(of_layers(layers))
    assert (found and found.name) == name


@pytest.mark.parametrize(("layers", "size"), [(VGG, (224, 224)), (VGG.replace("fc6 4096 1", "fc6 4096 7"), None)])
def test_inner_products_as_convolutions_take_any_size(layers: str, size: tuple[int, int] | None) -> None:
    found = known.recognise(of_layers(layers))
    assert found is not None
    assert (found.name, found.size, "any size" in str(found)) == ("VGG-16", size, size is None)


def test_what_the_publishers_say() -> None:
    found = known.recognise(keras_caffe.load(samples.path("lenet.prototxt")))
    assert found is not None
    assert (found.name, found.channels, found.scale, found.size) == ("LeNet", "grey", 1 / 256, (28, 28))
    assert "examples/mnist" in str(found)


def test_commands_print_it_as_a_suggestion(tmp_path, capsys) -> None:
    arguments = [str(samples.path(f"lenet.{suffix}")) for suffix in ("prototxt", "caffemodel")]
    assert main(["convert", *arguments, "-o", str(tmp_path / "net.keras")]) == 0
    said = capsys.readouterr()
    assert "this looks like LeNet: grey" in said.out and "looks like" not in said.err
    assert main(["export", *arguments, "-o", str(tmp_path / "net.onnx"), "--format", "onnx"]) == 0
    assert "note: this looks like LeNet: grey" in capsys.readouterr().err


def test_the_report_of_loading_names_it() -> None:
    report = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")).load_report
    assert report.known.startswith("LeNet: grey 0 to 255")
    assert str(report).splitlines() == [f"this looks like {report.known}", "4 layers loaded"]
    assert keras_caffe.load('layer { name: "x" type: "Input" top: "x" }').load_report.known == ""


@needs_models
@pytest.mark.parametrize(
    ("folder", "name"),
    [("mtcnn_det1", "MTCNN det1"), ("mtcnn_det2", "MTCNN det2"), ("mtcnn_det3", "MTCNN det3"), ("lenet_v1", "LeNet")]
    + [("cifar10_full_v1", "cifar10_full"), ("cifar10_quick_v1", "cifar10_quick")],
)
def test_trained_nets(folder: str, name: str) -> None:
    file = next(iter(sorted((MODELS / folder).glob("*.prototxt"))))
    found = known.recognise(read_definition(file))
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("one", known.NETS, ids=lambda one: one.name)
def test_a_mean_picture_is_not_nothing(one: known.Known) -> None:
    assert ("minus the mean picture" in str(one)) == (one.mean is None)
    assert ("minus" not in str(one)) == (one.name == "LeNet")
