"""`.solverstate` and `.solverstate.h5` (SGDSolver::SnapshotSolverState in sgd_solver.cpp)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe import proto
from keras_caffe.converters import write
from keras_caffe.errors import CaffeError, Option, ReadError
from keras_caffe.hdf5_file import created, member, opened
from keras_caffe.proto.wire import (
    DELIMITED,
    FIXED32,
    VARINT,
    Mapped,
    fields,
    names,
    read_blob,
    text_of,
    varint,
)

HISTORY_LIMIT = 100_000
TEXT_LIMIT = 1 << 16  # bytes
NUMBERS = ("iter", "current_step", "minimum_loss", "iter_last_event")  # of a state in HDF5


@dataclass
class State:
    """What a solver keeps beside the parameters.

    Args:
        iteration: iterations done.
        learned_net: the file with the parameters, as it is named in the state; "" if none is.
        current_step: of the policies step, multistep and plateau.
        minimum_loss, iter_last_event: of the policy plateau.
        history: arrays in Caffe's order.
    """

    iteration: int = 0
    learned_net: str = ""
    current_step: int = 0
    minimum_loss: float | None = None
    iter_last_event: int | None = None
    history: Sequence[np.ndarray] = field(default_factory=list)

    @property
    def plateau(self) -> dict[str, Any]:
        """What SSD's states hold beyond Caffe's."""
        values = {"minimum_loss": self.minimum_loss, "iter_last_event": self.iter_last_event}
        return {name: value for name, value in values.items() if value is not None}


def write_state(path: str | os.PathLike[str], state: State) -> None:
    """Writes a state, whole or not at all: HDF5 if the name ends in `.h5`.

    Raises:
        ReadError: the file cannot be written.
    """
    with write.replacing(path) as temporary:
        if os.fspath(path).endswith(".h5"):
            _write_hdf5(temporary, state)
        else:
            with temporary.open("wb") as file:
                head = proto.SolverState(iter=state.iteration, learned_net=state.learned_net)
                file.write(head.SerializeToString())
                for array in state.history:
                    file.writelines(write.blob_field(proto.SolverState, "history", array))
                file.write(proto.SolverState(current_step=state.current_step, **state.plateau).SerializeToString())


def _write_hdf5(path: Path, state: State) -> None:
    with created(path) as file:
        file.create_dataset("iter", data=np.array([state.iteration], "int32"))
        learned = np.bytes_(state.learned_net.encode() + b"\0")  # of fixed length, as C writes it
        file.create_dataset("learned_net", data=learned)
        file.create_dataset("current_step", data=np.array([state.current_step], "int32"))
        for name, value in state.plateau.items():
            file.create_dataset(name, data=np.array([value], "int32" if isinstance(value, int) else "float32"))
        group = file.create_group("history")
        for number, array in enumerate(state.history):
            group.create_dataset(str(number), data=np.asarray(array, "float32"))


def read_state(path: str | os.PathLike[str]) -> State:
    """Reads a state.

    Raises:
        ReadError: the file is missing, broken or of another kind.
    """
    if os.fspath(path).endswith((".caffemodel", ".caffemodel.h5")):
        raise ReadError(
            "these are a net's trained values, not a solver's state",
            where=str(path),
            fix=("Give the .solverstate beside it.", Option("weights", ..., "to begin anew with these values")),
        )
    file = Mapped(path)
    if os.fspath(path).endswith(".h5"):
        return _read_hdf5(file.path)
    if file.foreign():
        file.refuse("this is not a solver's state")
    known, state = names(proto.SolverState), State()
    history: list[np.ndarray] = []
    for at in fields(file, 0, file.size, top=True):
        name = known.get(at.number)
        if name == "history" and at.wire_type == DELIMITED:
            if len(history) >= HISTORY_LIMIT:
                file.refuse(f"there are more than {HISTORY_LIMIT} histories", at.tag)
            history.append(_blob(file, at.start, at.end, len(history)))
        elif name == "learned_net" and at.wire_type == DELIMITED:
            state.learned_net = text_of(file, at)
        elif name == "minimum_loss" and at.wire_type == FIXED32:
            state.minimum_loss = float(file.array(at.start, at.end, "<f4")[0])
        elif name in ("iter", "current_step", "iter_last_event") and at.wire_type == VARINT:
            setattr(state, "iteration" if name == "iter" else name, varint(file, at.start, at.end)[0])
        else:
            file.refuse("this is not a solver's state", at.tag)
    state.history = history
    return _checked(state, str(path))


def _blob(file: Mapped, start: int, end: int, number: int) -> np.ndarray:
    try:
        return read_blob(file, start, end).copy()
    except CaffeError as error:
        raise error.at(where=str(file.path), layer=f"history {number}") from None


def _read_hdf5(path: Path) -> State:
    from keras_caffe.converters.read_hdf5 import floats  # h5py is loaded only where it is needed

    with opened(path, problem="this is not a solver's state in HDF5") as file:
        numbers = {name: _number(file, name, path) for name in NUMBERS}
        history = member(file, "history", path)
        if history is None or numbers["iter"] is None:
            raise ReadError("this is not a solver's state in HDF5", where=str(path), expected="iter and history")
        event = numbers["iter_last_event"]
        return _checked(
            State(
                iteration=int(numbers["iter"]),
                learned_net=_text(file, "learned_net", path),
                current_step=int(numbers["current_step"] or 0),
                minimum_loss=numbers["minimum_loss"],
                iter_last_event=None if event is None else int(event),
                history=[
                    floats(member(history, str(number), path), f"history {number}", path)
                    for number in range(len(history))
                ],
            ),
            str(path),
        )


def _number(file: Any, name: str, path: Path) -> float | None:
    """The one number that a dataset holds; None if there is no such dataset."""
    dataset = member(file, name, path)
    if dataset is None:
        return None
    if dataset.size != 1:
        raise ReadError(f"{name} is not a number", where=str(path), received=f"shape {dataset.shape}")
    return float(np.ravel(dataset[()])[0])


def _text(file: Any, name: str, path: Path) -> str:
    """The text that a dataset holds; "" if there is no such dataset."""
    dataset = member(file, name, path)
    if dataset is None:
        return ""
    if dataset.size != 1 or dataset.dtype.itemsize > TEXT_LIMIT:
        raise ReadError(f"{name} is not a file name", where=str(path), received=f"shape {dataset.shape}")
    value = dataset[()]
    data = value if isinstance(value, bytes) else np.asarray(value).tobytes()
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _checked(state: State, where: str) -> State:
    if not 0 <= state.iteration < 2**31 or not 0 <= state.current_step < 2**31:
        raise ReadError(
            "the state's counters are impossible",
            where=where,
            received=f"iter {state.iteration}, step {state.current_step}",
        )
    if "\0" in state.learned_net:
        raise ReadError(
            "learned_net is not a file name",
            where=where,
            expected="a name without zero bytes",
            received=repr(state.learned_net[:80]),
        )
    return state
