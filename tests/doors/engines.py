"""Engines that run an exported file: {input: array} -> {output: array}, both in Caffe's order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Path, Arrays, Sequence[str]], dict[str, np.ndarray]]
WORKER = Path(__file__).parent / "opencv_worker.py"
OPENCVS = "KERAS_CAFFE_OPENCV"
"""Variable of the environment: paths of Pythons that have an OpenCV, the newest first. One Python has room for one."""


class Crash(Exception):
    """The engine's process ended."""


class Door(NamedTuple):
    """An engine for files of a format.

    Args:
        name: what the table calls it.
        format: "onnx", "savedmodel", "tflite" or "openvino".
        run: (file, {input: array}, outputs) -> {output: array}.
        missing: what is not installed, or None.
    """

    name: str
    format: str
    run: Run
    missing: str | None


def onnxruntime(file: Path, fed: Arrays, names: Sequence[str]) -> dict[str, np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    asked = {one.name: fed[one.name] for one in session.get_inputs()}
    return dict(zip(names, session.run(list(names), asked), strict=True))


def openvino(file: Path, fed: Arrays, names: Sequence[str]) -> dict[str, np.ndarray]:
    """OpenVINO, which computes in less than float32 unless it is told not to."""
    import openvino

    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(str(file)), "CPU", hints)
    asked = {one: fed[_given(one.get_names(), fed)] for one in compiled.inputs}
    found = compiled(asked)
    outputs = {name: one for one in compiled.outputs for name in one.get_names()}
    if set(names) <= set(outputs):
        return {name: np.array(found[outputs[name]]) for name in names}
    if len(names) > len(compiled.outputs):
        raise RuntimeError("outputs that depend on no input are lost")
    ordered = sorted(names)  # of a SavedModel: the order of the signature's outputs
    return {name: np.array(found[one]) for name, one in zip(ordered, compiled.outputs, strict=True)}


def _given(names: set[str], fed: Arrays) -> str:
    """The blob that an input of OpenVINO's stands for."""
    (found,) = {blob for blob in fed for name in names if re.fullmatch(rf"(serving_default_)?{blob}(:0)?", name)}
    return found


def tensorflow(folder: Path, fed: Arrays, names: Sequence[str]) -> dict[str, np.ndarray]:
    import tensorflow as tf

    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    asked = {name: tf.constant(fed[name]) for name in serve.structured_input_signature[1]}
    return {name: value.numpy() for name, value in serve(**asked).items()}


def litert(file: Path, fed: Arrays, names: Sequence[str]) -> dict[str, np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(file), num_threads=1).get_signature_runner("serving_default")
    return dict(runner(**{name: fed[name] for name in runner.get_input_details()}))


class OpenCV:
    """The OpenCV of another Python, in a process that is started again where it ended."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.process = self._start()
        self.version = json.loads(self._line())["version"]

    def _start(self) -> Any:
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([self.python, str(WORKER)], text=True, env={"PATH": os.environ["PATH"]}, **pipes)

    def _line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            code = self.close()
            self.process = self._start()
            self.process.stdout.readline()
            raise Crash(f"its process ended with {code}")
        return str(line)

    def __call__(self, file: Path, fed: Arrays, names: Sequence[str]) -> dict[str, np.ndarray]:
        given, found = file.with_suffix(".fed.npz"), file.with_suffix(".found.npz")
        np.savez(given, **fed)
        job = {"file": str(file), "fed": str(given), "names": list(names), "found": str(found)}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        error = json.loads(self._line())["error"]
        if error is not None:
            raise RuntimeError(error)
        with np.load(found) as tops:
            return {name: tops[str(index)] for index, name in enumerate(names)}

    def close(self) -> int:
        """Ends the process; its exit code."""
        with self.process as process:
            process.stdin.close()
        return int(process.returncode)


@cache
def doors() -> dict[str, Door]:
    """{name: door}, in the order of the table."""
    found = [
        Door("ONNX Runtime", "onnx", onnxruntime, _missing("onnxruntime", "onnx")),
        Door("OpenVINO", "onnx", openvino, _missing("openvino", "onnx")),
        *(_opencv(index, major) for index, major in enumerate((5, 4))),
        Door("SavedModel in TensorFlow", "savedmodel", tensorflow, _missing("tensorflow")),
        Door("SavedModel in OpenVINO", "savedmodel", openvino, _missing("openvino", "tensorflow")),
        Door("IR in OpenVINO", "openvino", openvino, _missing("openvino", "onnx")),
        Door("TFLite in LiteRT", "tflite", litert, _missing("ai_edge_litert", "tensorflow")),
    ]
    return {door.name: door for door in found}


def _opencv(index: int, major: int) -> Door:
    pythons = list(filter(None, os.environ.get(OPENCVS, "").split(os.pathsep)))
    name = f"OpenCV {major}"
    if index >= len(pythons) or sys.platform == "win32":
        return Door(name, "onnx", onnxruntime, f"{name} is not there ({OPENCVS})")
    engine = OpenCV(pythons[index])
    wrong = None if engine.version.startswith(f"{major}.") else f"{pythons[index]} has OpenCV {engine.version}"
    return Door(name, "onnx", engine, wrong)


def _missing(*modules: str) -> str | None:
    absent = [name for name in modules if not find_spec(name)]
    return f"{', '.join(absent)} is not there (extra `peers`)" if absent else None
