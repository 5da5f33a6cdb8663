"""N-dimensional convolution as Caffe computes it (base_conv_layer.cpp), channels last."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from keras import ops

from keras_caffe.ops.same import is_same
from keras_caffe.ops.stock import native_ops_allowed, on_tensorflow
from keras_caffe.shapes import conv_output, windows

Ints = Sequence[int]


def convolution(x: Any, kernel: Any, *, stride: Ints, pad: Ints, dilation: Ints, group: int = 1) -> Any:
    """Cross-correlation with symmetric zero padding; output size as `keras_caffe.shapes.conv_output`.

    Args:
        x: (N, *spatial, C_in).
        kernel: (*kernel, C_in / group, C_out); group j maps input channels [j C_in/g, ...) to outputs [j C_out/g, ...).
        stride, pad, dilation: one number per spatial axis.
        group: number of groups.

    Returns:
        (N, *out, C_out)
    """
    kernel, dilation = spread(kernel, dilation)
    out = [conv_output(*axis) for axis in zip(x.shape[1:-1], kernel.shape[:-2], stride, pad, dilation, strict=True)]
    if 0 in out:  # Caffe's empty blob.
        return ops.zeros((ops.shape(x)[0], *out, kernel.shape[-1]), x.dtype)
    # In a graph, TensorFlow swaps the dilations of the last two axes when it tells the shape of a 3-D convolution.
    swapped = len(stride) == 3 and dilation[1] != dilation[2]
    no_images = x.shape[0] == 0  # oneDNN gives the result of none as many channels as the input has.
    by_tensorflow = on_tensorflow() and len(stride) in (1, 2, 3) and not (swapped or no_images)
    if by_tensorflow and _is_same(x.shape, kernel.shape[:-2], stride, pad, dilation):
        return _tensorflow(x, kernel, stride, dilation, group, "SAME")
    x = padded(x, kernel.shape[:-2], stride, pad, dilation)
    if max(kernel.shape[:-2], default=1) == 1 and max(stride, default=1) > 1:
        # TensorFlow's CPU gradient of a strided 1x1 convolution writes outside its memory where rows are left over.
        x = at_pixels(x, (slice(None, None, s) for s in stride))
        stride = [1] * len(stride)
    if by_tensorflow:
        return _tensorflow(x, kernel, stride, dilation, group, "VALID")
    return convolution_twin(x, kernel, stride=stride, dilation=dilation, group=group)


def spread(kernel: Any, dilation: Ints) -> tuple[Any, Ints]:
    """Kernel and dilation without the zeros of the latter: there all taps fall on one pixel and may be added up."""
    still = [axis for axis, d in enumerate(dilation) if d == 0]
    return (ops.sum(kernel, axis=still, keepdims=True) if still else kernel), [max(d, 1) for d in dilation]


def convolution_twin(x: Any, kernel: Any, *, stride: Ints, dilation: Ints, group: int = 1) -> Any:
    """The same without padding for any number of spatial axes, in keras.ops: a sum over the kernel's taps."""
    taps, (depth, outputs) = kernel.shape[:-2], kernel.shape[-2:]
    sizes = ops.shape(x)[1:-1]
    out = [windows(i, d * (k - 1) + 1, s) for i, k, s, d in zip(sizes, taps, stride, dilation, strict=True)]
    grouped = ops.reshape(kernel, (*taps, depth, group, outputs // group))
    x = ops.reshape(x, (-1, *sizes, group, depth))
    total = 0
    for tap in itertools.product(*map(range, taps)):
        geometry = zip(tap, dilation, out, stride, strict=True)
        window = (slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in geometry)
        if group == 1:  # as one product: TensorFlow 2.16's oneDNN on AVX-512 gets the general sum wrong
            total += ops.tensordot(at_pixels(x, window)[..., 0, :], grouped[tap][:, 0], 1)
        else:
            total += ops.einsum("...gc,cgo->...go", at_pixels(x, window), grouped[tap])
    return ops.reshape(total, (-1, *out, outputs))


def deconvolution(x: Any, kernel: Any, *, stride: Ints, pad: Ints, dilation: Ints, group: int = 1) -> Any:
    """The adjoint of `convolution`; output size s(i-1) + d(k-1)+1 - 2p.

    Args:
        x: (N, *spatial, C_in).
        kernel: (*kernel, C_out / group, C_in).

    Returns:
        (N, *out, C_out)
    """
    kernel, dilation = spread(kernel, dilation)
    if on_tensorflow() and len(stride) in (1, 2, 3) and x.shape[0] != 0:  # cuDNN refuses none in three dimensions.
        y = _tensorflow_adjoint(x, kernel, stride, dilation, group)
    else:
        y = deconvolution_twin(x, kernel, stride=stride, dilation=dilation, group=group)
    return at_pixels(y, (slice(p, -p or None) for p in pad))


def deconvolution_twin(x: Any, kernel: Any, *, stride: Ints, dilation: Ints, group: int = 1) -> Any:
    """The same without padding in keras.ops: zeros between the pixels, then a convolution with the turned kernel."""
    x = _spread_out(x, kernel.shape[:-2], stride, dilation)
    return convolution_twin(x, _turned(kernel, group), stride=[1] * len(stride), dilation=dilation, group=group)


def _spread_out(x: Any, taps: Ints, stride: Ints, dilation: Ints) -> Any:
    """Zeros between the pixels and around them."""
    for axis, s in enumerate(stride, 1):
        x = _spread(x, axis, s)
    edge = [d * (k - 1) for k, d in zip(taps, dilation, strict=True)]
    return ops.pad(x, [(0, 0), *((e, e) for e in edge), (0, 0)])


def _spread(x: Any, axis: int, stride: int) -> Any:
    """Puts stride - 1 zeros between neighbours on one axis."""
    if stride == 1:
        return x
    shape = list(ops.shape(x))
    x = ops.expand_dims(x, axis + 1)
    x = ops.pad(x, [(0, stride - 1) if a == axis + 1 else (0, 0) for a in range(len(x.shape))])
    x = ops.reshape(x, (*shape[:axis], shape[axis] * stride, *shape[axis + 1 :]))
    return x[tuple(slice(None) for _ in range(axis)) + (slice(0, (shape[axis] - 1) * stride + 1),)]


def _turned(kernel: Any, group: int) -> Any:
    """(*k, C_out/g, C_in) -> the kernel (*k, C_in/g, C_out) of the convolution that is its adjoint."""
    taps, (depth, inputs) = kernel.shape[:-2], kernel.shape[-2:]
    rank = len(taps)
    kernel = ops.reshape(ops.flip(kernel, tuple(range(rank))), (*taps, depth, group, inputs // group))
    kernel = ops.transpose(kernel, (*range(rank), rank + 2, rank + 1, rank))
    return ops.reshape(kernel, (*taps, inputs // group, group * depth))


def at_pixels(x: Any, slices: Iterable[slice]) -> Any:
    """The pixels of all images that one slice per spatial axis selects."""
    index = (slice(None), *slices)
    return x[index]


def padded(x: Any, taps: Ints, stride: Ints, pad: Ints, dilation: Ints) -> Any:
    """Pads both sides; where C's truncating division yields an output beyond the input, its taps read zeros."""
    after = list(pad)
    for axis, (size, k, s, p, d) in enumerate(zip(x.shape[1:-1], taps, stride, pad, dilation, strict=True)):
        if size is not None:
            reach = (conv_output(size, k, s, p, d) - 1) * s + d * (k - 1) + 1
            after[axis] += max(0, reach - (size + 2 * p))
    if not any(pad) and not any(after):
        return x
    return ops.pad(x, [(0, 0), *zip(pad, after, strict=True), (0, 0)])


def _is_same(shape: Sequence[int | None], taps: Ints, stride: Ints, pad: Ints, dilation: Ints) -> bool:
    # Only without dilation: TensorFlow's CPU gradient of a dilated convolution is right for unpadded windows alone.
    outputs = map(conv_output, shape[1:-1], taps, stride, pad, dilation)
    axes = zip(shape[1:-1], taps, stride, pad, outputs, strict=True)
    return any(pad) and max(dilation) == 1 and all(is_same(*axis) for axis in axes)


def _tensorflow(x: Any, kernel: Any, stride: Ints, dilation: Ints, group: int, padding: str) -> Any:
    import tensorflow as tf

    if len(stride) == 3:
        return _by_group(_tensorflow_3d, x, kernel, group, stride, dilation, padding)
    if len(stride) == 1:
        y = _tensorflow(x[:, None], kernel[None], (1, *stride), (1, *dilation), group, padding)
        return tf.squeeze(y, 1)
    if _is_depthwise(kernel, group, stride, dilation):
        kernel = tf.reshape(kernel, (*kernel.shape[:2], group, kernel.shape[3] // group))
        return tf.nn.depthwise_conv2d(x, kernel, (1, *stride, 1), padding, dilations=dilation)
    if not native_ops_allowed() or _has_all_kernels(
        x.dtype
    ):  # An exported graph runs forward only, which all kernels can.
        return tf.nn.conv2d(x, kernel, stride, padding, dilations=dilation)
    return _by_group(_tensorflow_2d, x, kernel, group, stride, dilation, padding)


def _is_depthwise(kernel: Any, group: int, stride: Ints, dilation: Ints) -> bool:
    """TensorFlow's depthwise kernel wants equal strides, and not strides and dilation together."""
    return 1 < group and kernel.shape[2] == 1 and stride[0] == stride[1] and (max(stride) == 1 or max(dilation) == 1)


@cache
def _has_all_kernels(dtype: Any) -> bool:
    """Whether TensorFlow has gradients of grouped and of dilated convolutions here: with oneDNN or a GPU, not else.

    oneDNN is off on processors without AVX-512, and where TF_ENABLE_ONEDNN_OPTS=0 says so; it has no float64.
    """
    import tensorflow as tf

    with tf.init_scope():
        y = tf.zeros((1, 2, 2, 2), dtype)
        try:
            for depth, dilation in ((1, 1), (2, 2)):
                size, kernel = (1, 2 + dilation, 2 + dilation, 2), tf.zeros((2, 2, depth, 2), dtype)
                ones, spacing = [1] * 4, (1, dilation, dilation, 1)
                tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=size, filter=kernel, out_backprop=y, strides=ones, padding="VALID", dilations=spacing
                )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.NotFoundError):
            return False
    return True


def _by_group(function: Callable[..., Any], x: Any, kernel: Any, group: int, *args: Any) -> Any:
    """What a convolution without groups gives for each group's channels, side by side."""
    import tensorflow as tf

    if group == 1:
        return function(x, kernel, *args)
    parts = zip(tf.split(x, group, axis=-1), tf.split(kernel, group, axis=-1), strict=True)
    return tf.concat([function(*part, *args) for part in parts], axis=-1)


def _tensorflow_2d(x: Any, kernel: Any, stride: Ints, dilation: Ints, padding: str) -> Any:
    import tensorflow as tf

    if max(dilation) > 1:
        return _by_phase(lambda part: tf.nn.conv2d(part, kernel, 1, "VALID"), x, kernel.shape, stride, dilation)
    return tf.nn.conv2d(x, kernel, stride, padding)


def _tensorflow_3d(x: Any, kernel: Any, stride: Ints, dilation: Ints, padding: str) -> Any:
    import tensorflow as tf

    if max(dilation) > 1 and not (native_ops_allowed() and _has_all_kernels(x.dtype)):
        return _by_phase(lambda part: tf.nn.conv3d(part, kernel, [1] * 5, "VALID"), x, kernel.shape, stride, dilation)
    return tf.nn.conv3d(x, kernel, (1, *stride, 1), padding, dilations=(1, *dilation, 1))


def _by_phase(function: Callable[..., Any], x: Any, taps: Ints, stride: Ints, dilation: Ints) -> Any:
    """A dilated convolution as a plain one of every d-th pixel, for each of the d places where these can begin."""
    import tensorflow as tf

    sizes = [tf.shape(x)[a] if n is None else n for a, n in enumerate(x.shape)][1:-1]
    missing = [(d - n % d) % d for n, d in zip(sizes, dilation, strict=True)]
    phases = function(tf.space_to_batch(x, dilation, [(0, m) for m in missing]))
    y = tf.batch_to_space(phases, dilation, [(0, m) for m in missing])
    return at_pixels(y, (slice(None, None, s) for s in stride))


def _tensorflow_adjoint(x: Any, kernel: Any, stride: Ints, dilation: Ints, group: int) -> Any:
    import tensorflow as tf

    if len(stride) == 1:
        y = _tensorflow_adjoint(x[:, None], kernel[None], (1, *stride), (1, *dilation), group)
        return tf.squeeze(y, 1)
    in_one = (group == 1 or len(stride) == 2) and native_ops_allowed() and _has_all_kernels(x.dtype)
    if in_one:
        return _transposed(x, kernel, stride, dilation, group)
    if max(dilation) == 1:  # Readers of exported graphs understand the adjoint without groups only.
        return _by_group(_transposed, x, kernel, group, stride, dilation)
    ones = [1] * len(stride)
    x, kernel = _spread_out(x, kernel.shape[:-2], stride, dilation), _turned(kernel, group)
    return _tensorflow(x, kernel, ones, dilation, group, "VALID")


def _transposed(x: Any, kernel: Any, stride: Ints, dilation: Ints, group: int = 1) -> Any:
    import tensorflow as tf

    sizes = tf.unstack(tf.shape(x)) if None in x.shape else x.shape
    out = [
        s * (i - 1) + d * (k - 1) + 1 for i, k, s, d in zip(sizes[1:-1], kernel.shape, stride, dilation, strict=False)
    ]
    shape = tf.stack([sizes[0], *out, kernel.shape[-2] * group])
    steps, spacing = (1, *stride, 1), (1, *dilation, 1)
    if len(stride) == 3:
        return tf.nn.conv3d_transpose(x, kernel, shape, steps, "VALID", dilations=spacing)
    return tf.raw_ops.Conv2DBackpropInput(
        input_sizes=shape, filter=kernel, out_backprop=x, strides=steps, padding="VALID", dilations=spacing
    )
