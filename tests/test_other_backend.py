"""The layers on Keras's other backends, without TensorFlow, against arrays that Caffe computed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from tests.backends import BACKENDS
from tests.shared_goldens import ROOT

WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None; "


def python(backend: str, *arguments: str) -> Any:
    environment = {**os.environ, **BACKENDS[backend].environment, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def installed(backend: str) -> Any:
    package = BACKENDS[backend].package
    missing = pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")
    return pytest.param(backend, marks=missing)


@pytest.mark.parametrize("backend", [installed(backend) for backend in BACKENDS])
def test_matches_caffe(backend: str) -> None:
    """What the page says of each kind is so. One test for all kinds: test processes would each run them all."""
    run = python(backend, "-m", "tests.other_backend", str(BACKENDS[backend].cases))
    assert run.returncode == 0, run.stderr
    wrong = {kind: found for kind, found in json.loads(run.stdout.splitlines()[-1]).items() if found}
    cannot = BACKENDS[backend].cannot.keys()
    assert wrong.keys() == cannot, "\n".join(text for kind in wrong.keys() - cannot for text in wrong[kind])


def test_the_page_is_up_to_date() -> None:
    from scripts import generate_backend_docs as docs

    assert docs.page() == docs.PAGE.read_text(), "run scripts/generate_backend_docs.py"


@pytest.mark.parametrize("backend", [installed("jax")])
def test_what_needs_tensorflow_says_so(backend: str) -> None:
    run = python(backend, "-c", WITHOUT_TENSORFLOW + "import keras_caffe; keras_caffe.dataset")
    assert "need TensorFlow, and none is installed" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("backend", [installed("jax")])
def test_python_layers_say_what_they_need(backend: str) -> None:
    net = 'layer { name: "p" type: "Python" bottom: "x" top: "p" python_param { module: "m" layer: "C" } }'
    source = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
    cls = "type('C', (), {n: lambda self, b, t: t[0].reshape(1) for n in ('setup', 'reshape', 'forward')})"
    code = (
        f"import keras_caffe, numpy; keras_caffe.load({source + net!r}, python_layers={{'m.C': {cls}}})(numpy.zeros(1))"
    )
    run = python(backend, "-c", WITHOUT_TENSORFLOW + code)
    assert "TensorFlow backend only" in run.stderr
