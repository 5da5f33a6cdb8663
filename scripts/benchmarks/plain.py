"""The benchmark nets in plain Keras 3: its own layers, sizes as Caffe's, for comparison of speed only."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


def model(net: Any) -> keras.Model:
    """A net of the kinds of layers in nets.py as a functional model from images to scores."""
    shape = net.layer[0].input_param.shape[0].dim
    blobs: dict[str, Any] = {"data": keras.Input((*shape[2:], shape[1]))}
    first, last = blobs["data"], None
    for layer in net.layer:
        if layer.type in TWINS:
            bottoms = [blobs[name] for name in layer.bottom]
            last = blobs[layer.top[0]] = TWINS[layer.type](layer, *bottoms)
    return keras.Model(first, last)


def sgd() -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(0.001, momentum=0.9)


def loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _conv(layer: Any, x: Any) -> Any:
    param = layer.convolution_param
    padding = "same" if param.pad and param.pad[0] else "valid"
    stride = param.stride[0] if param.stride else 1
    bias = param.bias_term
    return layers.Conv2D(param.num_output, param.kernel_size[0], stride, padding, groups=param.group, use_bias=bias)(x)


def _pool(layer: Any, x: Any) -> Any:
    param = layer.pooling_param
    kernel, stride = param.kernel_size, param.stride
    exact = param.pad == 0 and (x.shape[1] - kernel) % stride == 0
    kind = layers.MaxPooling2D if param.pool == type(param).MAX else layers.AveragePooling2D
    return kind(kernel, stride, "valid" if exact else "same")(x)


def _dense(layer: Any, x: Any) -> Any:
    return layers.Dense(layer.inner_product_param.num_output)(layers.Flatten()(x) if len(x.shape) > 2 else x)


def _lrn(layer: Any, x: Any) -> Any:
    """Keras has no such layer: TensorFlow's kernel across channels, a mean of squares within them."""
    param = layer.lrn_param
    size, alpha, beta, k = param.local_size, param.alpha, param.beta, param.k
    if param.norm_region == type(param).ACROSS_CHANNELS:
        import tensorflow as tf

        return layers.Lambda(lambda v: tf.nn.lrn(v, size // 2, k, alpha / size, beta))(x)
    mean = layers.AveragePooling2D(size, 1, "same")(ops.square(x))
    return x * ops.power(1 + alpha * mean, -beta)


TWINS = {
    "Convolution": _conv,
    "Pooling": _pool,
    "InnerProduct": _dense,
    "LRN": _lrn,
    "ReLU": lambda layer, x: layers.ReLU()(x),
    "Dropout": lambda layer, x: layers.Dropout(layer.dropout_param.dropout_ratio)(x),
    "BatchNorm": lambda layer, x: layers.BatchNormalization()(x),
    "Scale": lambda layer, x: x,  # part of Keras's BatchNormalization
    "Eltwise": lambda layer, *x: layers.Add()(list(x)),
    "Concat": lambda layer, *x: layers.Concatenate()(list(x)),
}
