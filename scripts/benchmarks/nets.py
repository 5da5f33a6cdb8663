"""The nets that are measured, written in Caffe's own terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_caffe import proto

FILLER = {"type": "xavier"}


class Writer:
    """A NetParameter under construction: every method adds a layer to the blob it is given and returns its top.

    Args:
        name: the net's name.
        channels, size: of the square images in `data`.
        batch: images at a time.
    """

    def __init__(self, name: str, channels: int, size: int, batch: int) -> None:
        self.net = proto.NetParameter(name=name)
        shape = {"shape": [{"dim": [batch, channels, size, size]}]}
        self.net.layer.add(name="data", type="Input", top=["data"], input_param=shape)

    def add(self, type: str, name: str, *bottoms: str, top: str | None = None, **params: Mapping[str, Any]) -> str:
        self.net.layer.add(name=name, type=type, bottom=bottoms, top=[top or name], **params)
        return top or name

    def conv(self, x: str, name: str, outputs: int, kernel: int, *, bias: bool = True, **geometry: int) -> str:
        """A convolution without an activation; `geometry`: stride, pad, group."""
        repeated = {key: [geometry[key]] for key in ("stride", "pad") if key in geometry}
        return self.add(
            "Convolution",
            name,
            x,
            convolution_param={
                "num_output": outputs,
                "kernel_size": [kernel],
                "bias_term": bias,
                "group": geometry.get("group", 1),
                "weight_filler": FILLER,
                **repeated,
            },
        )

    def relu(self, x: str, name: str) -> str:
        return self.add("ReLU", name, x, top=x)

    def conv_relu(self, x: str, name: str, outputs: int, kernel: int, relu: str | None = None, **geometry: int) -> str:
        return self.relu(self.conv(x, name, outputs, kernel, **geometry), relu or name.replace("conv", "relu"))

    def pool(self, x: str, name: str, kernel: int, stride: int, *, kind: str = "MAX", pad: int = 0) -> str:
        return self.add(
            "Pooling", name, x, pooling_param={"pool": kind, "kernel_size": kernel, "stride": stride, "pad": pad}
        )

    def lrn(self, x: str, name: str, **lrn_param: Any) -> str:
        return self.add("LRN", name, x, lrn_param=lrn_param)

    def dense(self, x: str, name: str, outputs: int) -> str:
        return self.add("InnerProduct", name, x, inner_product_param={"num_output": outputs, "weight_filler": FILLER})

    def dropout(self, x: str, name: str, ratio: float = 0.5) -> str:
        return self.add("Dropout", name, x, top=x, dropout_param={"dropout_ratio": ratio})

    def softmax(self, x: str) -> Any:
        """Ends the net; returns the message."""
        self.add("Softmax", "prob", x)
        return self.net


def lenet(batch: int = 1) -> Any:
    net = Writer("LeNet", 1, 28, batch)
    x = net.pool(net.conv("data", "conv1", 20, 5), "pool1", 2, 2)
    x = net.pool(net.conv(x, "conv2", 50, 5), "pool2", 2, 2)
    x = net.relu(net.dense(x, "ip1", 500), "relu1")
    return net.softmax(net.dense(x, "ip2", 10))


def cifar10_full(batch: int = 1) -> Any:
    net = Writer("CIFAR10_full", 3, 32, batch)
    within = {"local_size": 3, "alpha": 5e-5, "beta": 0.75, "norm_region": "WITHIN_CHANNEL"}
    x = net.relu(net.pool(net.conv("data", "conv1", 32, 5, pad=2), "pool1", 3, 2), "relu1")
    x = net.conv_relu(net.lrn(x, "norm1", **within), "conv2", 32, 5, pad=2)
    x = net.lrn(net.pool(x, "pool2", 3, 2, kind="AVE"), "norm2", **within)
    x = net.pool(net.conv_relu(x, "conv3", 64, 5, pad=2), "pool3", 3, 2, kind="AVE")
    return net.softmax(net.dense(x, "ip1", 10))


def alexnet(batch: int = 1) -> Any:
    """The 2012 ImageNet winner as Caffe ships it: groups, normalisation before pooling, 61 million parameters."""
    return _alexnet("AlexNet", batch, lambda net, x, i: net.pool(_norm(net, x, i), f"pool{i}", 3, 2))


def caffenet(batch: int = 1) -> Any:
    """AlexNet with pooling before normalisation."""
    return _alexnet("CaffeNet", batch, lambda net, x, i: _norm(net, net.pool(x, f"pool{i}", 3, 2), i))


def _norm(net: Writer, x: str, index: int) -> str:
    return net.lrn(x, f"norm{index}", local_size=5, alpha=1e-4, beta=0.75)


def _alexnet(name: str, batch: int, reduced: Callable[[Writer, str, int], str]) -> Any:
    net = Writer(name, 3, 227, batch)
    x = reduced(net, net.conv_relu("data", "conv1", 96, 11, stride=4), 1)
    x = reduced(net, net.conv_relu(x, "conv2", 256, 5, pad=2, group=2), 2)
    x = net.conv_relu(x, "conv3", 384, 3, pad=1)
    x = net.conv_relu(x, "conv4", 384, 3, pad=1, group=2)
    x = net.pool(net.conv_relu(x, "conv5", 256, 3, pad=1, group=2), "pool5", 3, 2)
    return net.softmax(_heads(net, x))


def _heads(net: Writer, x: str) -> str:
    for index in (6, 7):
        x = net.dropout(net.relu(net.dense(x, f"fc{index}", 4096), f"relu{index}"), f"drop{index}")
    return net.dense(x, "fc8", 1000)


def vgg16(batch: int = 1) -> Any:
    net = Writer("VGG_ILSVRC_16_layers", 3, 224, batch)
    x = "data"
    for block, (outputs, count) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for index in range(1, count + 1):
            x = net.conv_relu(x, f"conv{block}_{index}", outputs, 3, pad=1)
        x = net.pool(x, f"pool{block}", 2, 2)
    return net.softmax(_heads(net, x))


INCEPTIONS = {  # outputs of 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, and of the projection behind the pooling
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(batch: int = 1) -> Any:
    net = Writer("GoogleNet", 3, 224, batch)
    x = _named(net, "data", "conv1/7x7_s2", 64, 7, stride=2, pad=3)
    x = _norm_named(net, net.pool(x, "pool1/3x3_s2", 3, 2), "pool1/norm1")
    x = _named(net, _named(net, x, "conv2/3x3_reduce", 64, 1), "conv2/3x3", 192, 3, pad=1)
    x = net.pool(_norm_named(net, x, "conv2/norm2"), "pool2/3x3_s2", 3, 2)
    for name, outputs in INCEPTIONS.items():
        x = _inception(net, x, f"inception_{name}", *outputs)
        if name in ("3b", "4e"):
            x = net.pool(x, f"pool{int(name[0])}/3x3_s2", 3, 2)
    x = net.dropout(net.pool(x, "pool5/7x7_s1", 7, 1, kind="AVE"), "pool5/drop_7x7_s1", 0.4)
    return net.softmax(net.dense(x, "loss3/classifier", 1000))


def _norm_named(net: Writer, x: str, name: str) -> str:
    return net.lrn(x, name, local_size=5, alpha=1e-4, beta=0.75)


def _named(net: Writer, x: str, name: str, outputs: int, kernel: int, **geometry: int) -> str:
    folder, _, last = name.rpartition("/")
    return net.conv_relu(x, name, outputs, kernel, relu=f"{folder}/relu_{last}", **geometry)


def _inception(
    net: Writer, x: str, name: str, one: int, reduced3: int, three: int, reduced5: int, five: int, projected: int
) -> str:
    a = _named(net, x, f"{name}/1x1", one, 1)
    b = _named(net, _named(net, x, f"{name}/3x3_reduce", reduced3, 1), f"{name}/3x3", three, 3, pad=1)
    c = _named(net, _named(net, x, f"{name}/5x5_reduce", reduced5, 1), f"{name}/5x5", five, 5, pad=2)
    d = _named(net, net.pool(x, f"{name}/pool", 3, 1, pad=1), f"{name}/pool_proj", projected, 1)
    return net.add("Concat", f"{name}/output", a, b, c, d)


MOBILENET_BLOCKS = {  # outputs and stride of each depthwise-separable block
    "2_1": (64, 1),
    "2_2": (128, 2),
    "3_1": (128, 1),
    "3_2": (256, 2),
    "4_1": (256, 1),
    "4_2": (512, 2),
    **{f"5_{i}": (512, 1) for i in range(1, 6)},
    "5_6": (1024, 2),
    "6": (1024, 1),
}


def mobilenet(batch: int = 1) -> Any:
    """MobileNet v1: BatchNorm, Scale and ReLU behind every convolution; depthwise ones have a group a channel."""
    net = Writer("MOBILENET", 3, 224, batch)
    x, channels = _normalised(net, "data", "conv1", 32, 3, stride=2, pad=1), 32
    for name, (outputs, stride) in MOBILENET_BLOCKS.items():
        x = _normalised(net, x, f"conv{name}/dw", channels, 3, stride=stride, pad=1, group=channels)
        x, channels = _normalised(net, x, f"conv{name}/sep", outputs, 1), outputs
    x = net.add("Pooling", "pool6", x, pooling_param={"pool": "AVE", "global_pooling": True})
    return net.softmax(net.conv(x, "fc7", 1000, 1))


def _normalised(net: Writer, x: str, name: str, outputs: int, kernel: int, **geometry: int) -> str:
    x = net.conv(x, name, outputs, kernel, bias=False, **geometry)
    net.add("BatchNorm", f"{name}/bn", x, top=x, batch_norm_param={"use_global_stats": True, "eps": 1e-5})
    net.add("Scale", f"{name}/scale", x, top=x, scale_param={"bias_term": True})
    return net.relu(x, name.replace("conv", "relu"))


def squeezenet(batch: int = 1) -> Any:
    """SqueezeNet v1.1."""
    net = Writer("squeezenet_v1.1_deploy", 3, 227, batch)
    x = net.pool(net.conv_relu("data", "conv1", 64, 3, relu="relu_conv1", stride=2), "pool1", 3, 2)
    for index, squeezed, expanded in [(2, 16, 64), (3, 16, 64), (4, 32, 128), (5, 32, 128)]:
        x = _fire(net, x, f"fire{index}", squeezed, expanded)
        x = net.pool(x, f"pool{index}", 3, 2) if index in (3, 5) else x
    for index, squeezed, expanded in [(6, 48, 192), (7, 48, 192), (8, 64, 256), (9, 64, 256)]:
        x = _fire(net, x, f"fire{index}", squeezed, expanded)
    x = net.conv_relu(net.dropout(x, "drop9"), "conv10", 1000, 1, relu="relu_conv10")
    x = net.add("Pooling", "pool10", x, pooling_param={"pool": "AVE", "global_pooling": True})
    return net.softmax(x)


def _fire(net: Writer, x: str, name: str, squeezed: int, expanded: int) -> str:
    x = _named(net, x, f"{name}/squeeze1x1", squeezed, 1)
    one = _named(net, x, f"{name}/expand1x1", expanded, 1)
    return net.add("Concat", f"{name}/concat", one, _named(net, x, f"{name}/expand3x3", expanded, 3, pad=1))


def resnet50(batch: int = 1) -> Any:
    return _resnet("ResNet-50", batch, (3, 4, 6, 3), lambda block: chr(ord("a") + block))


def resnet152(batch: int = 1) -> Any:
    """As its authors name the blocks: res3a, then res3b1 to res3b7."""
    return _resnet("ResNet-152", batch, (3, 8, 36, 3), lambda block: f"b{block}" if block else "a")


def _resnet(name: str, batch: int, blocks: Sequence[int], named: Callable[[int], str]) -> Any:
    net = Writer(name, 3, 224, batch)
    x = net.pool(_bn_relu(net, net.conv("data", "conv1", 64, 7, bias=False, stride=2, pad=3), "conv1"), "pool1", 3, 2)
    for stage, (width, count) in enumerate(zip((64, 128, 256, 512), blocks, strict=True), 2):
        for block in range(count):
            stride = 2 if stage > 2 and not block else 1
            x = _residual(net, x, f"{stage}{named(block)}", width, stride, project=not block)
    x = net.pool(x, "pool5", 7, 1, kind="AVE")
    return net.softmax(net.dense(x, "fc1000", 1000))


def _residual(net: Writer, x: str, name: str, width: int, stride: int, project: bool) -> str:
    skip = x
    if project:
        skip = _bn(net, net.conv(x, f"res{name}_branch1", 4 * width, 1, bias=False, stride=stride), f"{name}_branch1")
    y = _bn_relu(net, net.conv(x, f"res{name}_branch2a", width, 1, bias=False, stride=stride), f"{name}_branch2a")
    y = _bn_relu(net, net.conv(y, f"res{name}_branch2b", width, 3, bias=False, pad=1), f"{name}_branch2b")
    y = _bn(net, net.conv(y, f"res{name}_branch2c", 4 * width, 1, bias=False), f"{name}_branch2c")
    return net.relu(net.add("Eltwise", f"res{name}", skip, y), f"res{name}_relu")


def _bn(net: Writer, x: str, name: str) -> str:
    net.add("BatchNorm", f"bn{name}", x, top=x, batch_norm_param={"use_global_stats": True})
    return net.add("Scale", f"scale{name}", x, top=x, scale_param={"bias_term": True})


def _bn_relu(net: Writer, x: str, name: str) -> str:
    return net.relu(_bn(net, x, name), f"{name}_relu")


SSD_HEADS = {  # source blob: boxes at each place
    "conv5_5/sep": 3,
    "conv6/sep": 6,
    "conv7_2": 6,
    "conv8_2": 6,
    "conv9_2": 6,
    "conv10_2": 6,
}


def mobilenet_ssd(batch: int = 1, classes: int = 21) -> Any:
    """MobileNet-SSD at 300 x 300 up to the scores and offsets of its 1,917 boxes."""
    net = Writer("MobileNet-SSD", 3, 300, batch)
    x, channels = _normalised(net, "data", "conv1", 32, 3, stride=2, pad=1), 32
    for name, (outputs, stride) in MOBILENET_BLOCKS.items():
        x = _normalised(net, x, f"conv{name}/dw", channels, 3, stride=stride, pad=1, group=channels)
        x, channels = _normalised(net, x, f"conv{name}/sep", outputs, 1), outputs
    for index, outputs in [(7, 512), (8, 256), (9, 256), (10, 128)]:
        x = _normalised(net, x, f"conv{index}_1", outputs // 2, 1)
        x = _normalised(net, x, f"conv{index}_2", outputs, 3, stride=2, pad=1)
    loc = [_head(net, source, "loc", 4 * boxes) for source, boxes in SSD_HEADS.items()]
    conf = [_head(net, source, "conf", classes * boxes) for source, boxes in SSD_HEADS.items()]
    net.add("Concat", "mbox_loc", *loc, concat_param={"axis": 1})
    x = net.add("Concat", "mbox_conf", *conf, concat_param={"axis": 1})
    x = net.add("Reshape", "mbox_conf_reshape", x, reshape_param={"shape": {"dim": [0, -1, classes]}})
    net.add("Softmax", "mbox_conf_softmax", x, softmax_param={"axis": 2})
    return net.net


def _head(net: Writer, source: str, kind: str, outputs: int) -> str:
    x = net.conv(source, f"{source}_mbox_{kind}", outputs, 1)
    x = net.add("Permute", f"{x}_perm", x, permute_param={"order": [0, 2, 3, 1]})
    return net.add("Flatten", x.replace("_perm", "_flat"), x, flatten_param={"axis": 1})


NETS: dict[str, Callable[[int], Any]] = {
    "lenet": lenet,
    "cifar10_full": cifar10_full,
    "alexnet": alexnet,
    "caffenet": caffenet,
    "googlenet": googlenet,
    "mobilenet": mobilenet,
    "vgg16": vgg16,
    "squeezenet": squeezenet,
    "resnet50": resnet50,
    "resnet152": resnet152,
    "mobilenet_ssd": mobilenet_ssd,
}
"""{name: writer}; a writer takes the batch size and returns a NetParameter in deploy form."""
