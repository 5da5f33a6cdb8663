"""Arguments of constructors: what each class refuses, and which spellings mean the same."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
import pytest
from keras import initializers

from keras_caffe import layers, losses, metrics, optimizers, registry
from keras_caffe.errors import CaffeError, LayerError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.source import SourceLayer
from tests.layers.cases import declared


class Wrong(NamedTuple):
    """Arguments that a class refuses, beside those it needs (`NEEDED`), and what the error says."""

    cls: type
    arguments: dict[str, Any]
    match: str
    error: type[CaffeError] = LayerError


class Same(NamedTuple):
    """Arguments and the canonical spelling of them."""

    cls: type
    given: dict[str, Any]
    canonical: dict[str, Any]


# What a class cannot be made without.
NEEDED: dict[type, dict[str, Any]] = {
    layers.Convolution: {"num_output": 4, "kernel_size": 3},
    layers.ConvolutionDepthwise: {"num_output": 4, "kernel_size": 3},
    layers.Deconvolution: {"num_output": 4, "kernel_size": 3},
    layers.DepthwiseConvolution: {"num_output": 4, "kernel_size": 3},
}


def wrong_filler(cls: type, name: str) -> list[Wrong]:
    unknown = rf"unknown filler type of {name}; .*received 'gausian'. Did you mean 'gaussian'\?"
    return [Wrong(cls, {name: "gausian"}, unknown), Wrong(cls, {name: 0}, f"{name} is no filler; .*received 0")]


def convolution(cls: type) -> list[Wrong]:
    return [
        Wrong(cls, {"num_output": 0}, "num_output must be a whole number of at least 1; received 0"),
        Wrong(cls, {"kernel_size": (3, 0)}, "kernel_size must be a whole number of at least 1; received 0"),
        Wrong(cls, {"stride": 1.5}, "stride must be a whole number of at least 1; received 1.5"),
        Wrong(cls, {"stride": (1, 1, 1)}, "stride must be given once or once per axis; expected 1 or 2 values"),
        Wrong(cls, {"pad": -1}, "pad must be a whole number of at least 0; received -1"),
        Wrong(cls, {"dilation": True}, "dilation must be a whole number of at least 0; received True"),
        Wrong(cls, {"group": 0}, "group must be a whole number of at least 1; received 0"),
        Wrong(cls, {"bias_term": "no"}, "bias_term must be True or False; received 'no'"),
        *wrong_filler(cls, "weight_filler"),
        *wrong_filler(cls, "bias_filler"),
    ]


# One row at least for each argument of each class.
WRONG = [
    *convolution(layers.Convolution),
    *convolution(layers.ConvolutionDepthwise),
    *convolution(layers.Deconvolution),
    *convolution(layers.DepthwiseConvolution),
    # l to z
    Wrong(layers.LRN, {"local_size": 4}, "local_size must be odd; received 4"),
    Wrong(layers.LRN, {"local_size": 0}, "local_size must be a whole number of at least 1; received 0"),
    Wrong(layers.LRN, {"alpha": "1"}, "alpha must be a number; received '1'"),
    Wrong(layers.LRN, {"beta": None}, "beta must be a number; received None"),
    Wrong(layers.LRN, {"k": [1]}, r"k must be a number; received \[1\]"),
    Wrong(layers.LRN, {"norm_region": "within"}, r"unknown norm_region; .*Did you mean 'WITHIN_CHANNEL'\?"),
    Wrong(layers.Pooling, {"pool": "MEAN"}, "unknown pool; expected one of MAX, AVE, STOCHASTIC; received 'MEAN'"),
    Wrong(layers.Pooling, {"kernel_size": 0}, "kernel_size must be a whole number of at least 1; received 0"),
    Wrong(layers.Pooling, {"kernel_size": (2,)}, "kernel_size must be given once or once per axis; expected 1 or 2"),
    Wrong(layers.Pooling, {"stride": (1, 0)}, "stride must be a whole number of at least 1; received 0"),
    Wrong(layers.Pooling, {"kernel_size": 3, "pad": 3}, r"pad must be smaller than the kernel; expected less than \(3"),
    Wrong(layers.Pooling, {"kernel_size": 3, "pad": -1}, "pad must be a whole number of at least 0; received -1"),
    Wrong(layers.Pooling, {"pool": "STOCHASTIC", "kernel_size": 3, "pad": 1}, "STOCHASTIC pooling takes no padding"),
    Wrong(layers.Pooling, {"round_mode": "down"}, "unknown round_mode; expected one of CEIL, FLOOR; received 'down'"),
    Wrong(layers.Pooling, {"global_pooling": "yes"}, "global_pooling must be True or False; received 'yes'"),
    Wrong(layers.Pooling, {"global_pooling": True, "stride": 2}, "global_pooling needs pad 0 and stride 1"),
    Wrong(layers.Pooling, {"with_mask": 2}, "with_mask must be True or False; received 2"),
    Wrong(layers.Pooling, {"pool": "AVE", "with_mask": True}, "only MAX pooling has a second top"),
]

TWO = np.int64(2)
HE = initializers.HeNormal(seed=1)
SAME = [
    Same(layers.Convolution, {"num_output": TWO, "kernel_size": 3}, {"num_output": 2, "kernel_size": (3, 3)}),
    Same(layers.Convolution, {"kernel_size": np.array([3, 1, 1])}, {"kernel_size": (3, 1, 1), "stride": (1, 1, 1)}),
    Same(layers.Convolution, {"stride": TWO, "pad": [1, 1]}, {"stride": (2, 2), "pad": (1, 1)}),
    Same(layers.Convolution, {"bias_term": np.False_, "dilation": 2}, {"bias_term": False, "dilation": (2, 2)}),
    Same(layers.Convolution, {"weight_filler": "Xavier"}, {"weight_filler": {"type": "xavier"}}),
    Same(layers.Convolution, {"weight_filler": {"std": 1}}, {"weight_filler": {"type": "constant", "std": 1.0}}),
    Same(layers.Convolution, {"weight_filler": HE}, {"weight_filler": initializers.serialize(HE)}),
    Same(layers.Convolution, {"bias_term": 0, "bias_filler": "?"}, {"bias_term": False}),
    Same(layers.Eltwise, {"operation": "max", "coeff": np.ones(2)}, {"operation": "MAX", "coeff": (1.0, 1.0)}),
    # l to z
    Same(layers.LRN, {"norm_region": "within_channel"}, {"norm_region": "WITHIN_CHANNEL"}),
    Same(layers.LRN, {"local_size": np.int32(3), "k": 2}, {"local_size": 3, "k": 2.0}),
    Same(layers.Pooling, {"pool": "max", "kernel_size": TWO}, {"pool": "MAX", "kernel_size": (2, 2)}),
    Same(layers.Pooling, {"pool": "Ave", "round_mode": "floor"}, {"pool": "AVE", "round_mode": "FLOOR"}),
]

ABSTRACT = {optimizers.CaffeOptimizer, optimizers.Policy}  # only their subclasses are made
# Classes that do not check all of their arguments yet; the list shrinks to nothing.
NOT_YET = {
    "Accuracy",
    "ArgMax",
    "BN",
    "BatchNorm",
    "BatchReindex",
    "Bias",
    "CenterLoss",
    "Clip",
    "Concat",
    "ContinuationIndicator",
    "ContrastiveLoss",
    "Crop",
    "DetectionEvaluate",
    "DetectionOutput",
    "Dropout",
    "ELU",
    "Embed",
    "Exp",
    "Filter",
    "Flatten",
    "HingeLoss",
    "Im2col",
    "InfogainLoss",
    "InnerProduct",
    "Interp",
    "L2Norm",
    "LSTM",
    "Log",
    "MVN",
    "Maxout",
    "MultiBoxLoss",
    "Normalize",
    "PReLU",
    "PSROIPooling",
    "Parameter",
    "Permute",
    "Power",
    "PriorBox",
    "Proposal",
    "Python",
    "RNN",
    "ROIAlign",
    "ROIPooling",
    "ReLU",
    "ReLU6",
    "Reduction",
    "Reorg",
    "Reshape",
    "SPP",
    "Scale",
    "ShuffleChannel",
    "SigmoidCrossEntropyLoss",
    "Slice",
    "SmoothL1Loss",
    "Softmax",
    "SoftmaxWithLoss",
    "Split",
    "Swish",
    "Threshold",
    "Tile",
    "Upsample",
    "Yolov3DetectionOutput",
    "losses.Contrastive",
    "losses.Hinge",
    "losses.Infogain",
    "losses.MultiBox",
    "losses.SigmoidCrossEntropy",
    "losses.SmoothL1",
    "losses.SoftmaxWithLoss",
    "metrics.Accuracy",
    "optimizers.AdaDelta",
    "optimizers.AdaGrad",
    "optimizers.Adam",
    "optimizers.Exp",
    "optimizers.Fixed",
    "optimizers.Inv",
    "optimizers.MultiStep",
    "optimizers.Nesterov",
    "optimizers.Plateau",
    "optimizers.Poly",
    "optimizers.RMSProp",
    "optimizers.SGD",
    "optimizers.Sigmoid",
    "optimizers.Step",
}


def names(cls: type) -> set[str]:
    """The arguments of the constructor; where it hands on `**kwargs`, also those of its base class."""
    found: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not CaffeLayer and base.__module__.startswith("keras_caffe"):
            parameters = inspect.signature(base.__init__).parameters.values()
            found |= {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - {
                "self",
                "dtype",
                "name",
                "reduction",
            }
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return found


def classes() -> dict[str, type]:
    """Everything with a constructor that the package offers: layers but data layers, losses, metrics, optimizers."""
    found = {cls.__name__: cls for cls in registry.registered().values() if not issubclass(cls, SourceLayer)}
    for module in (losses, metrics, optimizers):
        offered = [getattr(module, name) for name in module.__all__]
        room = module.__name__.split(".")[-1]
        found |= {f"{room}.{cls.__name__}": cls for cls in offered if cls not in ABSTRACT}
    return found


EXAMPLES = {type(case.layer): case.layer for cases in declared().values() for case in cases if case.layer}
WRONG += [
    Wrong(type(case.layer), dict(arguments), match)
    for cases in declared().values()
    for case in cases
    for arguments, match in case.refused
]


def needed(cls: type) -> dict[str, Any]:
    """What a class cannot be made without, from `NEEDED` or from the layer in its `Case`."""
    parameters = inspect.signature(cls.__init__).parameters.items()
    missing = {name for name, p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD} - {"self"}
    return NEEDED.get(cls) or ({n: EXAMPLES[cls].get_config()[n] for n in missing} if missing else {})


def make(cls: type, arguments: dict[str, Any]) -> Any:
    return cls(**{**needed(cls), **arguments})


@pytest.mark.parametrize("row", WRONG, ids=lambda row: f"{row.cls.__name__}-{row.arguments}")
def test_refused(row: Wrong) -> None:
    with pytest.raises(row.error, match=row.match) as caught:
        make(row.cls, row.arguments)
    assert type(caught.value) is row.error


FILLERS = [
    ({"type": "uniform", "min": 1, "max": 0}, "a uniform filler has min > max; received min 1.0, max 0.0"),
    ({"type": "gaussian", "std": 0}, "a gaussian filler needs a positive std; received 0.0"),
    ({"type": "xavier", "sparse": 2}, "filler 'xavier' cannot be sparse"),
    ({"type": "gaussian", "sparse": 1.5}, "sparse of weight_filler must be a whole number; received 1.5"),
    ({"type": "gaussian", "sdt": 1}, r"unknown field of weight_filler; .*Did you mean 'std'\?"),
    ({"type": "msra", "variance_norm": "OUT"}, "unknown variance_norm of weight_filler; expected one of FAN_IN"),
    ({"seed": 1.5}, "seed of weight_filler must be a whole number of at least 0; received 1.5"),
    ({"value": "1"}, "value of weight_filler must be a number; received '1'"),
]


@pytest.mark.parametrize(("filler", "match"), FILLERS)
def test_refused_fillers(filler: dict[str, Any], match: str) -> None:
    with pytest.raises(LayerError, match=match):
        make(layers.Convolution, {"weight_filler": filler})


@pytest.mark.parametrize("row", SAME, ids=lambda row: f"{row.cls.__name__}-{row.given}")
def test_spellings_that_mean_the_same(row: Same) -> None:
    config = make(row.cls, {**row.given, "name": "x"}).get_config()
    assert config == make(row.cls, {**row.canonical, "name": "x"}).get_config()
    assert row.canonical.items() <= config.items()
    assert row.cls.from_config(config).get_config() == config


@pytest.mark.parametrize("name", sorted(classes()))
def test_every_argument_of_every_class_has_a_row(name: str) -> None:
    cls = classes()[name]
    refused = {argument for row in WRONG if row.cls is cls for argument in row.arguments}
    missing = names(cls) - refused
    if name in NOT_YET:
        assert missing, "strike it off NOT_YET"
        return
    where = "`refused` in the Case of its test file" if name in registry.registered() else "WRONG in this file"
    assert not missing, f"write a wrong value for {sorted(missing)} of {name}, and what the error says, into {where}"


def test_the_lists_name_what_is_there() -> None:
    assert set(classes()) >= NOT_YET
    assert {row.cls for row in WRONG} <= set(classes().values())
