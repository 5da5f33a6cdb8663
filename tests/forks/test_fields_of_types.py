"""Each field that a layer type's messages have changes something in a net of that type, or a list says why it does not.

test_unread.py asks the same of whole messages, where one type that reads a field hides another that does not.
"""

from __future__ import annotations

import copy
import itertools
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest
from google.protobuf import text_format

from keras_caffe import proto
from keras_caffe.converters.check import examined
from keras_caffe.forks.unread import HARMLESS
from keras_caffe.layers.source import SourceLayer
from scripts.generate_layer_docs import parameters
from tests.layers.cases import declared, own_types
from tests.layers.golden_case import KINDS, cases

NETS = 5  # of each type at most
VALUES = {
    "bool": (False, True),
    **dict.fromkeys(("float", "double"), (0.37, 2.5)),
    **dict.fromkeys(("int32", "int64", "uint32", "uint64"), (2, 3, 1, 0)),
    "string": ("another",),
}
UNUSED = "its Caffe does not read it"
FIXED = "PRE_FIXED alone reads it"
SECOND = "normalization, which the nets have, comes before it"
# {type: {field: why it changes nothing in the nets that are tried}}
SILENT = {
    "Convolution3D": {"group": UNUSED},
    "ConvolutionDepthwise": {"num_output": UNUSED, "group": UNUSED},
    "DataAugmentation": {
        "augment_during_test": "random transforms are needed for it, which it leaves out with a warning"
    },
    "Deconvolution3D": {
        "bias_term": "of convolution3d_param; that of convolution_param counts",
        "group": UNUSED,
        **dict.fromkeys("num_output pad kernel_size stride dilation axis".split(), UNUSED),
        **dict.fromkeys("pad_h pad_w kernel_h kernel_w stride_h stride_w".split(), UNUSED),
    },
    "Eltwise": {"stable_prod_grad": "the gradient is always the stable one"},
    "FocalLoss": {"pre_fixed_normalizer": FIXED, "normalize": SECOND},
    "Im2col": dict.fromkeys(("num_output", "bias_term", "group"), UNUSED),
    "InfogainLoss": {"pre_fixed_normalizer": FIXED},
    "LSTM": dict.fromkeys(("num_output", "clipping_threshold", "batch_size"), "lstm_param is for the type Lstm"),
    "Maxout": {"num_output": "chgroup_sz comes before it"},
    "Mul": {"mul_shape": "a second bottom comes before it"},
    "MultiBoxLoss": {"ignore_label": UNUSED, "pre_fixed_normalizer": FIXED, "normalize": SECOND},
    "PriorBoxClustered": dict.fromkeys(
        "min_size max_size aspect_ratio flip denser_prior_boxes fixed_size fixed_ratio density".split(), UNUSED
    ),
    "Proposal": dict.fromkeys(("module", "layer", "param_str"), "python_param is for the type Python"),
    "SigmoidCrossEntropyLoss": {"pre_fixed_normalizer": FIXED},
    "SmoothL1LossOHEM": {"ignore_label": UNUSED},
    "SoftmaxWithLoss": {"pre_fixed_normalizer": FIXED},
    "SoftmaxWithLossOHEM": {"pre_fixed_normalizer": "it does not know PRE_FIXED"},
    "WarpCTCLoss": dict.fromkeys(("output_delay", "preprocess_collapse_repeated", "ctc_merge_repeated"), UNUSED),
}
TYPES = {name: cls for name, cls in own_types().items() if not issubclass(cls, SourceLayer) and name != "Python"}


class Try(NamedTuple):
    """A net with a layer of the type, at `index`, and how it is loaded."""

    net: Any
    index: int
    phase: str
    fork: str | None


@cache
def texts() -> dict[str, list[tuple[str, str, str | None]]]:
    """{type: (prototxt, phase, fork) of nets that may have it}."""
    found = defaultdict(list)
    for kind in KINDS:
        some = list(itertools.islice(cases(kind, lambda name, key: key in ("prototxt", "phase", "note")), 60))
        for case in some[:: max(len(some) // (NETS - 1), 1)]:
            found[kind.split("_")[0]].append((case.text, "TRAIN" if case.training else "TEST", case.fork))
    for name, own in declared().items():
        found[name] += [(case.net, "TEST", None) for case in own if case.net]
    return found


def tries(name: str) -> list[Try]:
    found = []
    for text, phase, fork in texts()[name]:
        net = text_format.Parse(text, proto.NetParameter())
        index = next((i for i, layer in enumerate(net.layer) if layer.type == name), None)
        if index is not None:
            found.append(Try(net, index, phase, fork))
    return found


def outcome(one: Try) -> Any:
    """All that a load would make of a net: configurations, shapes, what is learned, and what is said."""
    seen = examined(one.net, None, phase=one.phase, fork=one.fork)
    said = [(found.kind, found.text) for found in seen.findings]
    if seen.planned is None:
        return said
    plan = seen.planned[0]
    layers = [(layer.layer.get_config(), layer.loss_weights) for layer in plan.layers.values()]
    return said, repr(layers), repr(plan.shapes), repr(sorted(map(str, plan.frozen)))


def changed(one: Try, param: str, field: Any) -> Iterator[Try]:
    """The net with other values of a field."""
    old = getattr(one.net.layer[one.index], param)
    for value in values(field):
        net = copy.deepcopy(one.net)
        message = getattr(net.layer[one.index], param)
        if not field.is_repeated:
            setattr(message, field.name, value)
        elif len(getattr(old, field.name)):
            getattr(message, field.name)[0] = value
        else:
            getattr(message, field.name).append(value)
        yield one._replace(net=net)


def values(field: Any) -> Iterator[Any]:
    if field.enum_type:
        yield from (value.number for value in field.enum_type.values)
    kinds = {v: k.removeprefix("TYPE_").lower() for k, v in vars(type(field)).items() if k.startswith("TYPE_")}
    yield from VALUES.get(kinds[field.type], ())


@pytest.mark.parametrize("name", TYPES)
def test_each_field_changes_something(name: str) -> None:
    bases = [(one, outcome(one)) for one in tries(name)]
    assert bases
    silent = {
        field.name
        for param in parameters(name, TYPES[name])
        for field in param.message_type.fields
        if not field.message_type
        and f"{param.message_type.name}.{field.name}" not in HARMLESS
        and not any(outcome(other) != base for one, base in bases for other in changed(one, param.name, field))
    }
    assert silent == set(SILENT.get(name, ())), (
        "honour the field, name it in keras_caffe/forks/unread.py, or list it here"
    )


def test_the_list_names_types() -> None:
    assert SILENT.keys() <= TYPES.keys()
