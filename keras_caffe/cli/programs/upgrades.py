"""Caffe's programs that bring old files to today's form: tools/upgrade_net_proto_text.cpp and its two neighbours.

The exit code is 1 for a wrong usage or what cannot be upgraded, 2 for a file of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_caffe.cli.programs.declared import PROGRAMS
from keras_caffe.cli.programs.glog import ERROR, log
from keras_caffe.cli.programs.usage import Values
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.read import is_text_file, read_message
from keras_caffe.converters.upgrade import upgrade_solver
from keras_caffe.converters.write import replacing
from keras_caffe.errors import CaffeError, ReadError
from keras_caffe.proto.text import to_text

Upgrade = Callable[[Any], Any]
Program = Callable[[Values, Sequence[str]], int]


def _program(name: str, kind: str, text: bool, upgrade: Upgrade) -> Program:
    place = f"{name}.cpp:1"

    def run(values: Values, positional: Sequence[str]) -> int:
        if len(positional) != 2:
            log(PROGRAMS[name].usage, place, ERROR)
            return 1
        source, target = positional
        old = _read(source, kind, text, place)
        if old is None:
            return 2
        try:
            new = upgrade(old)
        except CaffeError as error:
            log(f"Encountered error(s) while upgrading prototxt: {error.at(where=source)}", place, ERROR)
            return 1
        if new == old:
            log(f"File already in latest proto format: {source}", place, ERROR)
        with replacing(target) as file:
            file.write_bytes(to_text(new).encode() if text else new.SerializeToString())
        log(f"Wrote upgraded {kind} {'text' if text else 'binary'} proto to {target}", place)
        return 0

    return run


def _read(source: str, kind: str, text: bool, place: str) -> Any:
    """The message in a file; None, and a line in the log, where the file holds no such message."""
    form = "text" if text else "binary"
    if not Path(source).exists():
        raise CaffeError(f"File not found: {source}")
    try:
        if is_text_file(source) != text:
            raise ReadError("the file is of the other form", where=source, expected=f"a {form} file")
        return read_message(source, kind)
    except ReadError as error:
        log(f"Failed to parse input {form} file as {kind}: {source}: {error}", place, ERROR)
        return None


def _net(net: Any) -> Any:
    return read_definition(net).message


upgrade_net_proto_text: Program = _program("upgrade_net_proto_text", "NetParameter", True, _net)
upgrade_net_proto_binary: Program = _program("upgrade_net_proto_binary", "NetParameter", False, _net)
upgrade_solver_proto_text: Program = _program("upgrade_solver_proto_text", "SolverParameter", True, upgrade_solver)
