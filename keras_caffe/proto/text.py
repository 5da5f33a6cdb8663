"""Protobuf text (prototxt) to messages and back.

The library parses values. Before it, one pass over the text of our own finds each field's line and column, so that
fields of an unknown fork can be reported and skipped, errors say where and what was expected, and each layer is known
by the line it starts at.
"""

from __future__ import annotations

import bisect
import re
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

from google.protobuf import text_format

from keras_caffe.cures import Instead
from keras_caffe.errors import BACKSLASH, CaffeWarning, Call, ReadError, instead, nearest
from keras_caffe.proto.generations import V1_FIELDS, other_generation
from keras_caffe.proto.values import is_of_type, is_repeated, wanted, whole

NESTING_LIMIT = 64
LISTED = ("SolverParameter.device_id",)  # one number in Caffe, a list in solvers of temporal segment networks; unread
INT32 = 1 << 31
UNKNOWN_FIELD = "unknown field"  # the kind of the warnings
DECLARE = Call("keras_caffe.proto.extend", "...", "to declare them if they matter")

# Each pattern has one way only to match a given text, so that hostile texts cost linear time too: a comment ends with
# its line, and no two runs of optional space meet.
_SPACE = r"\s*(?:\#[^\n]*\n\s*)*"
_STRING = r"""(?:"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')"""
_VALUE = rf"""
    (?P<string>{_STRING}(?:{_SPACE}{_STRING})*)
  | (?P<number>(?:-{_SPACE})?(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![\w.]))
  | (?P<word>(?:-{_SPACE})?[A-Za-z_]\w*)
"""
_FIELD = re.compile(
    rf"""{_SPACE}(?:
        (?P<name>[A-Za-z_]\w*|\[{_SPACE}[\w./]+{_SPACE}\])
        (?:{_SPACE}:{_SPACE}(?:{_VALUE})|(?:{_SPACE}:)?{_SPACE}(?P<open>[{{<\[]))
      | (?P<close>[}}>])
      | (?P<end>\Z)
    )(?:{_SPACE}[,;])?""",
    re.VERBOSE,
)
_ITEM = re.compile(rf"{_SPACE}(?:{_VALUE}|(?P<open>[{{<])|(?P<close>\]))(?:{_SPACE}[,;])?", re.VERBOSE)
_NAME = re.compile(rf"{_SPACE}[A-Za-z_]\w*")
_COLON = re.compile(rf"({_SPACE}:{_SPACE})(?P<quote>[\"'])?")
_WORD = re.compile(rf"{_SPACE}(\w+|\S|\Z)")
_ONE_STRING = re.compile(_STRING)
_ESCAPE = r"""\\(?:[abfnrtv\\?'"]|[0-7]{1,3}|[xX][0-9a-fA-F]|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})"""
_UNESCAPED = re.compile(rf"""(["'])(?:[^\\"']|(?!\1)["']|{_ESCAPE})*""")
_WINDOWS_PATH = re.compile(r"""["'][A-Za-z]:\\[^\\]""")
NOTED = "unknown_value"  # a layer's field for what its enums do not know: set by readers, never by a file
_UNKNOWN_VALUE = re.compile(r'^( *)unknown_value \{\n *field: "([\w.]+)"\n *value: "(-?\w+)"\n *\}\n', re.MULTILINE)
_CLOSING = {"{": "}", "<": ">", "[": "]"}


class Parsed(NamedTuple):
    """A parsed text.

    Attributes:
        message: the message.
        lines: the lines at which its `layer` blocks start, in order, then those of its `layers` blocks.
    """

    message: Any
    lines: tuple[int, ...]


def parse(text: str, message_class: Any, file: str = "<text>", *, strict: bool = False) -> Parsed:
    """Parses protobuf text.

    Args:
        text: the text.
        message_class: the class of the message that it holds.
        file: the file's name, for messages.
        strict: an unknown field is an error; otherwise it is left out, and one warning names all of them.

    Raises:
        ReadError: the text is not what protobuf accepts for that message.
    """
    text = text.removeprefix("\ufeff")
    scan = _Scan(text if text.endswith("\n") else text + "\n", file, strict)
    scan.run(message_class.DESCRIPTOR)
    scan.report()
    message = message_class()
    try:
        text_format.Parse(scan.edited(), message)
    except text_format.ParseError as error:
        _refuse(error, file)
    missing = message.FindInitializationErrors()
    lines = {kind: [scan.line(start) for start in starts] for kind, starts in scan.layers.items()}
    if missing:
        layer = re.match(r"(layers?)\[(\d+)\]", missing[0])
        where = f"{file}:{lines[layer[1]][int(layer[2])]}" if layer else file
        raise ReadError("required fields are missing", where=where, expected=", ".join(missing))
    return Parsed(message, (*lines["layer"], *lines["layers"]))


