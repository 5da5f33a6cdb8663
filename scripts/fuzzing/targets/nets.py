"""Definitions of nets and solvers: as text, in binary form, checked and planned."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from keras_caffe import proto, registry
from keras_caffe.converters.check import check
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.load import PlanSettings, plan
from keras_caffe.converters.read import read_net
from keras_caffe.errors import CaffeError
from keras_caffe.proto.text import to_text
from keras_caffe.solver.definition import read_solver
from keras_caffe.solver.state import read_state
from scripts.fuzzing.mutations import blocks, prototxt, several, wire, words
from scripts.fuzzing.seeds import files
from scripts.fuzzing.target import Target, file_of

SHORT = 1 << 12  # bytes of a net that is planned: long ones take long, and hold the same layers again
STRINGS = ["", "data", "label", "conv1", "ip1", "a/b", "..", "\\0", "\\377", "x" * 300, *registry.registered()]


def text(data: bytes) -> None:
    read_definition(file_of(data, "net.prototxt"))


def binary(data: bytes) -> None:
    to_text(read_net(file_of(data, "net.bin")).message)


def checked(data: bytes) -> None:
    check(file_of(data, "net.prototxt"))


def planned(data: bytes) -> None:
    definition = read_definition(file_of(data, "net.prototxt"))
    for phase in ("TRAIN", "TEST"):
        with contextlib.suppress(CaffeError):
            plan(definition.select(phase), PlanSettings())


def solver(data: bytes) -> None:
    for name, read in (("solver.prototxt", read_solver), ("x.solverstate", read_state)):
        with contextlib.suppress(CaffeError):
            read(file_of(data, name))


def nets() -> Iterable[bytes]:
    return files("*.prototxt")


def binary_nets() -> Iterable[bytes]:
    for content in nets():
        with contextlib.suppress(CaffeError):
            yield read_net(content.decode("latin-1")).message.SerializePartialToString()


def solvers() -> Iterable[bytes]:
    yield b'net: "a.prototxt" base_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 10 max_iter: 20 type: "Adam"'
    yield b'train_net: "a" test_net: "b" test_iter: 3 test_interval: 5 base_lr: 1 lr_policy: "multistep" stepvalue: 5'
    yield from files("*solver*.prototxt", "*.solverstate")


change_net = several(prototxt(proto.NetParameter, STRINGS), prototxt(proto.NetParameter, STRINGS), blocks)
change_solver = prototxt(proto.SolverParameter, STRINGS)
change_binary = several(wire, wire, wire, words, blocks)

TARGETS = {
    "text": Target(text, nets, change_net),
    "wire": Target(binary, binary_nets, change_binary),
    "check": Target(checked, nets, change_net, SHORT),
    "plan": Target(planned, nets, change_net, SHORT),
    "solver": Target(
        solver, solvers, lambda random, data: (change_binary if data[:1] < b" " else change_solver)(random, data)
    ),
}
