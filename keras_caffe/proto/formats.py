"""What a file is, as its first bytes tell."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

HEAD = 1 << 16  # bytes that tell


class Format(NamedTuple):
    """Another kind of file than protobuf's, as messages name it, and what its user can do about it."""

    kind: str
    fix: str


_UNPACK = "Unpack it first."
_FETCH = "The download failed; fetch the file itself."
_PICTURE = "Give the net's definition; a picture is an input of the net."
_FORMATS = {
    rb"\x89HDF\r\n\x1a\n": Format("an HDF5 file", "It holds arrays only; give the prototxt or binary file."),
    rb"version https://git-lfs": Format("a Git LFS pointer, not the file itself", "Run `git lfs pull`."),
    rb"\s*<[!?a-zA-Z]": Format("a web page", _FETCH),
    rb"\d{3}: [A-Z][\w ]+\s*\Z": Format("a server's error message", _FETCH),
    rb"\s*[{\[]": Format("JSON", "Give the file that Caffe reads."),
    rb"PK\x03\x04": Format("a zip archive", "Unpack it first; keras.saving.load_model reads .keras files."),
    rb"\x1f\x8b": Format("a gzip archive", _UNPACK),
    rb"BZh[1-9]1AY&SY|\xfd7zXZ\0|7z\xbc\xaf|Rar!|.{257}ustar": Format("an archive", _UNPACK),
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a": Format("a picture", _PICTURE),
    rb"%PDF-": Format("a PDF document", "Give the file that Caffe reads."),
    rb"\x93NUMPY": Format("a NumPy array", "Give the file that Caffe reads."),
}
_PATTERNS = [(re.compile(pattern, re.DOTALL), format) for pattern, format in _FORMATS.items()]


def foreign(head: bytes) -> Format | None:
    """What a file is that is no protobuf message, neither text nor binary; None where its first bytes do not tell."""
    head = head.removeprefix(codecs.BOM_UTF8)
    return next((format for pattern, format in _PATTERNS if pattern.match(head)), None)


def is_text(head: bytes) -> bool:
    """Whether bytes are text: no control characters but white space, in UTF-8, UTF-16 or with some 8-bit letters."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if len(head.translate(None, bytes(range(32)))) != len(head.translate(None, b"\t\n\r\f\v")):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return b"\xff" not in head and sum(byte > 127 for byte in head) < len(head) // 4
    return True
