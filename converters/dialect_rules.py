"""What a dialect means in a net, said in Caffe's own words: rules that need more than one layer's message."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from keras_caffe import proto
from keras_caffe.errors import CaffeWarning, NetError, Option
from keras_caffe.forks.dialects import Fork
from keras_caffe.layers.bn_forks import is_affine
from keras_caffe.layers.spatial import stated, stated_dilation
from keras_caffe.registry import class_of

ELEMENTWISE = {
    *("AbsVal", "BN", "BNLL", "BatchNorm", "Bias", "Clip", "Concat", "Dropout", "ELU", "Eltwise", "Exp", "LRN", "Log"),
    *("MVN", "Normalize", "PReLU", "Power", "ReLU", "Scale", "Sigmoid", "Slice", "Softmax", "Split", "TanH"),
    *("Threshold",),
}
"""Layers whose tops lie on their bottoms, position by position."""

QUANTIZED = {
    **{f"{name}Ristretto": name for name in ("Convolution", "Deconvolution", "LRN")},
    **{"FcRistretto": "InnerProduct", "ConvolutionInq": "Convolution", "FcInq": "InnerProduct"},
}
"""Types that compute with fewer bits (Ristretto: pmgysel/caffe; INQ): the type that they are in floats"""

Where = Callable[[str], str | None]


def in_todays_words(net: proto.NetParameter, fork: Fork, where: Where, own: Container[str] = ()) -> proto.NetParameter:
    """The net with explicit offsets of Crop layers and lr_mult of BatchNorm layers, as the dialect has them, and
    with quantised types, but the caller's `own`, as what they are in floats.

    Raises:
        NetError: the layers between the two bottoms of a Crop do not align them.
    """
    new = proto.NetParameter()
    new.CopyFrom(net)
    if fork.name == "nvcaffe":
        for layer in new.layer:
            _train_affine_only(layer)
    _in_floats([layer for layer in new.layer if layer.type in QUANTIZED and not _has_class(layer.type, own)], where)
    for index in [i for i, layer in enumerate(new.layer) if _is_open_crop(layer)]:
        _align(new, index, fork, where)
    return new


def _has_class(name: str, own: Container[str]) -> bool:
    return name in own or class_of(name) is not None


def _in_floats(quantized: Sequence[Any], where: Where) -> None:
    if not quantized:
        return
    first, names = quantized[0], ", ".join(dict.fromkeys(layer.type for layer in quantized))
    floats = ", ".join(dict.fromkeys(QUANTIZED[layer.type] for layer in quantized))
    warnings.warn(
        CaffeWarning(
            f"{len(quantized)} layers compute with fewer bits in their Caffe ({names}); here they compute in floats "
            f"({floats}): results lack that rounding",
            where=where(first.name),
            layer=f"{first.name!r} ({first.type})",
        ),
        stacklevel=5,
    )
    for layer in quantized:
        layer.type = QUANTIZED[layer.type]


def _train_affine_only(layer: Any) -> None:
    """NVCaffe's BatchNorm sets these itself, whatever the file says."""
    if layer.type != "BatchNorm":
        return
    for index in range(5 if is_affine(layer.batch_norm_param) else 3):
        spec = layer.param[index] if index < len(layer.param) else layer.param.add()
        spec.lr_mult = spec.decay_mult = float(index > 2)


def _is_open_crop(layer: Any) -> bool:
    return layer.type in ("Crop", "AutoCrop") and len(layer.bottom) == 2 and not layer.HasField("crop_param")


def _align(net: Any, index: int, fork: Fork, where: Where) -> None:
    crop = net.layer[index]
    decided = fork.name == "fcn" or crop.type == "AutoCrop"
    guessed = not fork.asked and crop.type == "Crop"  # a data layer may have told of fcn that others have, too
    line, name = where(crop.name), f"{crop.name!r} ({crop.type})"
    try:
        offset = crop_offset(net, index)
    except NetError as error:
        if decided and guessed:
            error.fix = (*error.cures, Option("fork", "bvlc", "to crop at 0, as caffe_dss and RAS do"))
        if decided:
            raise error.at(where=line, layer=name) from None
        return
    if any(offset) and guessed:
        at = f"the offset {', '.join(map(str, offset))} that the layers between its bottoms give (FCN and HED of 2015)"
        text = f"crops at {at}; BVLC's crops at 0" if decided else f"crops at 0, as BVLC's does, and not at {at}"
        fix = (
            Option("fork", "fcn", "for FCN and HED"),
            Option("fork", "bvlc", "to crop at 0; either ends this warning"),
        )
        text = f"Crop has no crop_param, so it {text}"
        warnings.warn(CaffeWarning(text, where=line, layer=name, fix=fix), stacklevel=6)
    if decided:
        crop.type = "Crop"
        crop.crop_param.axis = 2
        crop.crop_param.offset.extend(offset)


