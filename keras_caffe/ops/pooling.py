"""Pooling windows as Caffe lays them (pooling_layer.cpp), channels last, two spatial axes.

Window i covers [i s - p, i s - p + k) cut to the input. With ceil rounding the last one may reach beyond the padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.ops import native
from keras_caffe.ops.indices import first_greatest
from keras_caffe.ops.pool_axis import Axis
from keras_caffe.ops.rectify import chosen_from
from keras_caffe.ops.same import is_same
from keras_caffe.ops.stock import eight_bits, native_ops_allowed, on_tensorflow

FLT_MAX = float(np.finfo("float32").max)


def max_pool(x: Any, axes: Sequence[Axis], training: bool | None = None) -> Any:
    """Largest value of each window; -FLT_MAX in a window without any input.

    Args:
        x: (N, H, W, C).
        axes: height and width.
        training: a gradient is to be expected.

    Returns:
        (N, P_h, P_w, C)
    """
    native_tops = native_pool(x, axes, "MAX", with_mask=bool(training), faster=False)
    return native_tops[0] if native_tops else max_pool_twin(x, axes)


def max_pool_twin(x: Any, axes: Sequence[Axis]) -> Any:
    """`max_pool` without its native kernel."""
    sizes = x.shape[1:3]
    if on_tensorflow() and all(map(_is_same, sizes, axes)):
        return _pool(x, axes, "max", "SAME")
    if eight_bits() and all(map(_begins_inside, sizes, axes)):
        return _cut(_pool(_repeated(x, axes), axes, "max"), x, axes)
    return _framed_pool(x, axes, "max", -FLT_MAX)


def _begins_inside(size: int | None, axis: Axis) -> bool:
    """Whether each window has a pixel of the input, as far as one can know."""
    return bool(size) and (axis.output(size) - 1) * axis.stride - axis.pad < size


def _repeated(x: Any, axes: Sequence[Axis]) -> Any:
    """`_framed` with the pixels at the edges, which no maximum minds: a file of 8 bits has no room for -FLT_MAX."""
    import tensorflow as tf

    pads = [(axis.pad, max(axis.overhang(n), 0)) for n, axis in zip(x.shape[1:3], axes, strict=True)]
    for done in range(max(n for pair in pads for n in pair)):
        one = [tuple(int(n > done) for n in pair) for pair in pads]
        x = tf.pad(x, [(0, 0), *one, (0, 0)], "SYMMETRIC")  # of one pixel: that at the edge
    return x


def global_max_pool(x: Any) -> Any:
    """(N, 1, 1, C): the largest value of each plane; of several, the gradient goes to the first."""
    shape = ops.shape(x)
    planes = ops.reshape(chosen_from(x), (shape[0], -1, shape[3]))
    greatest = ops.take_along_axis(planes, first_greatest(planes, axis=1, keepdims=True), axis=1)[:, :, None]
    return ops.where(greatest > -FLT_MAX, greatest, -FLT_MAX)  # Caffe never takes NaN and -inf.


def max_pool_with_index(x: Any, axes: Sequence[Axis]) -> tuple[Any, Any]:
    """`max_pool`, and the index h W + w of each maximum in its channel's plane (the first; -1 in an empty window)."""
    native_tops = native_pool(x, axes, "MAX", with_mask=True)
    return (native_tops[0], ops.cast(native_tops[1], "float32")) if native_tops else max_pool_with_index_twin(x, axes)


def max_pool_with_index_twin(x: Any, axes: Sequence[Axis]) -> tuple[Any, Any]:
    """`max_pool_with_index` without its native kernel."""
    patches, valid = _patches(x, axes)
    patches = ops.where(valid & (patches > -FLT_MAX), patches, -FLT_MAX)  # Caffe never takes NaN and -inf.
    best = first_greatest(patches, axis=3)
    tops = ops.take_along_axis(patches, best[:, :, :, None], axis=3)[:, :, :, 0]  # The first one gets the gradient.
    shape = ops.shape(x)
    rows = _origin(ops.shape(best)[1], axes[0])[:, None, None] + best // axes[1].kernel
    columns = _origin(ops.shape(best)[2], axes[1])[None, :, None] + best % axes[1].kernel
    index = ops.cast(rows * shape[2] + columns, "float32")
    return tops, ops.where(tops > -FLT_MAX, index, -1.0)


def average_pool(x: Any, axes: Sequence[Axis]) -> Any:
    """Sum of each window over Caffe's divisor: its area with the padding, but without what sticks out beyond that.

    Args and result as `max_pool`.
    """
    native_tops = native_pool(x, axes, "AVE", faster=False)
    return native_tops[0] if native_tops else average_pool_twin(x, axes)


