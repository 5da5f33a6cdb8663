"""A fork's fields, declared at run time; and the schema itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from keras_caffe import proto
from keras_caffe.errors import CaffeError, CaffeWarning
from keras_caffe.proto import schema
from keras_caffe.proto.text import parse

GLUE = """
// A fork's layer.
message GlueParameter {
  enum Kind { WET = 0; DRY = 1; }
  message Pot { optional string label = 1 [default = "none"]; }
  optional uint32 amount = 1 [default = 2];
  optional float strength = 2 [default = 0.5];
  optional Kind kind = 3 [default = DRY];
  repeated Pot pot = 4;
  repeated float mix = 5 [packed = true];
  optional FillerParameter filler = 6;
}
"""
TEXT = 'layer { type: "Glue" glue_param { amount: 7 pot { } filler { value: 3 } mix: [1, 2] } }'


@pytest.fixture(autouse=True)
def same_schema_afterwards() -> Iterator[None]:
    before = schema.file_descriptor()
    yield
    schema.replace(before)


def glue(text: str = TEXT):
    return parse(text, proto.NetParameter).message.layer[0].glue_param


def test_a_declared_field_is_read() -> None:
    with pytest.warns(CaffeWarning, match="glue_param"):
        parse(TEXT, proto.NetParameter)
    proto.extend(GLUE, field="glue_param", message="GlueParameter")
    read = glue()
    assert (read.amount, read.strength, read.kind, read.pot[0].label) == (7, 0.5, 1, "none")
    assert (read.filler.value, read.filler.type, list(read.mix)) == (3, "constant", [1, 2])


def test_it_works_after_messages_were_made() -> None:
    old = proto.NetParameter(name="old")
    proto.extend(GLUE, field="glue_param", message="GlueParameter", number=4321)
    assert old.name == "old"
    assert proto.LayerParameter.DESCRIPTOR.fields_by_name["glue_param"].number == 4321
    assert proto.NetParameter(layer=[{"glue_param": {"amount": 3}}]).layer[0].glue_param.amount == 3


def test_messages_can_be_extended_in_the_text() -> None:
    proto.extend(GLUE + "extend LayerParameter { optional GlueParameter glue_param = 4000; }")
    proto.extend("message GlueParameter { optional bool hot = 7; }")
    assert glue("layer { glue_param { hot: true } }").hot


def test_saying_it_twice_is_fine() -> None:
    for _ in range(2):
        proto.extend(GLUE, field="glue_param", message="GlueParameter")
    assert glue().amount == 7


def test_own_numbers_differ() -> None:
    proto.extend("message A { optional int32 a = 1; }", field="a_param", message="A")
    proto.extend("extend LayerParameter { optional A b_param; optional A c_param; }")
    numbers = [field.number for field in proto.LayerParameter.DESCRIPTOR.fields]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("message ReLUParameter { optional int32 negative_slope = 1; }", "ReLUParameter.negative_slope"),
        ("message ReLUParameter { optional float negative_slope = 1 [default = 1]; }", "ReLUParameter.negative_slope"),
        ("extend LayerParameter { optional float other = 148; }", "clip_param"),
        ("message A { optional Nothing a = 1; }", "Nothing"),
        ("message A { optional int32 a = 1; optional int32 b = 1; }", "A.a"),
        ("message A { optional int32 a = 1 [default = 1.5]; }", "1.5"),
        ("message A { optional float a = 1 [default = x]; }", "x"),
        ("message A { int32 a = 1; }", "optional, required, repeated"),
        ("message A { optional int32 a = -1; }", "number"),
        ("message A {", "the end"),
        ("message A { optional Phase p = 1 [default = NEVER]; }", "NEVER"),
        ("enum Phase { TRAIN = 5; }", "Phase.TRAIN"),
        ("message \u00e9 {}", "\u00e9"),
        ("service A {}", "service"),
    ],
)
def test_contradictions_and_mistakes_are_refused(definition: str, said: str) -> None:
    before = schema.file_descriptor()
    with pytest.raises(CaffeError) as caught:
        proto.extend(definition)
    assert said in str(caught.value)
    assert schema.file_descriptor() == before


def test_a_field_needs_a_type() -> None:
    with pytest.raises(CaffeError, match="without a type"):
        proto.extend(GLUE, field="glue_param")


def test_the_compiled_schema_is_that_of_the_proto_file() -> None:
    """caffe.desc must be compiled again after a change to caffe.proto (scripts/compile_proto.sh)."""
    folder = Path(schema.__file__).parent
    compiled = descriptor_pb2.FileDescriptorSet.FromString((folder / "caffe.desc").read_bytes()).file[0]
    declared = descriptor_pb2.FileDescriptorProto(package="caffe")
    from keras_caffe.proto.declare import _number_fields, _Parser, _resolve

    _Parser((folder / "caffe.proto").read_text(), declared).parse()
    _number_fields(declared)
    _resolve(declared)
    facts = [
        {
            (m.name, f.name, f.number, f.label, f.type, f.type_name, f.default_value)
            for m in file.message_type
            for f in m.field
        }
        for file in (compiled, declared)
    ]
    spelt = [{(*row[:-1], _number(row[-1])) for row in rows} for rows in facts]
    assert spelt[0] == spelt[1]


def _number(default: str) -> object:
    try:
        return float(default)
    except ValueError:
        return default
