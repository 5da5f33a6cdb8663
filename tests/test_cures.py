"""What an error advises: an argument or a call in Python, the flag that stands for it in a shell."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import keras_caffe
from keras_caffe import cli, errors, serving
from keras_caffe.cli import dataset, flags_of
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import CaffeError, CaffeWarning, Call, Flag, Flags, Option
from keras_caffe.optimizers.base import CaffeOptimizer
from keras_caffe.pycaffe import Net
from keras_caffe.solver import Solver
from tests.package import parse, sources

FLAGS = {
    "skip_mismatch": Flag("--skip-mismatch", "SKIP_MISMATCH"),
    "input_shapes": Flag("--input-shape", "NAME=N,C,H,W"),
    "outputs": Flag("--blob", "NAME"),
    "fork": Flag("--fork", "NAME"),
    "version": Flag("--version", "N"),
    "restore": Flag("--snapshot", "FILE"),
}
PUBLIC: list[Callable[..., Any]] = [
    *(keras_caffe.load, keras_caffe.dataset, keras_caffe.load_solver, keras_caffe.export, keras_caffe.save),
    *(keras_caffe.to_onnx, serving.to_tflite, keras_caffe.pycaffe.install, keras_caffe.to_keras, keras_caffe.engine),
    CaffeOptimizer,
]
CURES = ("keras_caffe.errors", "keras_caffe.cures")  # where cures are imported from
OWNERS = {"model": CaffeModel, "net": Net, "solver": Solver}  # of the methods that calls name
# The functions whose arguments a command's flags stand for.
BEHIND: dict[str, list[Callable[..., Any]]] = {
    "check": [keras_caffe.load],
    "code": [keras_caffe.load, keras_caffe.to_code],
    "convert": [keras_caffe.load, keras_caffe.to_keras],
    "evaluate": [keras_caffe.load, keras_caffe.engine, keras_caffe.dataset],
    "extract": [keras_caffe.load, keras_caffe.engine, keras_caffe.dataset],
    "summary": [keras_caffe.load],
    "predict": [keras_caffe.load, keras_caffe.engine],
    "compare": [keras_caffe.load, keras_caffe.compare],
    "time": [keras_caffe.load, keras_caffe.engine],
    "view": [keras_caffe.load, keras_caffe.view],
    "export": [keras_caffe.load, keras_caffe.export, keras_caffe.to_onnx, serving.to_tflite],
    "train": [keras_caffe.load_solver, keras_caffe.load],
    "test": [keras_caffe.load_solver, keras_caffe.load],
}
# Flags that stand for nothing in Python's functions; `restore` is a method of Solver.
OWN = {
    "check": {"json"},
    "code": {"output"},
    "convert": {"output", "plain", "mean", "scale"},
    "evaluate": {"data", "engine", "json", "mean", "output", "scale"},
    "extract": {"blobs", "engine", "iterations", "output", "to"},
    "predict": {"output", "mean", "scale", "labels", "top", "resize", "crop", "raw_scale", "oversample", "transform"}
    | {"engine", "features", "form"},
    "time": {"engine", "iterations"},
    "export": {"output", "format", "image_bytes", "mean", "scale", "resize", "crop", "detections"},
    "train": {"restore", "sigint_effect", "sighup_effect", "tensorboard"},
    "test": {"model", "iterations"},
    "view": {"output"},
}


@pytest.mark.parametrize(
    ("cure", "python", "shell"),
    [
        (
            Option("skip_mismatch", True, "to leave the layer as filled"),
            "Pass skip_mismatch=True to leave the layer as filled.",
            "Pass --skip-mismatch to leave the layer as filled.",
        ),
        (
            Option("input_shapes", {"data": (1, 3, 224, 224), "a b": ("N", 4)}, "with numbers for the letters"),
            "Pass input_shapes={'data': (1, 3, 224, 224), 'a b': (N, 4)} with numbers for the letters.",
            "Pass --input-shape data=1,3,224,224 --input-shape 'a b=N,4' with numbers for the letters.",
        ),
        (Option("input_shapes", {"x": ("N",)}), "Pass input_shapes={'x': (N,)}.", "Pass --input-shape x=N."),
        (Option("outputs", ..., "to name it"), "Pass outputs=... to name it.", "Pass --blob NAME to name it."),
        (Option("fork", "ssd"), "Pass fork='ssd'.", "Pass --fork ssd."),
        (
            Option("version", None, "to get the next one"),
            "Leave out version to get the next one.",
            "Leave out --version to get the next one.",
        ),
        (
            Option("python_layers", {"m.L": ...}, "with the class"),
            "Pass python_layers={'m.L': ...} with the class.",
            "In Python, pass python_layers={'m.L': ...} with the class.",
        ),
        (
            Call("solver.restore", "...", "to go on"),
            "Call solver.restore(...) to go on.",
            "Pass --snapshot FILE to go on.",
        ),
        (Call("model.extract", "['a']"), "Call model.extract(['a']).", "In Python, call model.extract(['a'])."),
    ],
    ids=lambda value: None if isinstance(value, str) else value.name,
)
def test_each_audience_reads_its_own_cure(cure: Option | Call, python: str, shell: str) -> None:
    error = CaffeError("it does not fit", where="a.prototxt:1", fix=("Look at it.", cure))
    assert str(error) == error.text() == f"a.prototxt:1: it does not fit. Look at it. {python}"
    assert error.text(FLAGS) == f"a.prototxt:1: it does not fit. Look at it. {shell}"
    assert pickle.loads(pickle.dumps(error)).text(FLAGS) == error.text(FLAGS)


def test_a_cure_may_stand_alone_and_a_message_without_one_ends_without_a_stop() -> None:
    assert str(CaffeError("no", fix=Option("fork", "ssd"))) == "no. Pass fork='ssd'."
    assert str(CaffeError("no", expected=1, received=(2,))) == "no; expected 1; received (2,)"


def test_warnings_are_written_for_both_too() -> None:
    with pytest.warns(CaffeWarning) as caught:
        warnings.warn(CaffeWarning("odd", layer="'a'", fix=Option("skip_mismatch", True)), stacklevel=1)
        warnings.warn("plain", CaffeWarning, stacklevel=1)
    odd, plain = (warning.message for warning in caught)
    assert isinstance(odd, CaffeWarning) and isinstance(plain, CaffeWarning)
    assert (str(odd), odd.text(FLAGS)) == (
        "layer 'a': odd. Pass skip_mismatch=True.",
        "layer 'a': odd. Pass --skip-mismatch.",
    )
    assert plain.text(FLAGS) == "plain"


def constructed(kind: str) -> Iterator[tuple[str, ast.Call]]:
    """Every `Option(...)` or `Call(...)` in the package, and where it stands."""
    for module in sources():
        imported = [node for node in ast.walk(parse(module)) if isinstance(node, ast.ImportFrom)]
        cures = {alias.name for node in imported if node.module in CURES for alias in node.names}
        for node in ast.walk(parse(module)) if kind in cures else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == kind:
                yield f"{module}:{node.lineno}", node


def names(kind: str) -> dict[str, str]:
    """{name in a cure: where it is written}; it may be one of two, chosen by a condition."""
    found = {}
    for where, node in constructed(kind):
        first = node.args[0]
        for choice in [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]:
            assert isinstance(choice, ast.Constant), f"{where}: write the name as a string"
            found[choice.value] = where
    return found


def parameters(functions: list[Callable[..., Any]]) -> set[str]:
    return {name for function in functions for name in inspect.signature(function).parameters}


def test_every_option_is_an_argument_of_a_public_function() -> None:
    known = parameters(PUBLIC)
    assert len(names("Option")) > 10
    unknown = {name: where for name, where in names("Option").items() if name not in known}
    assert not unknown, "an Option names an argument of keras_caffe.load, dataset, export, ..."


def test_every_call_names_what_there_is() -> None:
    for name, where in names("Call").items():
        owner, _, attribute = name.rpartition(".")
        holder = OWNERS.get(owner) or importlib.import_module(owner)
        assert callable(getattr(holder, attribute, None)), f"{where}: {name}"


def command_flags() -> dict[str, Flags]:
    found = {}
    groups = {name: getattr(command, "COMMANDS", {"": command}) for name, command in cli.COMMANDS.items()}
    for name, group in groups.items():
        for inner, command in group.items():
            if hasattr(command, "TAKES_ARGUMENTS"):  # and knows their grammar itself
                continue
            parser = argparse.ArgumentParser()
            command.add_arguments(parser)
            found[f"{name} {inner}".strip()] = flags_of(parser)
    return found


COMMAND_FLAGS = command_flags()


@pytest.mark.parametrize("command", COMMAND_FLAGS)
def test_every_command_writes_options_as_its_own_flags_or_as_pythons(command: str) -> None:
    flags = COMMAND_FLAGS[command]
    for name in names("Option"):
        said = Option(name, ..., "to help").text(flags)
        if name in flags:
            assert said == f"Pass {flags[name].name} {flags[name].metavar} to help."
        else:
            assert said == f"In Python, pass {name}=... to help."


@pytest.mark.parametrize("command", BEHIND)
def test_a_flag_is_called_after_the_argument_that_it_stands_for(command: str) -> None:
    """Else an error that names the argument would send the command's users to Python."""
    others = set(COMMAND_FLAGS[command]) - parameters(BEHIND[command]) - {"help"}
    assert others == OWN.get(command, set()), "let its dest be the argument's name, or list it as the command's own"


def test_only_these_commands_load_no_net() -> None:
    others = {f"dataset {name}" for name in dataset.COMMANDS}
    others |= {"draw", "upgrade", "log", "version", "selftest", "explain", "completion"}
    assert set(COMMAND_FLAGS) == set(BEHIND) | others


# Texts that write an argument as Python does; no command gets there.
ONLY_IN_PYTHON = {
    "keras_caffe.converters.save": "save() without a file to write",
    "keras_caffe.layers.not_quantized": "a method of models",
}


def test_no_text_advises_an_argument_by_itself() -> None:
    """An Option does, so that the command line can show its flag."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.Message)}
    argument = re.compile(rf"\b({'|'.join(parameters(PUBLIC))})=")
    found = set()
    for module in sources():
        raised = [n for n in ast.walk(parse(module)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") in kinds]
        texts = [n.value for call in raised for n in ast.walk(call) if isinstance(n, ast.Constant)]
        found |= {module for text in texts if isinstance(text, str) and argument.search(text)}
    assert found == set(ONLY_IN_PYTHON)