def average_pool_twin(x: Any, axes: Sequence[Axis]) -> Any:
    """`average_pool` without its native kernel."""
    sizes = ops.shape(x)[1:3]
    mean = _framed_pool(x, axes, "average", 0.0)
    if all(isinstance(n, int) and axis.overhang(n) <= axis.pad for n, axis in zip(sizes, axes, strict=True)):
        return mean
    high, wide = (extent(n, axis) for n, axis in zip(sizes, axes, strict=True))
    area = axes[0].kernel * axes[1].kernel
    return mean * ops.cast(area / (high[:, None] * wide[None, :]), mean.dtype)[:, :, None]


def stochastic_pool(x: Any, axes: Sequence[Axis], uniform: Any = None) -> Any:
    """One value of each window, drawn with a probability proportional to it, or their expectation.

    Args:
        x: (N, H, W, C), not negative.
        axes: height and width.
        uniform: (N, P_h, P_w, C) numbers in [0, 1): the first cell where the running sum reaches uniform * total is
            taken (training). None: sum x^2 / sum x, 0 where the sum is not positive (inference).
    """
    native_tops = native_pool(x, axes, "STOCHASTIC", with_mask=uniform is not None, uniform=uniform)
    return native_tops[0] if native_tops else stochastic_pool_twin(x, axes, uniform)


def stochastic_pool_twin(x: Any, axes: Sequence[Axis], uniform: Any = None) -> Any:
    """`stochastic_pool` without its native kernel."""
    patches, valid = _patches(x, axes)
    patches = ops.where(valid, patches, 0.0)
    total = ops.sum(patches, axis=3)
    if uniform is None:
        squares = ops.sum(patches * patches, axis=3)
        positive = total > 0
        return ops.where(positive, squares / ops.where(positive, total, 1.0), 0.0)
    reached = ops.cumsum(patches, axis=3) >= ops.expand_dims(uniform * total, 3)
    chosen = ops.one_hot(first_greatest(ops.cast(reached, "int32"), axis=3), patches.shape[3], axis=3, dtype=x.dtype)
    return ops.sum(patches * chosen, axis=3)


def _framed_pool(x: Any, axes: Sequence[Axis], kind: str, fill: float) -> Any:
    return _cut(_pool(_framed(x, axes, fill), axes, kind), x, axes)


def _cut(tops: Any, x: Any, axes: Sequence[Axis]) -> Any:
    """The windows that Caffe has of x."""
    high, wide = (axis.output(n) for n, axis in zip(ops.shape(x)[1:3], axes, strict=True))
    # One axis at a time, and only where it is needed: a size that is known stays known.
    tops = tops if isinstance(high, int) and high > 0 else tops[:, :high]
    return tops if isinstance(wide, int) and wide > 0 else tops[:, :, :wide]


def _framed(x: Any, axes: Sequence[Axis], fill: float) -> Any:
    """The input padded so that unpadded windows fit it, one at least."""
    after = [axis.overhang(n) for n, axis in zip(ops.shape(x)[1:3], axes, strict=True)]
    if all(isinstance(n, int) and n <= 0 for n in after) and not any(axis.pad for axis in axes):
        return x  # Unused rows at the end do no harm.
    pads = [
        (axis.pad, ops.maximum(n, 0) if not isinstance(n, int) else max(n, 0))
        for n, axis in zip(after, axes, strict=True)
    ]
    return padded(x, pads, fill)


def padded(x: Any, pads: Sequence[tuple[Any, Any]], fill: float) -> Any:
    """Images (N, *spatial, C) with so many pixels of `fill` before and after them along each spatial axis."""
    if all(isinstance(n, int) for pair in pads for n in pair):
        return ops.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    import tensorflow as tf

    return tf.pad(x, tf.stack([(0, 0), *pads, (0, 0)]), constant_values=tf.cast(fill, x.dtype))


def _is_same(size: int | None, axis: Axis) -> bool:
    return is_same(size, axis.kernel, axis.stride, axis.pad, None if size is None else axis.output(size))


def _pool(x: Any, axes: Sequence[Axis], kind: str, padding: str = "VALID") -> Any:
    kernel, stride = tuple(axis.kernel for axis in axes), tuple(axis.stride for axis in axes)
    if on_tensorflow():
        import tensorflow as tf

        if kind == "average":
            return tf.nn.avg_pool2d(x, kernel, stride, padding)
        forward_only = not native_ops_allowed()  # as an exported graph is
        if all(x.shape) or forward_only or tf.executing_eagerly() or native.has_gpu():
            return tf.nn.max_pool2d(x, kernel, stride, padding)
        tops = tf.nn.max_pool2d(_with_a_pixel(x), kernel, stride, padding)
        for axis, size in enumerate(ops.shape(x)[:3]):  # There are as many windows at most.
            if not x.shape[axis]:  # One axis at a time: a size that is known stays known.
                window = *[slice(None)] * axis, slice(size)
                tops = tops[window]
        return tops
    function = ops.max_pool if kind == "max" else ops.average_pool
    return function(x, kernel, stride, "valid", data_format="channels_last")


