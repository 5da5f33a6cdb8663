"""Declarations in the language of `.proto` files: the schema itself, and a fork's messages and fields at run time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from google.protobuf import descriptor_pb2

from keras_caffe.errors import CaffeError
from keras_caffe.proto import schema

OWN_NUMBERS = 30000  # fields declared without a number take this one and the following

MAX_NUMBER = 2**29 - 1  # protobuf's

_TOKEN = re.compile(
    r"""\s*(?://[^\n]*\n\s*|/\*(?:[^*]|\*(?!/))*\*/\s*)*"""
    r"""(?P<token>"[^"\n]*"|'[^'\n]*'|-?[\w.]+(?:[+-]\d+)?|[{}\[\]=;,<>()]|\Z)"""
)
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64".split()
    + ["bool", "string", "bytes"]
}
_FLOATS = (_Field.TYPE_FLOAT, _Field.TYPE_DOUBLE)
_LABELS = {name: getattr(_Field, f"LABEL_{name.upper()}") for name in ("optional", "required", "repeated")}


def extend(
    definition: str = "", *, field: str | None = None, message: str | None = None, number: int | None = None
) -> None:
    """Adds a fork's messages and fields to the schema, for this process.

    Naming a message that exists (`message LayerParameter { ... }` or `extend LayerParameter { ... }`) adds to it.
    Saying the same thing twice is allowed. Messages and nets that were read before keep the old schema.

        proto.extend("message CropMapParameter { optional uint32 size = 1 [default = 2]; }",
                     field="crop_map_param", message="CropMapParameter")

    Args:
        definition: messages and enums in the language of proto2 files (no imports, oneofs, maps or services).
        field: name of a new field of LayerParameter, as prototxt files write it.
        message: the type of that field, one of the schema's messages.
        number: the field's number in binary files. By default one that no file uses: text files need no number, and
            binary files are then read by the layer's type.

    Raises:
        CaffeError: the definition cannot be read, or contradicts the schema.
    """
    file = schema.file_descriptor()
    _Parser(definition, file).parse()
    if field is not None:
        if message is None:
            raise CaffeError(f"field {field} is declared without a type", fix="Give message=, the name of its message.")
        layer = _message(file, "LayerParameter")
        declared = _Field(name=field, label=_LABELS["optional"], type_name=message, number=number or 0)
        known = {known.name: known for known in layer.field}
        if number is None and field in known:
            declared.number = known[field].number
        _add_field(layer, declared)
    _number_fields(file)
    _resolve(file)
    schema.replace(file)


def compile_proto(text: str, name: str) -> descriptor_pb2.FileDescriptorProto:
    """The descriptor of a whole schema file, `keras_caffe/proto/caffe.proto`.

    Args:
        text: the file's content (proto2; no imports, oneofs, maps or services).
        name: the file's name, which the descriptor keeps.

    Raises:
        CaffeError: the text cannot be read, or contradicts itself.
    """
    file = descriptor_pb2.FileDescriptorProto(name=name, package=schema.PACKAGE)
    _Parser(text, file, where=name).parse()
    fields = ((scope[1:], field) for scope, message in _messages("", file.message_type) for field in message.field)
    unnumbered = [f"{scope}.{field.name}" for scope, field in fields if not field.number]
    if unnumbered:
        raise CaffeError("fields without a number", where=name, received=unnumbered, fix="Write = <number> after each.")
    _resolve(file)
    return file


