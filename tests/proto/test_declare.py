"""A fork's fields, declared at run time; and the schema itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from keras_caffe import proto
from keras_caffe.errors import CaffeError, CaffeWarning
from keras_caffe.proto import __main__ as compiler
from keras_caffe.proto import schema
from keras_caffe.proto.declare import compile_proto
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


FOLDER = Path(schema.__file__).parent


def test_the_compiled_schema_is_that_of_the_proto_file() -> None:
    compiled = descriptor_pb2.FileDescriptorSet.FromString((FOLDER / "caffe.desc").read_bytes()).file
    declared = compile_proto((FOLDER / "caffe.proto").read_text(), "caffe.proto")
    assert list(compiled) == [declared], (
        "caffe.desc is stale: run `python -m keras_caffe.proto` and commit what it writes"
    )


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose caffe.proto is compiled in place of the package's."""
    monkeypatch.setattr(compiler, "FOLDER", tmp_path)
    (tmp_path / "caffe.desc").write_bytes(b"before")
    return tmp_path


def test_the_file_is_compiled(elsewhere: Path) -> None:
    (elsewhere / "caffe.proto").write_text((FOLDER / "caffe.proto").read_text() + GLUE)
    compiler.main()
    [file] = descriptor_pb2.FileDescriptorSet.FromString((elsewhere / "caffe.desc").read_bytes()).file
    schema.replace(file)
    assert (file.name, file.package) == ("caffe.proto", "caffe")
    assert proto.message_class("GlueParameter")().strength == 0.5
    assert proto.NetParameter(name="net").name == "net"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("message A { optional int32 a = 1; optional B b = 2; }", "nobody declared"),
        ("message A { optional int32 a = 1; optional int32 b = 1; }", "A.a"),
        ("message A { optional int32 a; }", "without a number.*A.a"),
        ("message A { optional int32 a = 1 [default = 5000000000]; }", "5000000000"),
        ("message A { oneof b { int32 a = 1; } }", "caffe.proto:1"),
    ],
)
def test_a_mistake_in_the_file_leaves_what_was_compiled(elsewhere: Path, text: str, said: str) -> None:
    (elsewhere / "caffe.proto").write_text(text)
    with pytest.raises(CaffeError, match=said):
        compiler.main()
    assert (elsewhere / "caffe.desc").read_bytes() == b"before"
