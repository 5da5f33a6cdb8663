"""When TensorFlow's "SAME" padding lays its windows exactly where Caffe's numbers put them."""

from __future__ import annotations

from keras_caffe.shapes import ceil_div


def is_same(size: int | None, window: int, stride: int, pad: int, out: int | None) -> bool:
    """Whether "SAME" gives the same windows on one axis, so that no padded copy of the input is needed.

    "SAME" makes ceil(size / stride) windows and lays the smaller half of the padding they need before the input.

    Args:
        size: of the input, None if it is not known.
        window: how many pixels a window spans, d(k-1)+1.
        stride, pad: pad is what Caffe lays before the input.
        out: Caffe's number of windows, None if the size is not known.
    """
    if size is None or out is None:
        return stride == 1 and 2 * pad == window - 1  # Caffe pads both sides alike then, and out is the size.
    needed = (out - 1) * stride + window - size
    return out == ceil_div(size, stride) and needed >= 0 and pad == needed // 2
