"""V0 nets (`layers { layer { type: "conv" } }`, before 2014) as V1 nets. Caffe: util/upgrade_proto.cpp."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from keras_caffe import proto
from keras_caffe.errors import CaffeWarning, NetError, instead

V0_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

PARAMS = {
    "concat": "concat_param",
    "conv": "convolution_param",
    "data": "data_param",
    "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "infogain_loss": "infogain_loss_param",
    "innerproduct": "inner_product_param",
    "lrn": "lrn_param",
    "pool": "pooling_param",
    "window_data": "window_data_param",
}

# V0 field: (its later name, the V0 types that take it)
FIELDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "num_output": ("num_output", ("conv", "innerproduct")),
    "biasterm": ("bias_term", ("conv", "innerproduct")),
    "weight_filler": ("weight_filler", ("conv", "innerproduct")),
    "bias_filler": ("bias_filler", ("conv", "innerproduct")),
    "pad": ("pad", ("conv", "pool")),
    "kernelsize": ("kernel_size", ("conv", "pool")),
    "stride": ("stride", ("conv", "pool")),
    "group": ("group", ("conv",)),
    "pool": ("pool", ("pool",)),
    "dropout_ratio": ("dropout_ratio", ("dropout",)),
    "local_size": ("local_size", ("lrn",)),
    "alpha": ("alpha", ("lrn",)),
    "beta": ("beta", ("lrn",)),
    "k": ("k", ("lrn",)),
    "source": ("source", ("data", "hdf5_data", "images", "window_data", "infogain_loss")),
    "batchsize": ("batch_size", ("data", "hdf5_data", "images", "window_data")),
    "rand_skip": ("rand_skip", ("data", "images")),
    "shuffle_images": ("shuffle", ("images",)),
    "new_height": ("new_height", ("images",)),
    "new_width": ("new_width", ("images",)),
    "concat_dim": ("concat_dim", ("concat",)),
    "det_fg_threshold": ("fg_threshold", ("window_data",)),
    "det_bg_threshold": ("bg_threshold", ("window_data",)),
    "det_fg_fraction": ("fg_fraction", ("window_data",)),
    "det_context_pad": ("context_pad", ("window_data",)),
    "det_crop_mode": ("crop_mode", ("window_data",)),
}
TRANSFORM_FIELDS = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
LAYER_FIELDS = {"name", "blobs", "blobs_lr", "weight_decay"}


def put(message: Any, field: str, value: Any) -> None:
    """Sets, copies or appends `value` as the kind of `field` asks."""
    present = getattr(message, field)
    if not hasattr(present, "MergeFrom"):
        setattr(message, field, value)
    elif not hasattr(present, "append"):
        present.CopyFrom(value)
    elif hasattr(value, "append"):
        present.MergeFrom(value)
    else:
        present.append(value)


def is_v0(net: proto.NetParameter) -> bool:
    """Whether any layer is written the V0 way."""
    return any(layers.HasField("layer") for layers in net.layers)


def v0_to_v1(net: proto.NetParameter) -> proto.NetParameter:
    """The net with V1 layers; as in Caffe only name, input, input_dim and force_backward survive at net level."""
    new = proto.NetParameter()
    for field, value in net.ListFields():
        if field.name in {"name", "input", "input_dim", "force_backward"}:
            put(new, field.name, value)
    new.layers.extend(_layer_to_v1(layers) for layers in _without_padding(net))
    return new


def _without_padding(net: proto.NetParameter) -> Iterator[proto.V1LayerParameter]:
    """The layers without V0's padding layers, whose pad and bottom their consumers take over."""
    producers: dict[str, Any] = dict.fromkeys(net.input)
    for layers in net.layers:
        new = proto.V1LayerParameter()
        new.CopyFrom(layers)
        for position, bottom in enumerate(layers.bottom):
            source = _producer(producers, bottom, layers)
            if source is not None and source.layer.type == "padding":
                _check_padding(source, layers)
                new.layer.pad = source.layer.pad
                new.bottom[position] = source.bottom[0]
        producers.update(dict.fromkeys(layers.top, layers))
        if layers.layer.type != "padding":
            yield new


def _producer(producers: dict[str, Any], bottom: str, layers: proto.V1LayerParameter) -> Any:
    if bottom not in producers:
        raise NetError(
            f"bottom {bottom!r} is not the top of any layer above it",
            layer=layers.layer.name,
            expected="an `input` of the net or the top of a layer higher up in the file",
        )
    return producers[bottom]


def _check_padding(padding: proto.V1LayerParameter, consumer: proto.V1LayerParameter) -> None:
    if consumer.layer.type not in {"conv", "pool"}:
        raise NetError(
            f"takes its bottom from padding layer {padding.layer.name!r}",
            layer=consumer.layer.name,
            expected="a layer of type conv or pool after a padding layer",
            received=f"type {consumer.layer.type}",
        )
    counts = len(consumer.bottom), len(padding.bottom), len(padding.top)
    if counts != (1, 1, 1):
        raise NetError(
            f"padding layer {padding.layer.name!r} and its consumer must be a plain chain",
            layer=consumer.layer.name,
            expected="one bottom here, one bottom and one top of the padding layer",
            received="{}, {} and {}".format(*counts),
        )


def _layer_to_v1(layers: proto.V1LayerParameter) -> proto.V1LayerParameter:
    new = proto.V1LayerParameter(bottom=layers.bottom, top=layers.top)
    if not layers.HasField("layer"):
        warnings.warn(
            f"layer {layers.name!r}: written the V1 way in a V0 file; Caffe keeps nothing but its bottoms and tops",
            CaffeWarning,
            stacklevel=2,
        )
        return new
    v0 = layers.layer
    if v0.HasField("type"):
        new.type = _v1_type(v0)
    for field, value in v0.ListFields():
        _put_v0_field(new, v0, field.name, value)
    return new


def _v1_type(v0: proto.V0LayerParameter) -> int:
    if v0.type not in V0_TYPES:
        raise NetError(
            f"unknown V0 layer type {v0.type!r}",
            layer=v0.name,
            **instead([v0.type], V0_TYPES),
        )
    return int(proto.V1LayerParameter.LayerType.Value(V0_TYPES[v0.type]))


def _put_v0_field(new: proto.V1LayerParameter, v0: proto.V0LayerParameter, field: str, value: Any) -> None:
    name, takers = FIELDS.get(field, (field, ()))
    if field in LAYER_FIELDS or (field, v0.type) == ("hdf5_output_param", "hdf5_output"):
        put(new, field, value)
    elif field in TRANSFORM_FIELDS:
        put(new.transform_param, TRANSFORM_FIELDS[field], value)
    elif v0.type in takers:
        put(getattr(new, PARAMS[v0.type]), name, value)
    elif takers or field == "hdf5_output_param":
        warnings.warn(
            f"layer {v0.name!r}: a layer of type {v0.type} takes no {field}; ignored", CaffeWarning, stacklevel=2
        )
