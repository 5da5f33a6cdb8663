"""Changes that keep an input's structure, so that it gets past magic numbers, lengths and checksums."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

ODD = [0, 1, 2, 3, 7, 127, 128, 255, 256, 65535, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32]
ODD += [(1 << 63) - 1, 1 << 63, (1 << 64) - 1]
WORDS = ["-1", "0", "1", "2", "3", "7", "1e38", "-1e38", "nan", "inf", "1e-45", "0.5", "65536", "2147483647"]
WORDS += ["-2147483648", "4294967295", "9223372036854775807", "18446744073709551615", "1e400", "0x7f", "99999999999999"]
DEEPEST = 3
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5


def several(*changes: Callable[[Random, bytes], bytes]) -> Callable[[Random, bytes], bytes]:
    """A mutation that makes one to four of these changes."""

    def mutate(random: Random, data: bytes) -> bytes:
        for _ in range(random.choice([1, 1, 2, 4])):
            data = random.choice(changes)(random, data)
        return data

    return mutate


# Bytes


def words(random: Random, data: bytes, places: Sequence[int] = ()) -> bytes:
    """Replaces a number of 1 to 8 bytes: near one of these places, if there are any."""
    if not data:
        return data
    width = random.choice([1, 2, 4, 8])
    place = random.choice(places) + random.randrange(96) if places and random.random() < 0.8 else 0
    at = min(place or random.randrange(len(data)), len(data) - 1)
    at -= at % random.choice([1, width])
    old = int.from_bytes(data[at : at + width], "little")
    new = random.choice([random.choice(ODD), old + random.choice([-1, 1, 8, -8, 4096]), random.getrandbits(64)])
    number = (new % (1 << 8 * width)).to_bytes(width, random.choice(["little", "big"]))
    return data[:at] + number[: len(data) - at] + data[at + width :]


def blocks(random: Random, data: bytes) -> bytes:
    """Copies a part over another, cuts the end off, or puts a part in twice."""
    if len(data) < 2:
        return data
    size = min(random.choice([16, 64, 512, 4096]), len(data))
    one, other = (random.randrange(0, len(data) - size + 1) // size * size for _ in range(2))
    piece = data[one : one + size]
    return random.choice(
        [data[:other] + piece + data[other + size :], data[: random.randrange(len(data))], data[:other] + piece + data]
    )


def places_of(data: bytes, *signs: bytes) -> list[int]:
    """Where these signatures are."""
    return [found.start() for found in re.finditer(b"|".join(map(re.escape, signs)), data)]


# Protobuf


def varint(number: int) -> bytes:
    number %= 1 << 64
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _take_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128 or shift > 63:
            return value, at


def fields_of(data: bytes) -> list[tuple[int, bytes | int]] | None:
    """The tags and contents of a message's fields; None if it is none."""
    found: list[tuple[int, bytes | int]] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _take_varint(data, at)
            kind = tag & 7
            if kind == VARINT:
                value, at = _take_varint(data, at)
                found.append((tag, value))
                continue
            size = {FIXED32: 4, FIXED64: 8}.get(kind)
            if kind == DELIMITED:
                size, at = _take_varint(data, at)
            if size is None or not tag >> 3 or at + size > len(data):
                return None
            found.append((tag, data[at : at + size]))
            at += size
    except IndexError:
        return None
    return found


def joined(fields: Sequence[tuple[int, bytes | int]]) -> bytes:
    out = b""
    for tag, content in fields:
        if isinstance(content, int):
            out += varint(tag) + varint(content)
        else:
            out += varint(tag) + (varint(len(content)) if tag & 7 == DELIMITED else b"") + content
    return out


