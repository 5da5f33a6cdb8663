"""FlowNet2's layers, with which nets compute how pixels move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe import layers
from keras_caffe.onnx.activations import scaled
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.losses import number, total
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Site
from keras_caffe.ops.interp import centre_crop, interp_twin
from keras_caffe.ops.resample import downsample, resample

Resize = Callable[[Any, int, int], Any]
"""(images (N, H, W, C), height, width) -> images; a linear map along each axis"""
Matrices = tuple[np.ndarray, np.ndarray]


@writes(layers.Mean)
def mean(site: Site, *bottoms: Tensor) -> Sequence[Tensor]:
    layer = site.layer
    values = np.asarray(layer.value, "float32")[:, None, None] if layer.image is None else np.asarray(layer.image)
    values = values.astype("float32") * (layer.mean_scale * (-1 if layer.operation == "SUBTRACT" else 1))
    tops = []
    for x, shape in zip(bottoms, site.bottoms, strict=True):
        (channels,) = site.known(shape[1:2], "the number of channels")
        added = site.op("Add", scaled(site, x, layer.input_scale), np.tile(values, (channels // len(values), 1, 1)))
        tops.append(scaled(site, added, layer.output_scale))
    return tops


@writes(layers.DataAugmentation, precise=True)
def data_augmentation(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    x = _product(site, x, _matrices(site, 0, centre_crop)) if layer.crop else x
    if layer.recompute_mean:
        if site.values(0).item() < layer.recompute_mean:
            problem = "it estimates the mean of its first images, and a file remembers nothing"
            site.refuse(problem, f"a counter of at least {layer.recompute_mean}", site.values(0).item())
        return site.op("Sub", x, site.weight(1 if layer.mean_per_pixel else 2))
    return site.op("Sub", x, site.along(layer.mean, 1)) if layer.mean else x


@writes(layers.L1Loss, precise=True)
def l1_loss(site: Site, *bottoms: Tensor) -> Tensor:
    layer, x = site.layer, site.op("Sub", *bottoms) if len(bottoms) > 1 else bottoms[0]
    missing = site.op("IsNaN", x)
    count = site.op("Expand", number(site, site.sizes()[0]), [1])
    if layer.normalize_by_num_entries:
        there = total(site, site.cast(site.op("Not", missing), "float"))
        (channels,) = site.known(site.bottoms[0][1:2], "the number of channels")
        count = site.op("Div", there, float(channels))
    x = site.where(missing, 0.0, x) if layer.skip_nan else x
    if layer.l2_per_location:
        type, limit = "ReduceMean" if layer.l2_prescale_by_channels else "ReduceSum", layer.plateau**2
        size = site.reduce(type, site.op("Mul", x, x), [1])
    else:
        size, limit = site.op("Abs", x), layer.plateau
    size = site.where(site.op("Less", size, float(limit)), 0.0, size) if limit > 0 else size
    size = site.op("Sqrt", site.op("Add", size, float(layer.epsilon))) if layer.l2_per_location else size
    return site.op("Squeeze", site.op("Div", site.op("Reshape", total(site, size), [1]), count), [0])


@writes(layers.Resample, precise=True)
def resample_(site: Site, x: Tensor, *like: Tensor) -> Tensor:
    layer = site.layer

    def resize(image: Any, height: int, width: int) -> Any:
        return resample(image, height, width, layer.type, layer.antialias)

    return _product(site, x, _matrices(site, 0, resize))


@writes(layers.Accum, precise=True)
def accum(site: Site, *bottoms: Tensor) -> Tensor:
    kept = bottoms[: len(bottoms) - site.layer.have_reference]
    resized = [_product(site, x, _matrices(site, index, interp_twin)) for index, x in enumerate(kept)]
    return site.op("Concat", *resized, axis=1) if len(resized) > 1 else resized[0]


@writes(layers.Downsample, precise=True)
def downsample_(site: Site, x: Tensor, *like: Tensor) -> Tensor:
    """NaN counts as missing; where more than half is, the pixel is NaN."""
    matrices, missing = _matrices(site, 0, downsample), site.op("IsNaN", x)
    if site.tops[0][2:] == site.bottoms[0][2:]:
        return x
    there = site.where(missing, 0.0, 1.0)
    weight, lost = (_product(site, one, matrices) for one in (there, site.op("Sub", 1.0, there)))
    found = site.op("Div", _product(site, site.where(missing, 0.0, x), matrices), weight)
    return site.where(site.op("Greater", site.op("Div", lost, weight), 0.5), np.float32(np.nan), found)


def _matrices(site: Site, bottom: int, resize: Resize) -> Matrices:
    """(H', H) and (W', W): what a resize does to the rows and to the columns, found by resizing unit matrices."""
    high, wide = site.known(site.bottoms[bottom][2:], "the size of the images")
    size = site.known(site.tops[0][2:], "the size of the images")
    rows = np.broadcast_to(np.eye(high, dtype="float32")[None, :, None], (1, high, wide, high))
    columns = np.broadcast_to(np.eye(wide, dtype="float32")[None, None], (1, high, wide, wide))
    down, across = (
        np.asarray(ops.convert_to_numpy(resize(ops.convert_to_tensor(x), *size)))[0] for x in (rows, columns)
    )
    row, column = np.abs(across).sum((1, 2)).argmax(), np.abs(down).sum((0, 2)).argmax()
    return down[:, column], across[row]


def _product(site: Site, x: Tensor, matrices: Matrices) -> Tensor:
    rows, columns = matrices
    return str(site.op("MatMul", site.op("MatMul", rows, x), np.ascontiguousarray(columns.T)))