def to_text(message: Any) -> str:
    """The message as protobuf text, in the order of the schema; `unknown_value` goes back to where it was read."""
    text = text_format.MessageToString(message, as_utf8=True)
    while (match := _UNKNOWN_VALUE.search(text)) is not None:
        indent, path, value = match.groups()
        *blocks, name = path.split(".")
        at = text.rfind(f"\n{indent[2:]}layer", 0, match.start()) + 1  # where the layer begins
        for depth, block in enumerate(blocks):
            opening = f"\n{indent}{'  ' * depth}{block} {{"
            at = text.index(opening, max(0, at - 1)) + len(opening)
        line = f"\n{indent}{'  ' * len(blocks)}{name}: {value}"
        text = text[:at] + line + text[at : match.start()] + text[match.end() :]
    return text


def _refuse(error: text_format.ParseError, file: str) -> NoReturn:
    place = ":".join(str(part) for part in (file, error.GetLine(), error.GetColumn()) if part)
    problem = re.sub(r"^\d+:\d+ : (?:'.*?': )?", "", str(error), flags=re.DOTALL)
    raise ReadError(f"not a valid prototxt: {problem.rstrip('.')}", where=place) from None


@dataclass
class _Frame:
    """An open message or list: its descriptor (None inside an unknown field), how it closes, where it began."""

    descriptor: Any
    closing: str
    start: int
    fields: Any = field(init=False)
    name: str = ""  # of the field that the message is the value of
    of: Any = None  # the field that a list belongs to
    unknown_values: list[str] = field(default_factory=list)  # of a layer: the messages to add to it
    seen: dict[str, int] = field(default_factory=dict)  # where each field stands first

    def __post_init__(self) -> None:
        self.fields = self.descriptor.fields_by_name if self.descriptor else {}


