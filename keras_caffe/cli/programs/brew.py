"""The program `caffe`: train, test, time, device_query. Caffe: tools/caffe.cpp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras_caffe
from keras_caffe.cli.programs.benchmark import benchmark
from keras_caffe.cli.programs.glog import ERROR, log, log_solver
from keras_caffe.cli.programs.usage import Values
from keras_caffe.cli.test import score
from keras_caffe.cli.train import EFFECTS, names, requests
from keras_caffe.converters.definition import read_definition
from keras_caffe.errors import CaffeError
from keras_caffe.pycaffe import install
from keras_caffe.pycaffe.settings import gpus
from keras_caffe.solver.load import load_solver, open_test_net
from keras_caffe.solver.solver import Solver


def run(values: Values, positional: Sequence[str]) -> int:
    command = COMMANDS.get(positional[0])
    if command is None:
        for line in ("Available caffe actions:", *(f"\t{name}" for name in sorted(COMMANDS))):
            log(line, "caffe.cpp:61", ERROR)
        raise CaffeError(f"Unknown action: {positional[0]}")
    if values.allow_python_imports:
        install(force=True)  # which the modules of Python layers import
    command(values)
    return 0


def train(values: Values) -> None:
    _need(values, "solver", "Need a solver definition to train.")
    if values.snapshot and values.weights:
        raise CaffeError("Give a snapshot to resume training or weights to finetune but not both.")
    effects = {"SIGINT": values.sigint_effect, "SIGHUP": values.sighup_effect}
    for effect in effects.values():
        if effect not in EFFECTS:
            raise CaffeError(f'Invalid signal effect "{effect}" was specified')
    _tell_device("caffe.cpp:197")
    weights = [] if values.snapshot else names(values.weights) or None
    solver = load_solver(values.solver, weights=weights, level=values.level, **_options(values))
    _tell_solver(solver)
    if values.snapshot:
        log(f"Resuming from {values.snapshot}", "caffe.cpp:234")
        solver.restore(values.snapshot)
    log("Starting Optimization", "caffe.cpp:238")
    log(f"Solving {solver.model.net.name}", "solver.cpp:289")
    log(f"Learning Rate Policy: {solver.param.lr_policy}", "solver.cpp:290")
    with requests(solver, effects):
        solver.fit(verbose=0)
    stopped = solver.request == "stop"
    log(*("Optimization stopped early.", "solver.cpp:311") if stopped else ("Optimization Done.", "solver.cpp:332"))
    log("Optimization Done.", "caffe.cpp:249")


def _tell_solver(solver: Solver) -> None:
    """Logs what Caffe logs of a new solver; its lines go to the log from now on."""
    solver.tell, solver.tells = log_solver, True
    log(f"Initializing solver from parameters: \n{solver.param}", "solver.cpp:45")
    log("Solver scaffolding done.", "solver.cpp:57")


def test(values: Values) -> None:
    _need(values, "model", "Need a model definition to score.")
    _need(values, "weights", "Need model weights to score.")
    _tell_device("caffe.cpp:278")
    model, data = open_test_net(values.model, names(values.weights), level=values.level, **_options(values))
    score(model, data, values.iterations, lambda line: log(line, "caffe.cpp:313"))


def time(values: Values) -> None:
    _need(values, "model", "Need a model definition to time.")
    if values.phase not in ("", "TRAIN", "TEST"):
        raise CaffeError('phase must be "TRAIN" or "TEST"')
    _tell_device("caffe.cpp:352")
    phase = values.phase or "TRAIN"
    whole = read_definition(values.model)
    model = keras_caffe.load(whole, phase=phase, level=values.level, **_options(values))
    definition = whole.select(phase, values.level, names(values.stage))
    allowed = {"allow_python_imports": values.allow_python_imports}
    for line, place in benchmark(model, definition, values.iterations, allowed):
        log(line, place)


def device_query(values: Values) -> None:
    log(f"Querying GPUs {values.gpu}", "caffe.cpp:136")
    for number, (name, (major, minor)) in enumerate(gpus()):
        log(f"Device id:                     {number}", "common.cpp:187")
        log(f"Major revision number:         {major}", "common.cpp:188")
        log(f"Minor revision number:         {minor}", "common.cpp:189")
        log(f"Name:                          {name}", "common.cpp:190")


def _need(values: Values, flag: str, text: str) -> None:
    if not values[flag].value:
        raise CaffeError(f"Check failed: FLAGS_{flag}.size() > 0 (0 vs. 0) {text}")


def _options(values: Values) -> dict[str, Any]:
    return {"stages": names(values.stage), "allow_python_imports": values.allow_python_imports}


def _tell_device(place: str) -> None:
    count = len(gpus())
    log(f"Using GPUs {', '.join(map(str, range(count)))}" if count else "Use CPU.", place)


COMMANDS: dict[str, Callable[[Values], None]] = {
    "train": train,
    "test": test,
    "time": time,
    "device_query": device_query,
}
