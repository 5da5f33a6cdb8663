"""Deconvolution3D (facebookarchive/C3D: deconvolution3d_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras_caffe.layers.base import serializable
from keras_caffe.layers.convolution3d import Convolution3D
from keras_caffe.layers.deconvolution import Deconvolution
from keras_caffe.registry import register_layer


@serializable
@register_layer("Deconvolution3D")
class Deconvolution3D(Convolution3D, Deconvolution):
    """The adjoint of `Convolution3D`, with the same arguments: o = s(i-1) + k - 2p per axis.

    In files convolution_param.bias_term switches its bias. The fork does not read that of convolution3d_param, so
    a layer that says false there has a bias.

    Shapes: (N, L, H, W, C) -> (N, L', H', W', num_output). The weight blob is (C, num_output, *kernel).

    Raises:
        LayerError, ShapeError: as `Convolution3D`.

    Caffe: src/caffe/layers/deconvolution3d_layer.cpp (facebookarchive/C3D)
    """

    @classmethod
    def has_bias(cls, layer: Any) -> bool:
        return layer.convolution_param.bias_term