class _Parser:
    """Reads declarations into a file descriptor; nested messages are handled by an explicit depth of one parser."""

    def __init__(self, text: str, file: descriptor_pb2.FileDescriptorProto, where: str = "<declaration>") -> None:
        self.file, self.where = file, where
        self.tokens = self._tokens(text + "\n")
        self.token = next(self.tokens)

    def _tokens(self, text: str) -> Iterator[str]:
        position = 0
        while position < len(text):
            self.line = text.count("\n", 0, position) + 1
            match = _TOKEN.match(text, position)
            if match is None:
                self._fail("a declaration", text[position:].split()[0])
            yield match["token"]
            position = match.end()
        while True:
            yield ""

    def _fail(self, expected: str, received: str | None = None) -> NoReturn:
        received = self.token if received is None else received
        raise CaffeError(
            "the declaration cannot be read",
            where=f"{self.where}:{self.line}",
            expected=expected,
            received=received or "the end",
        )

    def take(self, *wanted: str, what: str = "") -> str:
        """The current token, which must be one of `wanted` (or a word, if `what` names one), and moves on."""
        token = self.token
        if (wanted and token not in wanted) or (what and not re.fullmatch(r"[A-Za-z_][\w.]*", token)):
            self._fail(what or " or ".join(map(repr, wanted)))
        self.token = next(self.tokens)
        return token

    def skip(self) -> None:
        while self.take() != ";":
            if not self.token:
                self._fail("';'")

    def parse(self) -> None:
        statements: dict[str, Callable[[], None]] = {
            "message": lambda: self.message(self.file.message_type),
            "extend": lambda: self.message(self.file.message_type),
            "enum": lambda: self.enum(self.file.enum_type),
            **dict.fromkeys(("syntax", "package", "option"), self.skip),
        }
        while self.token:
            if self.token not in statements:
                self._fail("message, extend or enum")
            statements[self.token]()

    def message(self, siblings: Any, depth: int = 0) -> None:
        self.take("message", "extend")
        name = self.take(what="the name of a message")
        target = next((known for known in siblings if known.name == name), None)
        if target is None:
            target = siblings.add(name=name)
        self.take("{")
        while self.token != "}":
            if self.token == "message" and depth < 8:
                self.message(target.nested_type, depth + 1)
            elif self.token == "enum":
                self.enum(target.enum_type)
            elif self.token in ("reserved", "extensions", "option"):
                self.skip()
            else:
                _add_field(target, self.field())
        self.take("}")

    def field(self) -> descriptor_pb2.FieldDescriptorProto:
        if self.token not in _LABELS:
            self._fail("optional, required, repeated, message, enum or '}'")
        field = _Field(label=_LABELS[self.take()])
        kind = self.take(what="a type")
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type_name = kind
        field.name = self.take(what="the name of a field")
        if self.token == "=":
            self.take("=")
            field.number = self.integer(1, MAX_NUMBER)
        if self.token == "[":
            self.options(field)
        self.take(";")
        return field

    def options(self, field: descriptor_pb2.FieldDescriptorProto) -> None:
        while self.token in ("[", ","):
            self.take()
            option = self.take(what="an option")
            self.take("=")
            value = self.take()
            if option == "default":
                field.default_value = _default(field, value)
            elif option == "packed":
                field.options.packed = value == "true"
        self.take("]")

    def enum(self, siblings: Any) -> None:
        self.take("enum")
        declared = descriptor_pb2.EnumDescriptorProto(name=self.take(what="the name of an enum"))
        self.take("{")
        while self.token != "}":
            name = self.take(what="the name of a value")
            self.take("=")
            declared.value.add(name=name, number=self.integer())
            self.take(";")
        self.take("}")
        known = next((known for known in siblings if known.name == declared.name), None)
        if known is None:
            siblings.append(declared)
            return
        values = {value.name: value.number for value in known.value}
        for value in declared.value:
            if values.setdefault(value.name, value.number) != value.number:
                _contradiction(f"{declared.name}.{value.name}", values[value.name], value.number)
        known.value.extend(value for value in declared.value if value.name not in {v.name for v in known.value})

    def integer(self, low: int = -(2**31), high: int = 2**31 - 1) -> int:
        try:
            value = int(self.token, 0)
        except ValueError:
            self._fail("a whole number")
        if not low <= value <= high:
            self._fail(f"a whole number from {low} to {high}")
        self.take()
        return value