class _Scan:
    """One pass over the text: what is where, what is unknown, what cannot be."""

    def __init__(self, text: str, file: str, strict: bool = False) -> None:
        self.text, self.file, self.strict = text, file, strict
        self.layers: dict[str, list[int]] = {"layer": [], "layers": []}
        self.unknown: dict[str, list[int]] = {}
        self.near: dict[str, str] = {}
        self.edits: list[tuple[int, int, str]] = []

    def run(self, descriptor: Any) -> None:
        self.stack = [_Frame(descriptor, "", 0)]
        position = 0
        while True:
            frame = self.stack[-1]
            match = (_ITEM if frame.closing == "]" else _FIELD).match(self.text, position)
            if match is None:
                self.explain(position, frame)
            position = match.end()
            kind = match.lastgroup
            if kind == "end":
                break
            if kind == "close":
                self.close(match, frame)
            elif frame.closing == "]":
                self.value(match, frame.of, frame)
            else:
                self.field(match, frame)
        if len(self.stack) > 1:
            frame = self.stack[-1]
            where = self.place(frame.start)
            self.fail(
                len(self.text), "the text ends inside a block", f"'{frame.closing}' for the one opened at {where}"
            )

    def field(self, match: re.Match[str], frame: _Frame) -> None:
        name = match["name"]
        known = frame.fields.get(name) if name != NOTED else None
        listed = match["open"] == "[" and known is not None and known.full_name.endswith(LISTED)
        if known is not None and not listed:
            self.once(match, known, frame)
            self.value(match, known, frame)
            return
        outermost = frame.descriptor is not None
        if outermost and not listed:
            self.note(f"{frame.descriptor.name}.{name}", match.start("name"), frame.fields)
        if match.lastgroup == "open":
            self.push(None, match, match.start("name") if outermost else -1)
        elif outermost:
            self.blank(match.start("name"), match.end())

    def once(self, match: re.Match[str], known: Any, frame: _Frame) -> None:
        """Refuses a second value of a field that has one only."""
        first = frame.seen.setdefault(known.name, match.start("name"))
        if first != match.start("name") and not is_repeated(known):
            raise ReadError(
                f"{known.name} is given twice",
                where=self.place(match.start("name")),
                expected=f"one {known.name} in each {frame.descriptor.name}",
                fix=f"The first one is at {':'.join(map(str, self.line_and_column(first)))}; delete one of them.",
            )

    def value(self, match: re.Match[str], known: Any, frame: _Frame) -> None:
        """Checks that the value is of the field's kind, and opens the message or list that begins here."""
        kind = match.lastgroup or ""
        if kind == "open":
            if match["open"] == "[" and known is not None and not is_repeated(known):
                self.expected(match, known)
            elif match["open"] == "[":
                self.push(frame.descriptor, match, match.start("open"), known)
            elif known is None:
                self.push(None, match, -1)
            elif known.message_type is None:
                self.expected(match, known)
            else:
                if len(self.stack) - (frame.closing == "]") == 1 and known.name in self.layers:
                    self.layers[known.name].append(match.start("open" if frame.closing == "]" else "name"))
                self.push(known.message_type, match, match.start("open"), name=known.name)
        elif known is None:
            return
        elif known.enum_type is not None:
            self.enum(match, known, frame)
        elif known.message_type is not None or not is_of_type(known, kind, match[kind]):
            self.expected(match, known)
        elif kind == "string":
            self.string(match)
        elif kind == "number":
            self.number(match, known)

    def enum(self, match: re.Match[str], known: Any, frame: _Frame) -> None:
        kind, value = match.lastgroup, match[match.lastgroup or 0]
        number = whole(value) if kind == "number" else None
        if kind == "word" and value in known.enum_type.values_by_name:
            return
        if number in known.enum_type.values_by_number:
            self.number(match, known)
            return
        readable = kind == "word" or (number is not None and -INT32 <= number < INT32)
        one = readable and frame.closing != "]" and not is_repeated(known)
        path = self.path_in_layer(known) if one else None
        if known.name == "engine" and frame.closing != "]":  # who computes does not change what is computed
            self.note(f"{frame.descriptor.name}.engine: {value}", match.start("name"), {})
            self.blank(match.start("name"), match.end())
        elif path and not self.strict:
            layer, name = path
            layer.unknown_values.append(
                f' unknown_value {{ field: "{name}" value: "{value if number is None else number}" }}'
            )
            self.blank(match.start("name"), match.end())
        else:
            self.expected(match, known)

    def path_in_layer(self, known: Any) -> tuple[_Frame, str] | None:
        """The layer that is open and the path of one of its fields, if it is the type or belongs to the parameters."""
        depth = next((i for i, f in enumerate(self.stack) if f.descriptor and f.descriptor.name in LAYERS), None)
        if depth is None:
            return None
        names = [frame.name for frame in self.stack[depth + 1 :] if frame.name] + [known.name]
        is_parameter = names[0].endswith("_param") and len(names) > 1
        return (self.stack[depth], ".".join(names)) if is_parameter or names == ["type"] else None

    def string(self, match: re.Match[str]) -> None:
        """Refuses the escapes that C++ protobuf refuses, and warns of those in what looks like a path of Windows."""
        for piece in _ONE_STRING.finditer(self.text, match.start("string"), match.end("string")):
            readable = _UNESCAPED.match(self.text, piece.start(), piece.end() - 1)
            end = piece.end() - 1 if readable is None else readable.end()
            if end < piece.end() - 1:
                escape = self.text[end : end + 2]
                raise ReadError(BACKSLASH, where=self.place(end), received=f"{escape} in {piece[0]}")
            if _WINDOWS_PATH.match(piece[0]):
                where = self.place(piece.start() + 3)
                warnings.warn(CaffeWarning(BACKSLASH, where=where, received=piece[0]), stacklevel=7)

    def number(self, match: re.Match[str], known: Any) -> None:
        """Rewrites, in the same width, what C++ protobuf reads and Python's does not.

        That is `- 3`, hex for a float and octal for an enum.
        """
        value = match["number"]
        plain = "".join(value.split()) if "#" not in value else value
        if known.enum_type is not None:
            plain = str(whole(value))
        elif (
            "x" in plain.lower() and len(plain) <= 16 and known.cpp_type in (known.CPPTYPE_FLOAT, known.CPPTYPE_DOUBLE)
        ):
            plain = str(int(plain, 16))
        if plain != value and len(plain) <= len(value) and "\n" not in value:
            self.edits.append((match.start("number"), match.end("number"), plain.rjust(len(value))))

    def push(self, descriptor: Any, match: re.Match[str], start: int, of: Any = None, name: str = "") -> None:
        if len(self.stack) > NESTING_LIMIT:
            self.fail(match.start("open"), "blocks are nested too deeply", f"at most {NESTING_LIMIT} levels")
        self.stack.append(_Frame(descriptor, _CLOSING[match["open"]], start, name, of))

    def close(self, match: re.Match[str], frame: _Frame) -> None:
        if match["close"] != frame.closing:
            self.explain(match.start("close"), frame)
        self.stack.pop()
        if frame.unknown_values:
            self.edits.append((match.start("close"), match.start("close"), "".join(frame.unknown_values) + " "))
        parent = self.stack[-1]
        if frame.start >= 0 and frame.descriptor is None and parent.descriptor is not None:
            self.blank(frame.start, match.end())

    def note(self, name: str, start: int, fields: Any) -> None:
        self.unknown.setdefault(name, []).append(start)
        if name not in self.near:
            message, _, field = name.rpartition(".")
            near = nearest(field, fields, 1, 0.84)[:1]
            self.near[name] = V1_FIELDS[field] if message == "LayerParameter" and field in V1_FIELDS else "".join(near)

    def blank(self, start: int, end: int) -> None:
        self.edits.append((start, end, re.sub(r"[^\n]", " ", self.text[start:end])))

    def edited(self) -> str:
        """The text as the library shall see it; every line and column is where it was."""
        pieces, position = [], 0
        for start, end, piece in sorted(self.edits):
            pieces += [self.text[position:start], piece]
            position = end
        return "".join([*pieces, self.text[position:]])

    def report(self) -> None:
        if not self.unknown:
            return
        problem = f"unknown fields: {'; '.join(map(self.unknown_field, self.unknown))}"
        if self.strict:
            first = min(start for starts in self.unknown.values() for start in starts)
            raise ReadError(problem, where=self.place(first), fix=DECLARE)
        fix = ("They are left out.", DECLARE)
        parts = [
            CaffeWarning(self.unknown_field(name), kind=UNKNOWN_FIELD, where=self.place(starts[0]), fix=fix)
            for name, starts in self.unknown.items()
        ]
        warnings.warn(CaffeWarning(problem, kind=UNKNOWN_FIELD, parts=parts, where=self.file, fix=fix), stacklevel=4)

    def unknown_field(self, name: str) -> str:
        places = ", ".join(":".join(map(str, self.line_and_column(start))) for start in self.unknown[name])
        hint = f", did you mean {self.near[name]}?" if self.near[name] else ""
        return f"{name} ({places}{hint})"

    @cached_property
    def newlines(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    def line(self, position: int) -> int:
        return bisect.bisect_left(self.newlines, position) + 1

    def line_and_column(self, position: int) -> tuple[int, int]:
        return self.line(position), position - self.text.rfind("\n", 0, position)

    def place(self, position: int) -> str:
        return ":".join(map(str, (self.file, *self.line_and_column(position))))

    def fail(self, position: int, problem: str, expected: object) -> NoReturn:
        word = _WORD.match(self.text, position)
        received = repr(word[1]) if word and word[1] else "the end of the text"
        start = word.start(1) if word and word[1] else position
        raise ReadError(problem, where=self.place(start), expected=expected, received=received)

    def expected(self, match: re.Match[str], known: Any) -> NoReturn:
        """Raises the error for a value that the field cannot have."""
        received = match[match.lastgroup or 0]
        where = self.place(match.start(match.lastgroup or 0))
        other = other_generation(self.stack[-1].descriptor.name, known.name, received)
        if known.enum_type is not None:
            names: Instead = {"fix": other} if other else _words(known, received)
            raise ReadError(f"{known.name} has a value that is not known", where=where, received=received, **names)
        problem = f"{known.name} cannot take this value"
        raise ReadError(problem, where=where, expected=wanted(known), received=received, fix=other)

    def explain(self, position: int, frame: _Frame) -> NoReturn:
        """Raises the error for a place where neither a field nor an end can be read."""
        if frame.closing == "]":
            self.fail(position, "not a valid prototxt", "a value or ']'")
        name = _NAME.match(self.text, position)
        if name is None:
            wanted = "the name of a field" + (f" or '{frame.closing}'" if frame.closing else "")
            self.fail(position, "not a valid prototxt", wanted)
        word = name[0].split()[-1]
        after = _COLON.match(self.text, name.end())
        if after is None:
            self.fail(name.end(), "not a valid prototxt", f"':' and a value, or '{{', after {word}")
        start, quote = after.end(1), after["quote"]
        if quote is None:
            self.fail(start, "not a valid prototxt", f"a value for {word}")
        line = self.text[start : self.text.index("\n", start)].rstrip()
        problem = BACKSLASH if line.endswith(f"\\{quote}") else "not a valid prototxt"
        raise ReadError(problem, where=self.place(start), expected="a string that ends on its line", received=line)


LAYERS = ("LayerParameter", "V1LayerParameter")


def _words(known: Any, received: str) -> Instead:
    """The words of an enum field that come near to what a text has for it."""
    word = received.strip("'\"")
    if word != received and word in known.enum_type.values_by_name:
        return {"fix": f"Write the word without quotes: {known.name}: {word}."}
    return instead([word], known.enum_type.values_by_name)
