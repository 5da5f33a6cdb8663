"""No field is lost in silence: each that the schema knows is honoured, harmless, refused, or named by a warning."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

import keras_caffe
from keras_caffe import proto
from keras_caffe.errors import CaffeWarning
from keras_caffe.forks.unread import HARMLESS, UNREAD
from keras_caffe.solver.definition import read_solver
from tests.nets import input_layer, layer
from tests.package import sources

# Where the fields of a message are read that nobody there calls by the name of its parameter.
HOMES = {
    "ExpansionParameter": "data.sources.distort",
    "BatchSampler": "data.sources.boxes",
    "Sampler": "data.sources.boxes",
    "ResizeParameter": "data.sources.annotated_data",
    "PriorBoxParameter": "layers.prior_box_forks",
    "CTCLossParameter": "layers.ctc_loss layers.alphabet_ctc_loss layers.warp_ctc_loss",
    "DenseImageDataParameter": "data.sources.image_data",
    **dict.fromkeys(
        ("DetectionEvaluateParameter", "DetectionOutputParameter", "MultiBoxLossParameter"), "layers.detection_bottoms"
    ),
    "DeformableConvolutionParameter": "layers.spatial",  # read as a ConvolutionParameter
}
# Messages of which all fields are refused or left out together, by the field that holds them.
WHOLE = {
    "NoiseParameter": "TransformationParameter.noise_param",
    "SaltPepperParameter": "TransformationParameter.noise_param",
    "DistortionParameter": "TransformationParameter.distort_param",  # read as _prob, _delta and so on of each measure
    "SampleConstraint": "BatchSampler.sample_constraint",  # read as min_ and max_ of each measure
}
# Messages of which a layer reads whatever field has this type.
BY_TYPE = {"RandomGeneratorParameter": "keras_caffe.layers.data_augmentation"}
ROOTS = (proto.NetParameter, proto.SolverParameter)


def messages() -> dict[str, Any]:
    """{name: descriptor} of all messages that a net or a solver may hold."""
    found: dict[str, Any] = {}
    todo = [root.DESCRIPTOR for root in ROOTS]
    while todo:
        message = todo.pop()
        if message.name not in found:
            found[message.name] = message
            todo += [field.message_type for field in message.fields if field.message_type]
    return found


def parameters(name: str) -> set[str]:
    """The fields of a layer that hold this message, or messages with it in them."""
    found = set()
    for field in proto.LayerParameter.DESCRIPTOR.fields:
        todo = [field.message_type] if field.message_type else []
        seen = set()
        while todo:
            message = todo.pop()
            if message.name not in seen:
                seen.add(message.name)
                todo += [inner.message_type for inner in message.fields if inner.message_type]
        if name in seen:
            found.add(field.name)
    return found


CODE = {
    name: {*re.findall(r"\w+", path.read_text())}
    for name, path in sources().items()
    if name != "keras_caffe.forks.unread"
}


def readers(message: str) -> list[set[str]]:
    """The words of the code that may read fields of a message."""
    wanted, homes = {message, *parameters(message)}, HOMES.get(message, "").split()
    everywhere = message in ("LayerParameter", "V1LayerParameter") or not parameters(message)
    return [words for name, words in CODE.items() if everywhere or wanted & words or name.partition(".")[2] in homes]


@pytest.mark.parametrize("message", sorted(messages()))
def test_no_field_is_lost_in_silence(message: str) -> None:
    if message in WHOLE:
        return
    words = set().union(*readers(message))
    lost = [
        field.name
        for field in messages()[message].fields
        if not {f"{message}.{field.name}"} & {*UNREAD, *HARMLESS}
        and field.name not in words
        and not nobody_needs(field.message_type)
        and not read_by_type(field.message_type)
    ]
    assert not lost, f"nothing reads {lost}: honour them, or put them into a list of keras_caffe/forks/unread.py"


def read_by_type(message: Any) -> bool:
    """Whether a layer reads whatever field has this message."""
    return message is not None and message.name in BY_TYPE and message.name in CODE[BY_TYPE[message.name]]


def nobody_needs(message: Any) -> bool:
    """Whether a field's message belongs to a type that is refused, or has nothing but fields that are in the lists."""
    if message is None:
        return False
    return message.name in WHOLE or all(f"{message.name}.{f.name}" in {**HARMLESS, **UNREAD} for f in message.fields)


