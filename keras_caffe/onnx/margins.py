"""Inner products with an angular margin (SphereFace, L-Softmax)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.losses import inside, integers
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Site

Bent = Callable[[Tensor], Tensor]
"""scores -> what stands at the label, before lambda weakens it"""


@writes(layers.MarginInnerProduct, precise=True)
def margin_inner_product(site: Site, features: Tensor, label: Tensor) -> Sequence[Tensor]:
    """The rows of W have length 1 from the first pass on."""
    name, kernel = site.weights[0]
    unit = kernel / np.sqrt(np.sum(np.square(kernel), axis=1, keepdims=True))
    x = site.op("Flatten", features, axis=site.layer.axis)

    def bent(scores: Tensor) -> Tensor:
        length = _length(site, x)
        return str(site.op("Mul", length, _psi(site, site.op("Div", scores, length))))

    return _product(site, x, label, site.graph.weight(name, unit), bent)


@writes(layers.LargeMarginInnerProduct, precise=True)
def large_margin_inner_product(site: Site, features: Tensor, label: Tensor) -> Sequence[Tensor]:
    lengths = np.sqrt(np.sum(np.square(site.values(0)), axis=1, keepdims=True)).T
    x = site.op("Flatten", features, axis=site.layer.axis)

    def bent(scores: Tensor) -> Tensor:
        both = site.op("Mul", _length(site, x), lengths)
        return str(site.op("Mul", both, _psi(site, site.op("Div", scores, site.op("Add", both, 1e-9)))))

    return _product(site, x, label, site.weight(0), bent)


def _product(site: Site, x: Tensor, label: Tensor, kernel: Tensor, bent: Bent) -> Sequence[Tensor]:
    """The scores, at the label (what is bent + lambda scores) / (1 + lambda); and lambda."""
    layer, strength = site.layer, _strength(site)
    scores = site.op("Gemm", x, kernel, transB=1)
    if layer.type != "SINGLE":
        known, safe = inside(site, integers(site, label), layer.num_output)
        own = site.op("Equal", site.op("Unsqueeze", safe, [1]), site.range(layer.num_output))
        own = site.op("And", own, site.op("Unsqueeze", known, [1]))
        weak = site.op("Add", bent(scores), site.op("Mul", scores, strength))
        scores = site.where(own, site.op("Div", weak, 1 + strength), scores)
    top = scores if layer.axis == 1 else site.reshape(scores, [*site.sizes()[: layer.axis], layer.num_output])
    return [top, site.op("Identity", np.asarray([strength], "float32"))]


def _strength(site: Site) -> float:
    """lambda, where it is the same in every pass."""
    layer = site.layer
    first = layer.base * (1 + layer.gamma * (layer.iteration + 1)) ** -layer.power
    falls = layer.gamma > 0 and layer.power > 0
    if layer.base and layer.gamma and layer.power and not (falls and first <= layer.lambda_min):
        site.refuse(
            "its margin changes with each run, and a file remembers nothing",
            "gamma: 0, or an iteration from which on lambda is lambda_min",
            f"lambda {first:g} in the first run",
        )
    return float(max(first, layer.lambda_min))


def _length(site: Site, x: Tensor) -> Tensor:
    """(N, K) -> (N, 1)."""
    return str(site.op("Sqrt", site.reduce("ReduceSum", site.op("Mul", x, x), [1])))


def _psi(site: Site, cos: Tensor) -> Tensor:
    """See `keras_caffe.ops.margins.psi`."""
    square, sign = site.op("Mul", cos, cos), site.op("Sign", cos)
    if site.layer.type == "DOUBLE":
        return str(site.op("Sub", site.op("Mul", site.op("Mul", square, 2.0), sign), 1.0))
    if site.layer.type == "TRIPLE":
        far = site.op("Sign", site.op("Sub", site.op("Abs", cos), 0.5))
        wave = site.op("Mul", cos, site.op("Sub", site.op("Mul", square, 4.0), 3.0))
        step = site.op("Sub", site.op("Mul", sign, site.op("Add", far, 1.0)), 2.0)
        return str(site.op("Add", site.op("Mul", far, wave), step))
    double = site.op("Sub", site.op("Mul", square, 2.0), 1.0)
    far = site.op("Mul", sign, site.op("Sign", double))
    wave = site.op("Sub", site.op("Mul", site.op("Mul", double, double), 2.0), 1.0)
    step = site.op("Sub", site.op("Add", site.op("Mul", sign, 2.0), far), 3.0)
    return str(site.op("Add", site.op("Mul", far, wave), step))
