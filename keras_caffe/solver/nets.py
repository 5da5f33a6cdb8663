"""Which nets a solver trains and tests (Solver::InitTrainNet, Solver::InitTestNets in solver.cpp)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

from keras_caffe import proto
from keras_caffe.converters.definition import Definition, read_definition
from keras_caffe.converters.select import add_rules, phase_name, solver_state
from keras_caffe.errors import SolverError, is_there
from keras_caffe.places import Places

Reader: TypeAlias = Callable[[Any], Definition]
TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


@dataclass(frozen=True)
class NetChoice:
    """A net of a solver and the rules that select its layers.

    Args:
        definition: the net with all of its layers.
        phase, level, stages: of the solver's state merged with the net's own.
    """

    definition: Definition
    phase: str
    level: int
    stages: tuple[str, ...]

    @property
    def selection(self) -> dict[str, Any]:
        """The rules as keyword arguments of `load` and `dataset`."""
        return {"phase": self.phase, "level": self.level, "stages": self.stages}


def reader(places: Places, options: Mapping[str, Any]) -> Reader:
    """What reads the nets that a solver names or holds; a file that it names twice is read once.

    Args:
        places: where what the solver names is looked for.
        options: arguments of `keras_caffe.load`, of which `strict` and `fork` count here.
    """
    read = partial(read_definition, strict=options.get("strict", False), fork=options.get("fork"))
    read_file = cache(lambda name: read(Path(locate(name, places))))
    return lambda source: read_file(source) if isinstance(source, str) else read(source)


def train_net(param: Any, read: Reader, stages: Sequence[str] = (), level: int | None = None) -> NetChoice:
    """The one net that a solver trains.

    Args:
        param: the SolverParameter.
        read: from `reader`.
        stages, level: further stages and another level, as on Caffe's command line.

    Raises:
        SolverError: no net, or several.
    """
    given = [field for field in TRAIN_FIELDS if param.HasField(field)]
    if len(given) != 1:
        raise SolverError(
            "more than one train net is given" if given else "no train net is given",
            expected=f"one of {', '.join(TRAIN_FIELDS)}",
            received=", ".join(given) or None,
        )
    state = proto.NetState()
    state.CopyFrom(param.train_state)
    add_rules(state, state.level if level is None else level, stages)
    return _choice(getattr(param, given[0]), "TRAIN", state, read)


def test_nets(param: Any, read: Reader) -> list[NetChoice]:
    """The nets that a solver tests, in Caffe's order: test_net_param, test_net, then the train net's file as often as
    test_iter has further entries.

    Raises:
        SolverError: test_iter, test_state or test_interval do not fit the nets.
    """
    generic = [getattr(param, field) for field in ("net_param", "net") if param.HasField(field)]
    own = [*param.test_net_param, *param.test_net]
    count = len(param.test_iter)
    if count < len(own) or (count > len(own) and not generic):
        raise SolverError(
            "test_iter must be given once for each test net", expected=f"{len(own)} entries", received=count
        )
    sources = own + generic * (count - len(own))
    if param.test_state and len(param.test_state) != count:
        raise SolverError(
            "test_state must be given once for each test net, or not at all",
            expected=f"{count} test_state",
            received=len(param.test_state),
        )
    if sources and param.test_interval < 1:
        raise SolverError(
            "test nets need a test_interval", expected="a positive number of iterations", received=param.test_interval
        )
    states = param.test_state or [proto.NetState()] * count
    return [_choice(source, "TEST", state, read) for source, state in zip(sources, states, strict=True)]


def _choice(source: Any, phase: str, state: Any, read: Reader) -> NetChoice:
    definition = read(source)
    merged = solver_state(phase, definition.message, state)
    return NetChoice(definition, phase_name(merged.phase), merged.level, tuple(dict.fromkeys(merged.stage)))


def locate(name: str, places: Places) -> str:
    """A file that a solver names: as it names it where it starts at the working directory, or else where it is."""
    path = places.find(name)
    here = places.base_dir is None and (os.path.lexists(name) or not is_there(path))
    return name if here else str(path)
