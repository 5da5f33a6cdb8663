"""Prototxt: what is accepted, what is refused and how, and where things are."""

from __future__ import annotations

import random
import warnings

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_caffe import proto
from keras_caffe.errors import CaffeError, CaffeWarning, ReadError
from keras_caffe.proto.text import NESTING_LIMIT, parse, to_text

NET = """name: "net"  # a comment with } and "
layer {
  name: "conv" type: "Convolution" bottom: "data" top: 'conv'
  param { lr_mult: 1 } param { lr_mult: 2. decay_mult: 0.f }
  convolution_param { num_output: 0x10, kernel_size: [3, 5]; weight_filler < type: "xav" "ier" > engine: CUDNN }
}
layer: { name: "loss" type: "SoftmaxWithLoss" loss_weight: -1e-3 phase: 1 }
"""


def net(text: str, **options: bool):
    return parse(text, proto.NetParameter, "net.prototxt", **options)


def refused(text: str, message: str = "NetParameter") -> ReadError:
    with pytest.raises(ReadError) as caught:
        parse(text, proto.message_class(message), "net.prototxt")
    return caught.value


def test_values_of_every_spelling() -> None:
    message, lines = net(NET)
    conv, loss = message.layer
    assert (conv.name, list(conv.top), loss.phase) == ("conv", ["conv"], proto.NetParameter().state.phase)
    assert [spec.lr_mult for spec in conv.param] == [1, 2]
    assert list(conv.convolution_param.kernel_size) == [3, 5]
    assert conv.convolution_param.num_output == 16
    assert conv.convolution_param.weight_filler.type == "xavier"
    assert loss.loss_weight[0] == pytest.approx(-1e-3)
    assert lines == (2, 7)


@pytest.mark.parametrize(
    "text",
    [
        NET,
        'layer [ { name: "a" }, < name: "b" > ]',
        "layer { loss_weight: [1, 2., -inf, nan, .5, 1.f, 1e3f] }",
        "layer { pooling_param { pool: AVE } } # end",
        "layer { pooling_param { pool: 1 } }",
        'name: "\\x41\\101\\n\\"" force_backward: t',
        "",
    ],
)
def test_the_library_reads_the_same(text: str) -> None:
    theirs = text_format.Parse(text, proto.NetParameter())
    assert net(text).message.SerializeToString() == theirs.SerializeToString()


@pytest.mark.parametrize("edit", [("\n", "\r\n"), ("", "\ufeff"), ("  ", "\t"), (" ", " \n#c\n")])
def test_line_ends_byte_order_mark_and_comments_change_nothing(edit: tuple[str, str]) -> None:
    old, new = edit
    text = NET.replace(old, new) if old else new + NET
    if old == " ":
        text = NET.replace(' type: "', ' #c }\n type: "')
    assert net(text).message == net(NET).message


def test_what_only_cpp_protobuf_reads() -> None:
    message = net("input_dim: - 3 layer { loss_weight: 0x10 loss_weight: - 2.5 }").message
    assert list(message.input_dim) == [-3]
    assert list(message.layer[0].loss_weight) == [16, -2.5]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("layer {\n  type: DROPOUT }", "2:9", "quotes"),
        ("layer { include { phase: DEPLOY } }", "1:26", "TRAIN, TEST"),
        ("layer { pooling_param { pool: 9 } }", "1:31", "MAX, AVE, STOCHASTIC"),
        ("layers { layer { pool: MEDIAN } }", "1:24", "MAX, AVE, STOCHASTIC"),
        ("layer { convolution_param { num_output: ten } }", "1:41", "ten"),
        ("layer { convolution_param { num_output: -3 } }", "1:41", "-3"),
        ("input_dim: 3.5", "1:12", "3.5"),
        ("input_dim: 99999999999", "1:12", "99999999999"),
        ('name: "a" name: "b"', "1:17", "name"),
        ("layer {\n name:\n }", "3:2", "a value for name"),
        ('layer { name "a" }', "1:14", "':'"),
        ('layer { name: "a" }\n}', "2:1", "name of a field"),
        ('layer < name: "a" }', "1:19", "'>'"),
        ('layer {\n name: "a"\n', "3:1", "1:7"),
        ('name: "a\nb"', "1:7", "ends on its line"),
        ("layer { convolution_param: 3 }", "1:28", "ConvolutionParameter"),
        ("layer { name { } }", "1:14", "quotes"),
        ("/* c */", "1:1", "name of a field"),
        ("\x00", "1:1", "name of a field"),
        ("input_dim: [1, }", "1:16", "']'"),
    ],
)
def test_a_broken_text_is_refused_at_its_place(text: str, place: str, said: str) -> None:
    error = refused(text)
    assert error.where == f"net.prototxt:{place}"
    assert said in str(error)