class Map(NamedTuple):
    """Position x of a top is scale * x + shift of what it is made of."""

    scale: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)

    def of(self, below: Map) -> Map:
        """This map, of positions that `below` takes further down."""
        return Map(below.scale * self.scale, below.scale * self.shift + below.shift)


Maps = tuple[Map, Map]
"""Those of height and width."""

Write = tuple[int, int]
"""(layer, position among its tops)"""


def crop_offset(net: proto.NetParameter, index: int) -> list[int]:
    """Where, along height and width, bottom 1 of a Crop lies in bottom 0, by the layers between the two.

    Raises:
        NetError: nothing is below both, a layer between them moves values about, their scales differ, or bottom 1
            begins outside of bottom 0 or between two of its positions.
    """
    made = _made_from(net)
    below = dict(_way_down(net, made, made[index][0]))
    for write, maps in _way_down(net, made, made[index][1]):
        if write in below:
            return [_offset(*pair) for pair in zip(below[write], maps, strict=True)]
    raise NetError("the two bottoms of Crop are not made of one blob", fix="State crop_param { offset: ... }.")


def _made_from(net: Any) -> list[list[Write]]:
    """The write that each bottom of each layer reads; (-1, 0) of a bottom that no layer makes."""
    last: dict[str, Write] = {}
    made = []
    for index, layer in enumerate(net.layer):
        made.append([last.get(blob, (-1, 0)) for blob in layer.bottom])
        last.update({blob: (index, position) for position, blob in enumerate(layer.top)})
    return made


def _way_down(net: Any, made: list[list[Write]], write: Write) -> Iterator[tuple[Write, Maps]]:
    """A write and what it is made of, by bottom 0 of each layer, with the maps that lead there."""
    maps: Maps = (Map(), Map())
    while write[0] >= 0:
        yield write, maps
        layer, bottoms = net.layer[write[0]], made[write[0]]
        if not bottoms:
            return
        maps = tuple(one.of(last) for one, last in zip(maps, _layer_maps(layer), strict=True))  # type: ignore[assignment]
        write = bottoms[0]


def _layer_maps(layer: Any) -> Maps:
    """From the positions of a layer's top to those of its bottom 0."""
    if layer.type in ("Convolution", "Pooling", "Im2col"):
        windows = _windows(layer)
        return tuple(Map(Fraction(s), Fraction(k - 1, 2) - p) for k, s, p in windows)  # type: ignore[return-value]
    if layer.type == "Deconvolution":
        windows = _windows(layer)
        return tuple(Map(Fraction(1, s), (p - Fraction(k - 1, 2)) / s) for k, s, p in windows)  # type: ignore[return-value]
    if layer.type == "Crop":
        offset = [*layer.crop_param.offset] or [0]
        return tuple(Map(shift=Fraction(x)) for x in (offset * 2)[-2:])  # type: ignore[return-value]
    if layer.type in ELEMENTWISE:
        return Map(), Map()
    raise NetError(
        f"positions cannot be followed through layer {layer.name!r} ({layer.type}), which lies between the bottoms",
        fix="State crop_param { offset: ... }.",
    )


def _windows(layer: Any) -> list[tuple[int, int, int]]:
    """(extent of the kernel, stride, pad) along height and width."""
    pools = layer.type == "Pooling"
    param = layer.pooling_param if pools else layer.convolution_param
    kernel, stride, pad = (
        ([*stated(param, name)] or [default]) * 2 for name, default in (("kernel_size", 1), ("stride", 1), ("pad", 0))
    )
    dilation = [1, 1] if pools else stated_dilation(param, 2)
    extents = [(k - 1) * d + 1 for k, d in zip(kernel[:2], dilation, strict=True)]
    return list(zip(extents, stride[:2], pad[:2], strict=True))


def _offset(of_first: Map, of_second: Map) -> int:
    scale = of_second.scale / of_first.scale
    offset = (of_second.shift - of_first.shift) / of_first.scale
    if scale != 1 or offset < 0 or offset.denominator != 1:
        raise NetError(
            "the layers between the bottoms of Crop do not align them",
            expected="one scale, and an offset that is a whole number from 0 on",
            received=f"scale {scale}, offset {offset}",
            fix="State crop_param { offset: ... }.",
        )
    return int(offset)