def _default(field: descriptor_pb2.FieldDescriptorProto, value: str) -> str:
    """The default as descriptors hold it: strings without quotes, floats in Python's shortest form."""
    if field.type_name:
        return value
    if field.type in (_Field.TYPE_STRING, _Field.TYPE_BYTES):
        return value.strip("\"'")
    if field.type in _FLOATS:
        try:
            return repr(float(value.rstrip("f"))).removesuffix(".0")
        except ValueError:
            raise CaffeError(f"{field.name} has a default that is not a number", received=value) from None
    return value


def _message(file: descriptor_pb2.FileDescriptorProto, name: str) -> descriptor_pb2.DescriptorProto:
    return next(message for message in file.message_type if message.name == name)


def _add_field(target: descriptor_pb2.DescriptorProto, field: descriptor_pb2.FieldDescriptorProto) -> None:
    for known in target.field:
        if known.name == field.name:
            field.number = field.number or known.number
            if _facts(known) != _facts(field):
                _contradiction(f"{target.name}.{field.name}", _facts(known), _facts(field))
            return
        if field.number and known.number == field.number:
            raise CaffeError(
                f"{target.name}.{field.name} cannot have number {field.number}",
                expected="a number of its own",
                received=f"the number of {target.name}.{known.name}",
                fix="Leave the number out: binary files are then read by the layer's type.",
            )
    target.field.append(field)


def _facts(field: descriptor_pb2.FieldDescriptorProto) -> str:
    """What a field is, as a declaration says it; equal for equal fields."""
    kind = field.type_name.split(".")[-1] or _Field.Type.Name(field.type).removeprefix("TYPE_").lower()
    label = _Field.Label.Name(field.label).removeprefix("LABEL_").lower()
    default = field.default_value
    if not field.type_name and field.type in _FLOATS:
        default = repr(float(default or 0))
    return f"{label} {kind} = {field.number}" + (f" [default = {default}]" if default else "")


def _contradiction(what: str, known: object, declared: object) -> NoReturn:
    raise CaffeError(f"{what} is declared otherwise than the schema has it", expected=known, received=declared)


def _messages(scope: str, messages: Any) -> Iterator[tuple[str, descriptor_pb2.DescriptorProto]]:
    for message in messages:
        name = f"{scope}.{message.name}"
        yield name, message
        yield from _messages(name, message.nested_type)


def _number_fields(file: descriptor_pb2.FileDescriptorProto) -> None:
    for _, message in _messages("", file.message_type):
        free = max(OWN_NUMBERS, 1 + max((field.number for field in message.field if field.number < 40000), default=0))
        for field in message.field:
            if not field.number:
                field.number, free = free, free + 1


def _resolve(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Gives every field's type its full name, looking outwards from the field's message as proto files do."""
    kinds = {f".{file.package}.{enum.name}": _Field.TYPE_ENUM for enum in file.enum_type}
    messages = list(_messages(f".{file.package}", file.message_type))
    for name, message in messages:
        kinds[name] = _Field.TYPE_MESSAGE
        kinds |= {f"{name}.{enum.name}": _Field.TYPE_ENUM for enum in message.enum_type}
    for scope, message in messages:
        for field in message.field:
            if field.type_name and not field.type_name.startswith("."):
                field.type_name = _full_name(field, scope, kinds)
                field.type = kinds[field.type_name]


def _full_name(field: descriptor_pb2.FieldDescriptorProto, scope: str, kinds: dict[str, Any]) -> str:
    while scope:
        if f"{scope}.{field.type_name}" in kinds:
            return f"{scope}.{field.type_name}"
        scope = scope.rpartition(".")[0]
    raise CaffeError(
        f"field {field.name} has a type that nobody declared",
        expected="double, float, int32, ..., string, or a message or enum of the schema",
        received=field.type_name,
        fix="Declare the message in the same call, or before it.",
    )
