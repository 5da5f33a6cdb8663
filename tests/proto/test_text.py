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
        ("layer { pooling_param { pool: 9.5 } }", "1:31", "MAX, AVE, STOCHASTIC"),
        ("layers { layer { pool: MEDIAN } }", "1:24", "MAX, AVE, STOCHASTIC"),
        ("layer { convolution_param { num_output: ten } }", "1:41", "ten"),
        ("layer { convolution_param { num_output: -3 } }", "1:41", "-3"),
        ("input_dim: 3.5", "1:12", "3.5"),
        ("input_dim: 99999999999", "1:12", "99999999999"),
        ('name: "a" name: "b"', "1:11", "name is given twice; expected one name in each NetParameter."),
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


UNSIGNED, SIGNED = "a whole number from 0 to 4294967295", "a whole number from -2147483648 to 2147483647"
UNSIGNEDS = ["-1", "1.5", "1e3", "3.", "1f", "09", "4294967296", "ten", "true", '"2"', "9" * 99, "["]


@pytest.mark.parametrize(
    ("line", "field", "value", "expected"),
    [
        *(("num_output: {}", "num_output", value, UNSIGNED) for value in UNSIGNEDS),
        *(("kernel_size: [1, {}]", "kernel_size", value, UNSIGNED) for value in ("2.5", "-2", "two")),
        *(("axis: {}", "axis", value, SIGNED) for value in ("2147483648", "-2147483649", "0.5")),
        *(("bias_term: {}", "bias_term", value, "true or false") for value in ("yes", "2", "TRUE", "1.0", '"true"')),
        *(("bias_filler {{ value: {} }}", "value", value, "a number") for value in ("abc", '"1"', "true")),
        ("bias_filler {{ type: {} }}", "type", "xavier", 'a string in quotes ("...")'),
        ("bias_filler: {}", "bias_filler", "7", "{ the fields of FillerParameter }"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_field_place_and_kind(
    line: str, field: str, value: str, expected: str
) -> None:
    line = line.format(value)
    error = refused(f"layer {{ convolution_param {{\n{line} }} }}")
    assert error.where == f"net.prototxt:2:{line.index(value, line.index(field) + len(field)) + 1}"
    assert error.problem == f"{field} cannot take this value"
    assert (error.expected, error.received) == (expected, value)


@pytest.mark.parametrize("value", ["0", "4294967295", "0x10", "017", "- 0"])
def test_every_spelling_of_a_whole_number_is_read(value: str) -> None:
    read = net(f"layer {{ convolution_param {{ num_output: {value} }} }}").message.layer[0].convolution_param.num_output
    assert read == {"0x10": 16, "017": 15, "- 0": 0}.get(value) or read == int(value.replace(" ", ""), 0)


BACKSLASH = r"a backslash begins an escape in prototxt strings: write / or \\"


@pytest.mark.parametrize(
    ("value", "column", "received"),
    [
        (r'"C:\Users\me\db"', 10, r'\U in "C:\Users\me\db"'),
        (r"'D:\work'", 10, r"\w in 'D:\work'"),
        (r'"D:\temp\work"', 15, r'\w in "D:\temp\work"'),
        (r'"D:/" "\xml"', 14, r'\x in "\xml"'),
        (r'"\\server\share"', 16, r'\s in "\\server\share"'),
        (r'"D:\data\"', 7, r'"D:\data\"'),
    ],
)
def test_an_escape_that_protobuf_does_not_have_is_refused_at_its_place(value: str, column: int, received: str) -> None:
    error = refused(f"force_backward: true\nname: {value}")
    assert (error.problem, error.received) == (BACKSLASH, received)
    assert error.where == f"net.prototxt:2:{column}"


def test_a_path_of_windows_whose_backslashes_are_escapes_is_read_as_caffe_reads_it_with_a_warning() -> None:
    with pytest.warns(CaffeWarning) as caught:
        message = net(r'name: "D:\temp\new"').message
    assert message.name == "D:\temp\new"
    assert [str(w.message) for w in caught] == [rf'net.prototxt:1:10: {BACKSLASH}; received "D:\temp\new"']


def test_the_escapes_of_protobuf_are_read() -> None:
    text = r'"\a\b\f\n\r\t\v\\\'\"\7\x41\u00e9\U0001F600"' + " '\\\"'"
    assert net(f"name: {text}").message.name == '\a\b\f\n\r\t\v\\\'"\7A\u00e9\U0001f600"'


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("layer { type: INNER_PRODUCT }", 'In a `layer` block, write the type as a string: type: "InnerProduct".'),
        ("layer { type: ReLU }", 'In a `layer` block, write the type as a string: type: "ReLU".'),
        (
            'layers { type: "INNER_PRODUCT" }',
            "In a `layers` block, write the type as a word without quotes: type: INNER_PRODUCT.",
        ),
        (
            'layers { type: "SoftmaxWithLoss" }',
            "In a `layers` block, write the type as a word without quotes: type: SOFTMAX_LOSS.",
        ),
        ('layers { type: "relu" }', "In a `layers` block, write the type as a word without quotes: type: RELU."),
        ('layers { type: "BatchNorm" }', "`layers` blocks have no such type: write `layer` in place of `layers`."),
        (
            "layers { param { lr_mult: 1 } }",
            "A `layers` block has blobs_lr and weight_decay for this; param { lr_mult } belongs in a `layer` block.",
        ),
        ('layer { pooling_param { pool: "MAX" } }', "Write the word without quotes: pool: MAX."),
        ('layer { pooling_param { pool: "Max" } }', "Did you mean 'MAX'?"),
    ],
)
def test_words_and_strings_of_the_other_kind_of_block_are_told_from_each_other(text: str, fix: str) -> None:
    assert refused(text).fix == fix


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("blobs_lr: 1", r"blobs_lr \(1:9, did you mean param { lr_mult }\?\)"),
        ("weight_decay: 1", r"weight_decay \(1:9, did you mean param { decay_mult }\?\)"),
        ('Bottom: "a"', r"Bottom \(1:9, did you mean bottom\?\)"),
    ],
)
def test_fields_of_old_blocks_are_told_what_has_taken_their_place(field: str, said: str) -> None:
    with pytest.warns(CaffeWarning, match=said):
        net(f"layer {{ {field} }}")


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
    with pytest.raises(ReadError) as caught:
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


def test_a_list_of_devices_is_left_out() -> None:
    solver = parse("device_id: [0, 1] max_iter: 7", proto.message_class("SolverParameter"), strict=True).message
    assert solver.max_iter == 7
    assert not solver.HasField("device_id")
    with pytest.raises(ReadError, match="max_iter cannot take this value"):
        parse("max_iter: [0, 1]", proto.message_class("SolverParameter"))
