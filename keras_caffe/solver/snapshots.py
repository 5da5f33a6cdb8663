"""Snapshots of a solver (Solver::Snapshot, Solver::Restore in solver.cpp)."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_caffe.converters.save import save_params
from keras_caffe.errors import (
    CaffeError,
    CaffeWarning,
    Call,
    ReadError,
    SolverError,
    escape_hint,
    is_there,
    not_found,
    shown_path,
)
from keras_caffe.places import Places
from keras_caffe.solver.nets import locate
from keras_caffe.solver.params import last_steps
from keras_caffe.solver.state import State, read_state, write_state


def prefix_of(param: Any, places: Places, solver: Path | None = None) -> str:
    """What the names of snapshots begin with, from the working directory or `base_dir` on: snapshot_prefix; where that
    is a folder, the solver's name in it; without it, the solver's path without its suffix.
    """
    stem = solver.stem if solver is not None else "solver"
    prefix = param.snapshot_prefix
    if not prefix:
        return str(solver.absolute().with_suffix("")) if solver is not None else stem
    if places.base_dir is not None:
        prefix = str(places.target(prefix))
    return str(Path(prefix) / stem) if is_there(prefix) and Path(prefix).is_dir() else prefix


def check_prefix(prefix: str, needed: bool) -> None:
    """Raises SolverError if snapshots are needed and cannot be written there."""
    parent = Path(prefix).parent
    if needed and not (parent.is_dir() and os.access(parent, os.W_OK)):
        closed = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(parent))
        raise SolverError(
            "snapshots cannot be written",
            expected="a snapshot_prefix in a folder that exists and can be written to",
            received=f"{shown_path(prefix)}, whose folder "
            + ("cannot be written to" if parent.exists() else "does not exist"),
            fix=escape_hint(prefix),
            cause=closed if parent.is_dir() else not_found(prefix),
        )


def write(solver: Any, write_params: Callable[[str], Any] | None = None) -> tuple[str, str]:
    """Writes parameters, then state: a state always has its parameters. `write_params`: what writes the parameters."""
    hdf5 = solver.param.snapshot_format == type(solver.param).HDF5
    stem = f"{solver.prefix}_iter_{solver.iter}"
    model, state = (f"{stem}.{kind}{'.h5' if hdf5 else ''}" for kind in ("caffemodel", "solverstate"))
    if solver.tells:
        kind = "HDF5" if hdf5 else "binary proto"
        solver.tell(f"Snapshotting to {kind} file {model}")
        solver.tell(f"Snapshotting solver state to {kind} file {state}")
    try:
        if write_params is not None:
            write_params(model)
        else:
            diffs = last_steps(solver.model.plan, solver.model.updates.taken) if solver.param.snapshot_diff else None
            save_params(solver.model, model, diffs)
        policy, history = solver.policy, solver.history.get()
        step, extra = policy.current_step(solver.iter), policy.state()
        write_state(state, State(solver.iter, _named(model), step, history=history, **extra))
    except ReadError as error:
        raise SolverError(
            f"the snapshot cannot be written: {error.problem}",
            where=error.where,
            fix=("Make room.", Call("solver.snapshot", "", "to write it then, or train on: nothing is lost")),
            cause=error.cause,
        ) from None
    return model, state


def _named(model: str) -> str:
    """The parameters' file as the state names it: Caffe looks for it from the working directory."""
    relative = os.path.relpath(model)
    return model if relative.startswith("..") else relative


def restore(solver: Any, path: str | os.PathLike[str], load_params: Callable[[str], Any] | None = None) -> State:
    """Sets parameters and histories from a snapshot; returns its state. `load_params`: what reads the parameters."""
    state = read_state(path)
    history = solver.history
    history.check(state.history, str(path))
    if state.learned_net:
        name = state.learned_net
        confined = solver.places.confine
        beside = Places(Path(path).parent if confined else None, Path(path), confined)
        named = locate(name, solver.places)
        file = named if is_there(named) else locate(Path(name).name, beside)
        try:
            report = (load_params or solver.model.load_weights_from)(file)
        except CaffeError as error:
            raise error.at(where=str(path)) from None
        if report.kept:
            warnings.warn(
                CaffeWarning(f"{file}: has no parameters of {', '.join(report.kept)}; they are as they were"),
                stacklevel=3,
            )
    history.set(state.history)
    return state
