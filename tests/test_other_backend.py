"""The layers on Keras's JAX backend, without TensorFlow, against arrays that Caffe computed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from tests.layers.golden_case import KINDS
from tests.shared_goldens import ROOT

pytestmark = pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed (pip install jax)")

CASES_PER_KIND = 4
# Compiling is most of the work, and what is compiled runs once.
JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None; "


def python(*arguments: str) -> Any:
    environment = {**os.environ, **JAX, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def problems() -> dict[str, list[str]]:
    run = python("-m", "tests.other_backend", str(CASES_PER_KIND))
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_matches_caffe(kind: str, problems: dict[str, list[str]]) -> None:
    assert problems[kind] == []


def test_what_needs_tensorflow_says_so() -> None:
    run = python("-c", WITHOUT_TENSORFLOW + "import keras_caffe; keras_caffe.dataset")
    assert "need TensorFlow, and none is installed" in run.stderr.splitlines()[-1]


def test_python_layers_say_what_they_need() -> None:
    net = 'layer { name: "p" type: "Python" bottom: "x" top: "p" python_param { module: "m" layer: "C" } }'
    source = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
    cls = "type('C', (), {n: lambda self, b, t: t[0].reshape(1) for n in ('setup', 'reshape', 'forward')})"
    code = (
        f"import keras_caffe, numpy; keras_caffe.load({source + net!r}, python_layers={{'m.C': {cls}}})(numpy.zeros(1))"
    )
    run = python("-c", WITHOUT_TENSORFLOW + code)
    assert "TensorFlow backend only" in run.stderr
