"""The famous nets: recognised by their layers, with what their publishers say of the input. Facts only, no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

IMAGENET = (104.0, 117.0, 123.0)
VGG_MEAN = (103.939, 116.779, 123.68)
ILSVRC12 = "the 1000 classes of ILSVRC 2012 in the order of Caffe's synset_words.txt"
SHICAI: dict[str, Any] = {
    "mean": (103.94, 116.78, 123.68),
    "scale": 0.017,
    "labels": ILSVRC12,
    "ends": True,
    "normalised": True,
}
MEAN_PICTURE = (
    "trained with a picture as mean, imagenet_mean.binaryproto, of which these are the channels' rounded means"
)
VOC = "background, then the 20 classes of PASCAL VOC by the alphabet"


@dataclass(frozen=True)
class Known:
    """A famous net and its input, as its publishers describe them. This is only a suggestion; nothing applies it.

    Args:
        name: what the net is called.
        layers: {layer name: its num_output, or None if it has none} by which it is recognised. Where `labels` are
            classes (`ends`), the last one gives them.
        source: where the publishers say so.
        channels: "BGR", "RGB" or "grey".
        mean: what is subtracted, one number for each channel in that order; None for a picture.
        scale: what the difference is multiplied by.
        size: (height, width), or None where pictures of any size go in.
        labels: what the outputs stand for, in their order.
        note: what else there is to know.
        without: layers that the net does not have.
        kernels: {layer name: its kernel_size}, where other nets have the same names and numbers.
        strides: {layer name: its stride}, likewise.
        ends: nothing is learned behind the last layer of `layers`; else it is another net built on this one.
        normalised: whether it has layers that normalise by batches: with them most nets take other pictures.
    """

    name: str
    layers: Mapping[str, int | None]
    source: str
    channels: str = "BGR"
    mean: tuple[float, ...] | None = IMAGENET
    scale: float = 1.0
    size: tuple[int, int] | None = (224, 224)
    labels: str = ""
    note: str = ""
    without: tuple[str, ...] = field(default=(), repr=False)
    kernels: Mapping[str, int] = field(default_factory=dict, repr=False)
    strides: Mapping[str, int] = field(default_factory=dict, repr=False)
    ends: bool = field(default=False, repr=False)
    normalised: bool = field(default=False, repr=False)

    def __str__(self) -> str:
        size = f", {self.size[0]} x {self.size[1]}" if self.size else ", any size"
        scale = f", times {self.scale:g}" if self.scale != 1 else ""
        mean = ", minus the mean picture"
        if self.mean is not None:
            mean = f", minus {', '.join(f'{value:g}' for value in self.mean)}" if self.mean else ""
        rest = "".join(f"; {text}" for text in (self.labels and f"outputs: {self.labels}", self.note) if text)
        return f"{self.name}: {self.channels} 0 to 255{mean}{scale}{size}{rest} ({self.source})"


def _vgg(name: str, **last: int) -> Known:
    layers = {
        "conv1_1": 64,
        "conv2_1": 128,
        "conv3_3": 256,
        "conv5_3": 512,
        **last,
        "fc6": 4096,
        "fc7": 4096,
        "fc8": 1000,
    }
    without = () if last else ("conv3_4",)
    source = "gist.github.com/ksimonyan" if last else "gist.github.com/ksimonyan/211839e770f7b538e2d8"
    return Known(name, layers, source, mean=VGG_MEAN, labels=ILSVRC12, without=without, ends=True)


def _resnet(name: str, last: str) -> Known:
    layers = {"conv1": 64, "res2a_branch1": 256, "res5c_branch2c": 2048, f"{last}_branch2c": 1024, "fc1000": 1000}
    strides = {"res3a_branch2a": 2}  # Facebook's nets have it at branch2b, and are given other pictures
    note = "the published mean is a picture, ResNet_mean.binaryproto"
    rest: dict[str, Any] = {"labels": ILSVRC12, "strides": strides, "ends": True, "normalised": True}
    return Known(name, layers, "github.com/KaimingHe/deep-residual-networks", mean=None, note=note, **rest)


def _alexnet(name: str, source: str, classes: int, labels: str, **more: Any) -> Known:
    layers = {"conv1": 96, "conv2": 256, "conv3": 384, "conv5": 256, "fc6": 4096, "fc7": 4096, "fc8": classes}
    kernels = {"conv1": 11}  # ZFNet has 7, and is given other pictures
    return Known(name, layers, source, size=(227, 227), labels=labels, kernels=kernels, ends=True, **more)


def _fcn(name: str, first: str, outputs: int) -> Known:
    layers = {first: outputs, "fc6": 4096, "score_fr": None}
    source = "github.com/shelhamer/fcn.berkeleyvision.org, infer.py"
    return Known(name, layers, source, mean=(104.006988, 116.668768, 122.678914), size=None)


def _densenet(name: str, last: str) -> Known:
    layers = {"conv2_1/x1": None, f"{last}/x2": None, "fc6": 1000}
    return Known(name, layers, "github.com/shicai/DenseNet-Caffe, README.md", **SHICAI)


def _nin(**last: int) -> Known:
    note = "the mean is a picture, made of the training images"
    source = "gist.github.com/mavenlin/d802a5849de39225bcc6"
    return Known("NIN", {"conv1": 96, "cccp1": 96, **last}, source, mean=None, labels=ILSVRC12, note=note, ends=True)


BVLC, PLACES = "github.com/BVLC/caffe, models", "places.csail.mit.edu"
MTCNN: dict[str, Any] = {
    "source": "github.com/kpzhang93/MTCNN_face_detection_alignment, detect_face.m",
    "channels": "RGB",
    "mean": (127.5, 127.5, 127.5),
    "scale": 0.0078125,
    "note": "the publishers' code swaps height and width of the pictures",
}
CIFAR10: dict[str, Any] = {
    "source": "github.com/BVLC/caffe, examples/cifar10",
    "channels": "RGB",
    "mean": None,
    "size": (32, 32),
    "note": "the mean is a picture, mean.binaryproto, made of the training images",
    "ends": True,
    "normalised": True,  # as in cifar10_full_sigmoid_train_test_bn.prototxt
}
SHICAI_MOBILE = "github.com/shicai/MobileNet-Caffe, README.md"

NETS: tuple[Known, ...] = (
    Known("MTCNN det1", {"conv1": 10, "conv2": 16, "conv3": 32, "conv4-1": 2, "conv4-2": 4}, size=None, **MTCNN),
    Known("MTCNN det2", {"conv1": 28, "conv2": 48, "conv4": 128, "conv5-1": 2, "conv5-2": 4}, size=(24, 24), **MTCNN),
    Known("MTCNN det3", {"conv1": 32, "conv5": 256, "conv6-1": 2, "conv6-2": 4, "conv6-3": 10}, size=(48, 48), **MTCNN),
    Known(
        "OpenPose",
        {"conv4_4_CPM": 128, "Mconv1_stage2_L1": None},
        "github.com/CMU-Perceptual-Computing-Lab/openpose, src/openpose/utilities/openCv.cpp",
        mean=(128.0, 128.0, 128.0),
        scale=1 / 256,
        size=None,
    ),
    Known(
        "Faster R-CNN",
        {"rpn_cls_score": None, "rpn_bbox_pred": None, "cls_score": None, "bbox_pred": None},
        "github.com/rbgirshick/py-faster-rcnn, lib/fast_rcnn/config.py",
        mean=(102.9801, 115.9465, 122.7717),
        size=None,
        note="pictures are scaled so that the shorter side has 600 pixels, the longer one at most 1000",
        without=("convf", "convf_rpn"),  # of PVANET, which is given larger pictures
        normalised=True,
    ),
    Known(
        "MobileNet-SSD",
        {"conv0": 32, "conv11_mbox_loc": None, "conv17_2_mbox_loc": None},
        "github.com/chuanqi305/MobileNet-SSD, demo.py",
        mean=(127.5, 127.5, 127.5),
        scale=0.007843,
        size=(300, 300),
        normalised=True,
        labels=VOC,
    ),
    Known(
        "SSD (VGG-16)",
        {"conv1_1": 64, "conv4_3_norm": None, "conv4_3_norm_mbox_loc": 16, "fc7_mbox_loc": 24},
        "github.com/weiliu89/caffe, branch ssd",
        size=None,
        note="300 x 300 or 512 x 512, as the net says",
    ),
    Known(
        "DeepLab",
        {"conv1_1": 64, "fc6": None, "fc8_voc12": 21},
        "bitbucket.org/deeplab/deeplab-public",
        mean=(104.008, 116.669, 122.675),
        size=None,
        labels=VOC,
    ),
    _fcn("FCN", "conv1_1", 64),
    _fcn("FCN (AlexNet)", "conv1", 96),
    _vgg("VGG-19", conv3_4=256),
    _vgg("VGG-16"),
    _resnet("ResNet-152", "res4b35"),
    _resnet("ResNet-101", "res4b22"),
    _resnet("ResNet-50", "res4f"),
    Known(
        "GoogLeNet",
        {"conv1/7x7_s2": 64, "inception_3a/1x1": 64, "inception_5b/1x1": 384, "loss3/classifier": 1000},
        f"{BVLC}/bvlc_googlenet",
        labels=ILSVRC12,
        ends=True,
    ),
    Known(
        "SqueezeNet 1.0",
        {"conv1": 96, "fire2/squeeze1x1": 16, "fire9/expand3x3": 256, "conv10": 1000},
        "github.com/forresti/SqueezeNet, train_val.prototxt",
        size=(227, 227),
        labels=ILSVRC12,
        ends=True,
    ),
    Known(
        "SqueezeNet 1.1",
        {"conv1": 64, "fire2/squeeze1x1": 16, "fire9/expand3x3": 256, "conv10": 1000},
        "github.com/forresti/SqueezeNet, train_val.prototxt",
        size=(227, 227),
        labels=ILSVRC12,
        ends=True,
    ),
    Known(
        "MobileNet v2",
        {"conv2_1/expand": 32, "conv6_4": 1280, "fc7": 1000},
        SHICAI_MOBILE,
        **SHICAI,
    ),
    Known("MobileNet v1", {"conv2_1/dw": 32, "conv6/sep": 1024, "fc7": 1000}, SHICAI_MOBILE, **SHICAI),
    _densenet("DenseNet-201", "conv4_48"),
    _densenet("DenseNet-161", "conv4_36"),
    _densenet("DenseNet-169", "conv5_32"),
    _densenet("DenseNet-121", "conv5_16"),
    Known(
        "SENet",
        {"conv2_1_global_pool": None, "conv2_1_1x1_down": None, "conv5_3_1x1_up": None, "classifier": 1000},
        "github.com/hujie-frank/SENet, models",
        labels=ILSVRC12,
        ends=True,
        normalised=True,
    ),
    _nin(cccp2=96, cccp8=1000),
    _nin(**{"cccp8-1024": 1000}),
    _alexnet("Places-CNN", PLACES, 205, "the 205 categories of Places", mean=None, note="the mean is a file of theirs"),
    _alexnet("Hybrid-CNN", PLACES, 1183, "205 places and 978 objects", mean=None, note="the mean is a file of theirs"),
    _alexnet(
        "Places365-CNN", PLACES, 365, "the 365 categories of Places2", mean=None, note="the mean is a file of theirs"
    ),
    Known(
        "R-CNN (ILSVRC 2013)",
        {"conv1": 96, "conv5": 256, "fc7": 4096, "fc-rcnn": 200},
        f"{BVLC}/bvlc_reference_rcnn_ilsvrc13",
        size=(227, 227),
        labels="the 200 classes of ILSVRC 2013, scores of an SVM",
        ends=True,
        note=MEAN_PICTURE,
    ),
    _alexnet("CaffeNet or AlexNet", f"{BVLC}/bvlc_reference_caffenet, bvlc_alexnet", 1000, ILSVRC12, note=MEAN_PICTURE),
    Known("cifar10_quick", {"conv1": 32, "conv2": 32, "conv3": 64, "ip1": 64, "ip2": 10}, **CIFAR10),
    Known("cifar10_full", {"conv1": 32, "conv2": 32, "conv3": 64, "ip1": 10}, **CIFAR10),
    Known(
        "LeNet",
        {"conv1": 20, "conv2": 50, "ip1": 500, "ip2": 10},
        "github.com/BVLC/caffe, examples/mnist",
        channels="grey",
        mean=(),
        scale=0.00390625,
        size=(28, 28),
        labels="the digits 0 to 9",
        ends=True,  # the siamese net goes on, and its outputs are no digits
    ),
)


def recognise(net: Any) -> Known | None:
    """Returns the famous net that this is, judged by the names and sizes of its layers, or None.

    Args:
        net: a loaded model, its `.net`, a plan, a definition, or a NetParameter.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> str(keras_caffe.known.recognise(model)).partition(";")[0]
        'LeNet: grey 0 to 255, times 0.00390625, 28 x 28'
    """
    net = getattr(net, "net", net)
    layers = getattr(net, "message", net).layer
    sizes = {layer.name: _size(layer) for layer in layers}
    kernels, strides = (_firsts(layers, field) for field in ("kernel_size", "stride"))
    normalised = any(layer.type in ("BatchNorm", "BN") for layer in layers)
    last = next((name for name, size in reversed(sizes.items()) if size), None)
    for known in NETS:
        met = all(name in sizes and wanted in (None, sizes[name]) for name, wanted in known.layers.items())
        met = met and all(kernels.get(name) in (None, size) for name, size in known.kernels.items())
        met = met and all(strides.get(name) in (None, size) for name, size in known.strides.items())
        met = met and not any(name in sizes for name in known.without)
        if met and known.normalised >= normalised and (not known.ends or last == [*known.layers][-1]):
            slides = any(name.startswith("fc") and kernels.get(name, 1) > 1 for name in known.layers)
            return replace(known, size=None) if slides else known
    return None


def _firsts(layers: Any, field: str) -> dict[str, int]:
    """{layer name: the first number of a convolution's field} where one is stated."""
    given = {layer.name: getattr(layer.convolution_param, field) for layer in layers}
    return {name: int(numbers[0]) for name, numbers in given.items() if numbers}


def _size(message: Any) -> int | None:
    """The num_output that a layer states."""
    for param in (message.convolution_param, message.inner_product_param):
        if param.num_output:
            return int(param.num_output)
    return None
