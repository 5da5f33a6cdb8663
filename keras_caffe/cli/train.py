"""Trains a net from a solver definition.

Prints what Caffe logs and writes snapshots where the solver says. SIGINT (Ctrl-C) takes a snapshot and stops training;
SIGHUP takes one and continues.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from keras_caffe.cli.options import add_places, places, working
from keras_caffe.errors import SolverError
from keras_caffe.layout import DATA_FORMATS

if TYPE_CHECKING:
    import keras

    from keras_caffe.solver import Solver

EFFECTS = ("stop", "snapshot", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--solver", required=True, metavar="FILE", help="prototxt of the solver")
    start = parser.add_mutually_exclusive_group().add_argument
    start("--weights", metavar="FILE[,FILE]", help="caffemodels to start from, copied by layer name (fine-tuning)")
    start("--snapshot", dest="restore", metavar="FILE", help="solverstate to resume from")
    add_selection(parser)
    add("--sigint-effect", choices=EFFECTS, default="stop", help="what SIGINT does (default: stop)")
    add("--sighup-effect", choices=EFFECTS, default="snapshot", help="what SIGHUP does (default: snapshot)")
    add("--tensorboard", metavar="DIR", help="write losses, scores, learning rate and parameters for TensorBoard")
    add("--jit", action="store_true", help="compile the training step with XLA")
    add("--allow-python-imports", action="store_true", help="import the modules that Python layers name")
    add_places(parser)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Adds the options that select layers."""
    add = parser.add_argument
    add(
        "--stage",
        dest="stages",
        action="append",
        default=[],
        metavar="NAME[,NAME]",
        help="stages for include/exclude rules",
    )
    add("--level", type=int, metavar="N", help="level for these rules")
    add("--data-format", choices=DATA_FORMATS, help="order of the axes inside (default: Keras's own)")


def names(values: list[str] | str | None) -> list[str]:
    """The names of an option that may hold several, separated by commas."""
    values = [values] if isinstance(values, str) else values or []
    return [name for value in values for name in value.split(",") if name]


def run(args: argparse.Namespace) -> None:
    from keras_caffe.solver import load_solver

    with working(f"Loading {args.solver}"):
        solver = load_solver(
            args.solver,
            weights=[] if args.restore else names(args.weights) or None,
            data_format=args.data_format,
            stages=names(args.stages),
            level=args.level,
            jit=args.jit,
            allow_python_imports=args.allow_python_imports,
            **places(args),
        )
        if args.restore:
            solver.restore(args.restore)
    with requests(solver, {"SIGINT": args.sigint_effect, "SIGHUP": args.sighup_effect}):
        solver.fit(callbacks=[tensorboard(args.tensorboard, solver)] if args.tensorboard else [])
    print("Optimization stopped early." if solver.request == "stop" else "Optimization Done.")


def tensorboard(folder: str, solver: Solver) -> keras.callbacks.Callback:
    """Keras's callback for TensorBoard: losses as often as they are displayed; after each test interval the rest.

    Raises:
        SolverError: TensorBoard is not installed.
    """
    import keras

    if find_spec("tensorboard") is None:
        raise SolverError("TensorBoard is missing", fix="Install it with `pip install 'keras-caffe[tensorboard]'`.")
    return keras.callbacks.TensorBoard(
        folder, histogram_freq=1, write_graph=False, write_images=True, update_freq=solver.param.display or "epoch"
    )


@contextmanager
def requests(solver: Solver, effects: dict[str, str]) -> Iterator[None]:
    """Signals become requests to the solver, which it follows after the iteration that runs."""
    before: dict[int, Any] = {}
    for name, effect in effects.items():
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None:
            before[number] = signal.signal(number, lambda *_, effect=effect: ask(solver, effect))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ask(solver: Solver, effect: str) -> None:
    if effect != "none" and solver.request != "stop":
        solver.request = effect