def _with_a_pixel(x: Any) -> Any:
    """The input, or one zero in place of an empty one: its gradient in a graph under oneDNN ends the process."""
    import tensorflow as tf

    some = tf.cond(tf.size(x) > 0, lambda: x, lambda: tf.zeros(tf.maximum(tf.shape(x), 1), x.dtype))
    some.set_shape([size or None for size in x.shape])
    return some


def _patches(x: Any, axes: Sequence[Axis]) -> tuple[Any, Any]:
    """(N, P_h, P_w, k_h k_w, C) values of each window in row-major order, and which of them lie in the input."""
    images, *sizes, channels = ops.shape(x)
    high, wide = (axis.output(n) for n, axis in zip(sizes, axes, strict=True))
    rows, columns = (_taps(n, axis) for n, axis in zip(sizes, axes, strict=True))
    # Two gathers: Keras's `extract_patches` multiplies by a unit matrix, which makes NaN of an infinity's neighbours.
    x = ops.take(_framed(x, axes, 0.0), ops.reshape(rows + axes[0].pad, (-1,)), axis=1)
    x = ops.take(x, ops.reshape(columns + axes[1].pad, (-1,)), axis=2)
    k_h, k_w = axes[0].kernel, axes[1].kernel
    x = ops.reshape(x, (images, ops.shape(rows)[0], k_h, ops.shape(columns)[0], k_w, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))[:, :high, :wide]
    # Sliced first: Keras's OpenVINO backend puts new axes in other places where one index cuts, too.
    down, across = (
        ((t >= 0) & (t < n))[:count] for t, n, count in zip((rows, columns), sizes, (high, wide), strict=True)
    )
    valid = down[:, None, :, None] & across[None, :, None, :]
    return ops.reshape(x, (images, high, wide, k_h * k_w, channels)), ops.reshape(valid, (high, wide, k_h * k_w, 1))


def _origin(windows: Any, axis: Axis) -> Any:
    return ops.arange(windows, dtype="int32") * axis.stride - axis.pad


def _taps(size: Any, axis: Axis) -> Any:
    """(P, k) positions that each window covers; of no windows, those that the first would."""
    return _origin(axis.framed(size), axis)[:, None] + ops.arange(axis.kernel, dtype="int32")[None, :]


def extent(size: Any, axis: Axis) -> Any:
    """(P,) length of each window up to the end of the padding."""
    start = _origin(axis.output(size), axis)
    return ops.cast(ops.minimum(start + axis.kernel, size + axis.pad) - start, "float32")


def native_pool(
    x: Any, axes: Sequence[Axis], pool: str, *, with_mask: bool = False, uniform: Any = None, faster: bool = True
) -> Any:
    """(y, mask) of the native kernel, or None if there is none for it."""
    kernel = native.operation("Pool", x, faster=faster)
    padded = any(axis.pad for axis in axes)
    sizes = [size for axis in axes for size in (axis.kernel, axis.stride, axis.pad)]
    if not kernel or not all(isinstance(size, int) for size in sizes) or any(axis.clip != padded for axis in axes):
        return None
    attributes = {
        "kernel_size": [axis.kernel for axis in axes],
        "stride": [axis.stride for axis in axes],
        "pad": [axis.pad for axis in axes],
        "round_mode": "CEIL" if axes[0].ceil else "FLOOR",
    }
    uniform = ops.zeros((0,), x.dtype) if uniform is None else uniform
    return kernel(x=x, uniform=uniform, pool=pool, with_mask=with_mask, **attributes)


@native.gradient_of("Pool")
def _gradient(op: Any, upstream: Any, _: Any) -> Any:
    x, mask, attributes = op.inputs[0], op.outputs[1], _attributes(op)
    if attributes["pool"] == "MAX" and not op.get_attr("with_mask"):
        mask = native.function("Pool")(x=x, uniform=op.inputs[1], with_mask=True, **attributes)[1]
    return native.function("PoolGrad")(x=x, mask=mask, dy=upstream, **attributes), None


@native.gradient_of("PoolGrad")
def _gradient_of_gradient(op: Any, upstream: Any) -> Any:
    attributes = _attributes(op)
    sizes = zip(*(attributes[name] for name in ("kernel_size", "stride", "pad")), strict=True)
    ceil, clip = attributes["round_mode"] == "CEIL", any(attributes["pad"])
    axes = [Axis(kernel, stride, pad, ceil, clip) for kernel, stride, pad in sizes]
    twin = {"MAX": max_pool_twin, "AVE": average_pool_twin, "STOCHASTIC": stochastic_pool_twin}[attributes["pool"]]
    x, mask, dy = op.inputs
    by_x, by_dy = native.gradients_of_gradient(lambda x: twin(x, axes), x, dy, upstream)
    return by_x, None, by_dy


def _attributes(op: Any) -> dict[str, Any]:
    texts = {name: op.get_attr(name).decode() for name in ("pool", "round_mode")}
    return texts | {name: list(op.get_attr(name)) for name in ("kernel_size", "stride", "pad")}