def test_missing_required_fields_name_the_layer_line() -> None:
    error = refused("layer { }\nlayer { clip_param { min: 1 } }")
    assert error.where == "net.prototxt:2"
    assert "layer[1].clip_param.max" in str(error)


def test_unknown_fields_are_named_in_one_warning_and_left_out() -> None:
    text = """layer { name: "a" colour: [1, 2], foreign_param { x: "}" y < z: 1 > } ; top: "t" }
layer { convolution_param { num_output: 3 num_outputs: 4 } foreign_param {} }
"""
    with pytest.warns(CaffeWarning) as caught:
        message, lines = net(text)
    assert len(caught) == 1
    said = str(caught[0].message)
    assert "net.prototxt" in said
    assert "LayerParameter.colour (1:19)" in said
    assert "LayerParameter.foreign_param (1:35, 2:60)" in said
    assert "ConvolutionParameter.num_outputs (2:43, did you mean num_output?)" in said
    assert (lines, list(message.layer[0].top), message.layer[1].convolution_param.num_output) == ((1, 2), ["t"], 3)


def test_unknown_fields_leave_later_places_right() -> None:
    with pytest.warns(CaffeWarning), pytest.raises(ReadError) as caught:
        net("foreign { a: 1\n b: 2 }, input_dim: 99999999999")
    assert caught.value.where == "net.prototxt:2:21"


def test_strict_refuses_unknown_fields() -> None:
    with pytest.raises(ReadError, match="LayerParameter.colour") as caught:
        net("layer {\n colour: 1 }", strict=True)
    assert caught.value.where == "net.prototxt:2:2"


def test_an_unknown_engine_is_left_out() -> None:
    with pytest.warns(CaffeWarning, match="engine: NNPACK"):
        message, _ = net("layer { convolution_param { engine: NNPACK num_output: 3 } }")
    assert message.layer[0].convolution_param.num_output == 3
    assert not message.layer[0].convolution_param.HasField("engine")


@pytest.mark.parametrize("block", ["layer {", "foreign {", "foreign: [", "input_dim: ["])
def test_nesting_is_limited(block: str) -> None:
    assert "nested" in str(refused(block * (NESTING_LIMIT + 2))) or "value" in str(refused(block * 3))


@pytest.mark.parametrize(
    "text",
    ["a" + " " * 50000 + "x", "a: -" + " " * 50000 + "@", "a: " + "1" * 50000 + "x", "#" * 50000, '"' * 50000]
    + [
        "a: '" + "\\" * 50001,
        "a: " + '"" ' * 50000 + "@",
        "a {" + "#\n" * 50000,
        " " * 50000 + "@",
        "a: [" + "1," * 50000,
    ],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    """Any quadratic pattern would need minutes here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            net(text)
        except ReadError as error:
            assert error.where


def test_v0_and_v1_layers_have_lines() -> None:
    _, lines = net('input: "data"\nlayers { layer { name: "c" type: "conv" } }\n\nlayers {\n name: "d" }')
    assert lines == (2, 4)


def test_to_text_is_read_back() -> None:
    message, _ = net(NET)
    assert net(to_text(message)).message == message


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damaged_texts_are_refused_or_read(rng: random.Random) -> None:
    text = list(NET)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(text))
        if rng.random() < 0.5:
            del text[at : at + rng.randint(1, 12)]
            text = text or [" "]
        else:
            text[at] = rng.choice("{}<>[]:;,\"'#\\0-.xX\n\r\t\0\u00e9 a")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            net("".join(text))
        except CaffeError as error:
            assert "net.prototxt" in str(error)