def wire(random: Random, data: bytes) -> bytes:
    """Changes one field of a message, at any depth; the lengths around it stay right."""
    fields = fields_of(data)
    if not fields:
        return words(random, data) if data else b"\x0a\x00"
    at = random.randrange(len(fields))
    tag, content = fields[at]
    if isinstance(content, bytes) and tag & 7 == DELIMITED and random.random() < 0.75:
        fields[at] = (tag, wire(random, content))
        return joined(fields)
    change = random.randrange(6)
    if change == 0:
        del fields[at]
    elif change == 1:
        fields.insert(random.randrange(len(fields) + 1), fields[at])
    elif change == 2:
        fields[at] = (random.choice([random.randrange(1, 1 << 9), tag ^ random.randrange(8)]), content)
    elif isinstance(content, int):
        fields[at] = (tag, random.choice(ODD))
    elif change == 3:
        fields[at] = (tag, content[: random.randrange(len(content) + 1)])
    else:
        fields[at] = (tag, words(random, content))
    return joined(fields)


# Text


def prototxt(message: Any, strings: Sequence[str]) -> Callable[[Random, bytes], bytes]:
    """A mutation of prototxts after a schema: of a message with these strings as names and types."""
    root = message.DESCRIPTOR

    def mutate(random: Random, data: bytes) -> bytes:
        text = data.decode("latin-1")
        braces = [found.end() for found in re.finditer(r"\{|^", text)]
        change = random.randrange(5)
        if change == 0 or not text.strip():
            at = random.choice(braces)
            new = text[:at] + "\n" + _field(random, _around(text[:at], root), strings) + text[at:]
        elif change == 1:
            new = _replaced(random, text, r"-?\b\d[\w.+-]*", random.choice(WORDS))
        elif change == 2:
            new = _replaced(random, text, r'"[^"]*"', f'"{random.choice(strings)}"')
        elif change == 3:
            new = _replaced(random, text, r"[^\n{}]*\{[^{}]*\}|[^\n]+\n", random.choice(["", r"\g<0>\n\g<0>\n"]))
        else:
            new = _replaced(random, text, r"\w+|[{}:\"]", random.choice(["", "{", "}", ":", '"', "# ", r"\g<0> \g<0>"]))
        return new.encode("latin-1", "replace")

    return mutate


def _replaced(random: Random, text: str, pattern: str, new: str) -> str:
    """The text with one match of a pattern replaced."""
    found = list(re.finditer(pattern, text))
    if not found:
        return text
    one = random.choice(found)
    return text[: one.start()] + (one.expand(new) if "\\g" in new else new) + text[one.end() :]


def _around(text: str, root: Descriptor) -> Descriptor:
    """The message that is open at the end of a text, as far as its names tell."""
    opened: list[Descriptor] = [root]
    for name, brace in re.findall(r"(\w*)\s*:?\s*([{}])", text):
        if brace == "}":
            opened = opened[:-1] or [root]
            continue
        field = opened[-1].fields_by_name.get(name)
        opened.append(field.message_type if field is not None and field.message_type is not None else root)
    return opened[-1]


def _field(random: Random, message: Descriptor, strings: Sequence[str], depth: int = 0) -> str:
    """A field of a message as text, with odd values."""
    if not message.fields:
        return ""
    field = random.choice(message.fields)
    if field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP):
        inner = range(random.randrange(4) if depth < DEEPEST else 0)
        return f"{field.name} {{ {' '.join(_field(random, field.message_type, strings, depth + 1) for _ in inner)} }}"
    if field.enum_type is not None:
        return f"{field.name}: {random.choice([*field.enum_type.values_by_name, '99'])}"
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return f'{field.name}: "{random.choice(strings)}"'
    if field.type == FieldDescriptor.TYPE_BOOL:
        return f"{field.name}: {random.choice(['true', 'false'])}"
    return f"{field.name}: {random.choice(WORDS)}"


# Lists


def lines(random: Random, data: bytes) -> bytes:
    """Changes a word or a line of a list."""
    rows = data.split(b"\n")
    at = random.randrange(len(rows))
    change = random.randrange(4)
    if change == 0:
        del rows[at]
    elif change == 1:
        rows.insert(random.randrange(len(rows) + 1), rows[at])
    else:
        parts = rows[at].split(b" ")
        parts[random.randrange(len(parts))] = random.choice([*WORDS, "", "#", "\0", "a b", "é"]).encode()
        rows[at] = b" ".join(parts)
    return b"\n".join(rows)
