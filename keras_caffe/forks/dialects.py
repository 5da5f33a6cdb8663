"""The dialects of Caffe: forks that give one name another meaning, and what tells which of them a net is written in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from keras_caffe.errors import LayerError, NetError, Option, instead


class Dialect(NamedTuple):
    """A fork: the repository that its meanings are taken from, what it changes, and its other names."""

    source: str
    changes: str
    aliases: tuple[str, ...] = ()


BVLC = "bvlc"
DIALECTS = {
    BVLC: Dialect("BVLC/caffe", "nothing: Caffe's own meanings"),
    "ssd": Dialect("weiliu89/caffe, branch ssd", "SmoothL1Loss is SSD's; Accuracy settles ties in its own way"),
    "textboxes": Dialect("MhLiao/TextBoxes", "PriorBox has twice SSD's boxes, each once more at the cell's lower edge"),
    "refinedet": Dialect("sfzhang15/RefineDet", "SSD's meanings; of two classes, labels above 1 are 1 in its losses"),
    "faceboxes": Dialect("sfzhang15/FaceBoxes", "PriorBox has 16 boxes for a min_size of 32, and 4 for one of 64"),
    "nvcaffe": Dialect("NVIDIA/caffe", "BatchNorm keeps running averages and may scale and shift", ("nvidia",)),
    "deeplab": Dialect("TheLegendAli/DeepLab-Context", "hole in Convolution and Im2col is the dilation"),
    "fcn": Dialect("s9xie/hed", "layers align a Crop without crop_param, SigmoidCrossEntropyLoss weighs", ("hed",)),
    "rcf": Dialect("yun-liu/rcf", "SigmoidCrossEntropyLoss weighs, negatives by 1.1, and leaves out unsure pixels"),
    "c3d": Dialect("facebookarchive/C3D", "blobs have five legacy sizes; V1 numbers 30, 31 and 34 are 3-D layers"),
    "happynear": Dialect("happynear/caffe-windows", "Normalize has no blob; InnerProduct may normalise its weights"),
    "segnet": Dialect("alexgkendall/caffe-segnet", "BN has two blobs; Upsample puts values where a mask says"),
    "pspnet": Dialect("hszhao/PSPNet", "BN has four blobs, slope, bias, mean and variance"),
    "pspnet-old": Dialect("hszhao/PSPNet, earlier code", "BN has four blobs; decay weighs the new statistics"),
    "tsn": Dialect("yjxiong/caffe", "BN has four blobs, slope, bias, mean and variance"),
    "rcnn": Dialect("rbgirshick/caffe-fast-rcnn", "SmoothL1Loss has sigma and takes weights inside and outside"),
    "rfcn": Dialect("microsoft/caffe", "SmoothL1Loss is Fast R-CNN's; normalization knows PRE_FIXED"),
    "intel": Dialect("intel/caffe", "nothing in the numbers: engines of its own"),
    "openpose": Dialect("CMU-Perceptual-Computing-Lab/caffe_train", "nothing in Caffe's own layers"),
    "ristretto": Dialect("pmgysel/caffe", "its types compute with fewer bits, here in floats, with a warning"),
}
SSDS = ("ssd", "textboxes", "faceboxes", "refinedet")
"""SSD and the dialects that have all of its meanings, but for PriorBox"""
_NAMES = {name: name for name in DIALECTS} | {a: name for name, d in DIALECTS.items() for a in d.aliases}


class Fork(NamedTuple):
    """The dialect that a net is read in.

    Attributes:
        name: see `DIALECTS`.
        reason: why this one.
        asked: whether the caller named it; otherwise the file did, or nothing.
    """

    name: str = BVLC
    reason: str = "nothing in the file points to another Caffe"
    asked: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


UNMARKED = Fork()


class Mark(NamedTuple):
    """What only some forks write.

    Args:
        what: a path from a layer to a field, "bn_param.frozen", or to the value of an enum field,
            "loss_param.normalization=PRE_FIXED"; or a layer's type.
        forks: these forks, the likeliest first.
        binds: whether no other fork reads it so. A type of its own is but a hint: forks copy layers from each other.
        tells: whether it tells the fork; else it only contradicts marks of other forks.
    """

    what: str
    forks: tuple[str, ...]
    binds: bool = True
    tells: bool = True


def _all_but(*names: str) -> str:
    return " ".join(name for name in DIALECTS if name not in (BVLC, *names))


def _marks(forks: str, whats: str, *, binds: bool = True, tells: bool = True) -> Iterator[Mark]:
    return (Mark(what, tuple(forks.split()), binds, tells) for what in whats.split())


MARKS = [
    *_marks("nvcaffe", "batch_norm_param.scale_bias batch_norm_param.scale_filler batch_norm_param.bias_filler"),
    *_marks("deeplab", "convolution_param.hole convolution_param.hole_h convolution_param.hole_w"),
    *_marks("happynear", "inner_product_param.normalize normalize_param"),
    *_marks(f"ssd {_all_but('ssd', 'happynear')}", "norm_param"),
    *_marks(f"rcnn {_all_but('rcnn', *SSDS)}", "smooth_l1_loss_param"),
    *_marks("refinedet", "multibox_loss_param.objectness_score detection_output_param.objectness_score"),
    *_marks("segnet", "bn_param.bn_mode"),
    *_marks("segnet", "loss_param.weight_by_label_freqs loss_param.class_weighting", binds=False),
    *_marks("pspnet tsn happynear", "bn_param.slope_filler bn_param.bias_filler bn_param.momentum"),
    *_marks("pspnet tsn happynear", "bn_param.frozen bn_param.eps"),
    *_marks("pspnet-old", "bn_param.var_eps bn_param.moving_average bn_param.decay bn_param.axis"),
    *_marks("segnet pspnet-old", "bn_param.scale_filler bn_param.shift_filler", tells=False),
    *_marks("rfcn intel happynear", "loss_param.normalization=PRE_FIXED"),
    *_marks(f"rcf fcn {BVLC} {_all_but('rcf', 'fcn')}", "AutoCrop"),
    *_marks("fcn rcf", "ImageLabelmapData", binds=False),
    *_marks("tsn", "video_data_param.num_segments video_data_param.modality video_data_param.new_length"),
    *_marks("deeplab pspnet", "ImageSegData", binds=False),
    *_marks("rfcn", "PSROIPooling SmoothL1LossOHEM SoftmaxWithLossOHEM BoxAnnotatorOHEM", binds=False),
    *_marks("rcnn", "ROIPooling", binds=False),
    *_marks("ssd", "PriorBox DetectionOutput MultiBoxLoss AnnotatedData DetectionEvaluate", binds=False),
    *_marks("c3d", "Convolution3D Pooling3D Deconvolution3D", binds=False),
    *_marks("segnet", "DenseImageData", binds=False),
    *_marks("tsn", "BatchReduction Gather Scatter", binds=False),
    *_marks("openpose", "ImResize Nms CPMData", binds=False),
    *_marks("ristretto", "ConvolutionRistretto DeconvolutionRistretto FcRistretto LRNRistretto", binds=False),
    *_marks("intel", "convolution_param.engine=MKL2017 convolution_param.engine=MKLDNN", binds=False),
]
_MARKS_BY_START: dict[str, list[tuple[int, Mark]]] = {}  # the layer's type or field that a mark begins with
for _index, _mark in enumerate(MARKS):
    _MARKS_BY_START.setdefault(_mark.what.partition(".")[0], []).append((_index, _mark))


class Found(NamedTuple):
    """A mark, and the layer that has it."""

    mark: Mark
    layer: str
    where: str | None

    def __str__(self) -> str:
        return f"{self.mark.what} ({self.where or 'the net'}, layer {self.layer})"


def named(fork: str | None) -> str | None:
    """The name of a dialect as the tables have it, in any case and by any of its names; None stays None.

    Raises:
        LayerError: there is no such dialect.
    """
    if fork is None:
        return None
    known = _NAMES.get(fork.lower()) if isinstance(fork, str) else None
    if known is None:
        fix = instead([fork], _NAMES).get("fix")
        raise LayerError("no such fork", expected=f"one of {', '.join(_NAMES)}", received=repr(fork), fix=fix)
    return known


def taken(net: Any, fork: str | None = None, where: Callable[[str], str | None] = lambda layer: None) -> Fork:
    """The dialect of a net, whole and upgraded: the one that is asked for, or else what its marks tell.

    Args:
        net: the NetParameter with its layers of all phases.
        fork: the one that is asked for, as `named` returns it.
        where: layer name -> `file:line`.

    Raises:
        NetError: the net has marks of two dialects, or of another than the one that is asked for.
    """
    found = list(_found(net, where))
    possible = set(DIALECTS)
    binding: list[Found] = []
    for one in (one for one in found if one.mark.binds):
        if not possible & set(one.mark.forks):
            raise _contradiction(one, binding)
        possible &= set(one.mark.forks)
        binding.append(one)
    if fork is not None:
        _check_asked(fork, [one for one in binding if one.mark.tells])
        return Fork(fork, "as asked for", True)
    likely = [
        (one.mark.forks.index(name), not one.mark.binds, name, one)
        for one in found
        for name in one.mark.forks
        if one.mark.tells and name in possible
    ]
    if not likely:
        return Fork()
    *_, name, one = min(likely)
    return Fork(name, f"it has {one}")


def _found(net: Any, where: Callable[[str], str | None]) -> Iterator[Found]:
    """The marks of a net, each where it occurs first, in the order of the table."""
    first: dict[int, Any] = {}
    for layer in net.layer:
        for field in (layer.type, *(known.name for known, _ in layer.ListFields())):
            for index, mark in _MARKS_BY_START.get(field, ()):
                if index not in first and _has(layer, mark.what):
                    first[index] = layer
    for index, layer in sorted(first.items()):
        yield Found(MARKS[index], f"{layer.name!r} ({layer.type})", where(layer.name))


def _has(message: Any, what: str) -> bool:
    path, _, wanted = what.partition("=")
    if path[0].isupper():
        return bool(message.type == path)
    *outer, last = path.split(".")
    for name in (*outer, last):
        field = message.DESCRIPTOR.fields_by_name.get(name)  # the schema may be an older one
        if field is None or not any(name == known.name for known, _ in message.ListFields()):
            return False
        message, value = getattr(message, name), message
    return not wanted or field.enum_type.values_by_number[getattr(value, last)].name == wanted


def _contradiction(one: Found, before: list[Found]) -> NetError:
    other = next((b for b in before if not set(b.mark.forks) & set(one.mark.forks)), before[-1])
    return NetError(
        "the net has marks of two forks of Caffe",
        where=one.where,
        layer=one.layer,
        expected=f"the marks of one beside {other}, which {_known_by(other.mark)}",
        received=f"{one}, which {_known_by(one.mark)}",
        fix="One of the two has another meaning in the Caffe that knows the other: delete it.",
    )


def _check_asked(fork: str, binding: list[Found]) -> None:
    for one in binding:
        if fork not in one.mark.forks:
            raise NetError(
                f"the net is not written for {fork}, the fork that was asked for",
                where=one.where,
                layer=one.layer,
                expected=f"no {one.mark.what}",
                received=f"{one}, which {_known_by(one.mark)}",
                fix=Option("fork", one.mark.forks[0], "or none"),
            )


def _known_by(mark: Mark) -> str:
    others = [name for name in DIALECTS if name not in (BVLC, *mark.forks)]
    few = len(mark.forks) <= len(others)
    return f"only {' or '.join(mark.forks)} knows" if few else f"{' and '.join(others)} has not"