@pytest.mark.parametrize("name", [*UNREAD, *HARMLESS])
def test_the_lists_name_fields(name: str) -> None:
    message, field = name.split(".")
    assert field in messages()[message].fields_by_name


def test_no_field_is_in_both_lists() -> None:
    assert not set(UNREAD) & set(HARMLESS)


X = input_layer("x", 2, 3, 4, 4)


def said(text: str) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CaffeWarning)
        keras_caffe.load(text)
    return "\n".join(str(one.message) for one in caught)


def test_a_warning_says_layer_line_and_what_the_field_does() -> None:
    text = X + layer("aug", "DataAugmentation", "x", "y", "augmentation_param { write_mean: 'm' bottomwidth: 3 }")
    line = text[: text.index('name: "aug"')].count("\n") + 1
    want = f"<text>:{line}: layer 'aug' (DataAugmentation): augmentation_param.write_mean changes nothing here; in its"
    assert f"{want} Caffe it writes the mean to that file" in said(text)
    assert "augmentation_param.bottomwidth changes nothing here" in said(text)
    found = [one for one in keras_caffe.check(text) if one.kind == "field"]
    assert [(one.severity, one.layer, one.line) for one in found] == [("warning", "aug", line)] * 2
    assert all(one.cure for one in found)


def test_defaults_and_layers_that_honour_a_field_are_not_named() -> None:
    assert not said(X + layer("aug", "DataAugmentation", "x", "y", "augmentation_param { write_mean: '' num: 0 }"))
    text = "transform_param { crop_size: 4 distort_param { hue_prob: 0.5 } } %s { source: 's' batch_size: 2 }"
    for kind, names in (("AnnotatedData", []), ("Data", ["transform_param.distort_param"])):
        found = keras_caffe.check(layer("d", kind, "", "x label", text % "data_param"))
        assert [one.text.split()[0] for one in found if one.kind == "field"] == names


@pytest.mark.parametrize(
    ("kind", "field", "tells"),
    [
        ("WarpCTCLoss", "blank_label: 2", "is for CtcLoss alone"),
        ("WarpCTCLoss", "ctc_merge_repeated: false", ""),
        ("CTCLoss", "alphabet_size: 4", "is for CtcLoss alone"),
        ("CtcLoss", "blank_index: 2", "is for CTCLoss and WarpCTCLoss"),
        ("CtcLoss", "blank_label: 2", ""),
    ],
)
def test_fields_of_another_forks_ctc_loss_are_named(kind: str, field: str, tells: str) -> None:
    found = keras_caffe.check(layer("l", kind, "x labels", "y", f"ctc_loss_param {{ {field} }}"))
    named = [one.text for one in found if one.kind == "field"]
    assert len(named) == bool(tells)
    assert all(f"ctc_loss_param.{field.split(':')[0]} changes nothing here" in text and tells in text for text in named)


@pytest.mark.parametrize(
    ("kind", "field", "tells"),
    [
        ("NdPooling", "pooling_param { ceil_mode: false }", "says how sizes are rounded"),
        ("Pooling", "pooling_param { ceil_mode: false }", ""),
        ("Correlation", "correlation_param { single_direction: 1 }", "is for Correlation1D alone"),
        ("Correlation1D", "correlation_param { single_direction: 1 }", ""),
    ],
)
def test_fields_that_one_type_reads_and_another_does_not(kind: str, field: str, tells: str) -> None:
    found = [one.text for one in keras_caffe.check(layer("l", kind, "x", "y", field)) if one.kind == "field"]
    assert len(found) == bool(tells)
    assert all(tells in text for text in found)


def test_a_solver_says_so_too(tmp_path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(X + layer("l", "EuclideanLoss", "x x", "loss"))
    text = f"net: '{net}' base_lr: 0.1 lr_policy: 'fixed' eval_type: 'detection' test_interval: 1"
    with pytest.warns(CaffeWarning, match="eval_type changes nothing here; in its Caffe it makes of a test's"):
        read_solver(text)
