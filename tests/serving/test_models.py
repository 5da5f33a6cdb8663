"""Real trained networks, exported: a C program and a Python without keras_caffe compute what Caffe did."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_caffe.serving import export
from tests.golden_models import checker, load, variants
from tests.layers.golden_case import from_edge, to_edge
from tests.serving.runners import needs_compiler
from tests.shared_goldens import MODELS, needs_models

FILES = ("prototxt", "weights", "golden")
FOLDED = pytest.mark.parametrize("fold", [True, False], ids=["folded", "as_is"])
EVERY = pytest.mark.parametrize(("name", "files"), variants(), ids=lambda v: v if isinstance(v, str) else v["golden"])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Any, list[Any]]]:
    """Exports a net once: the version, the Keras model, and the recorded runs."""
    return cache(lambda name, fold, **files: export_net(name, fold, files, tmp_path_factory.mktemp("export")))


def export_net(name: str, fold: bool, files: dict[str, str], folder: Path) -> tuple[Path, Any, list[Any]]:
    golden = checker().Golden(MODELS / name / files["golden"])
    first = golden.runs[0]
    paths = [MODELS / name / files[key] for key in ("prototxt", "weights")]
    model = load(*paths, "channels_last", first.inputs)
    return export(model, folder / "net", fold=fold), model, golden.runs


def check(model: Any, runs: list[Any], answers: list[dict[str, np.ndarray]]) -> None:
    for run, answer in zip(runs, answers, strict=True):
        found = {name: from_edge(value, "channels_last") for name, value in answer.items()}
        assert set(found) == set(run.outputs)
        run.blobs = {name: blob for name, blob in run.blobs.items() if name in run.outputs}
        assert checker().compare(run, found) == []
    keras = model({name: to_edge(array, "channels_last") for name, array in runs[0].inputs.items()})
    keras = keras if isinstance(keras, dict) else {next(iter(answers[0])): keras}
    for name, value in keras.items():
        scale = float(np.abs(value).max())
        np.testing.assert_allclose(answers[0][name], value, rtol=1e-5, atol=1e-5 * scale)


def requests(runs: list[Any]) -> list[tuple[str, dict[str, np.ndarray]]]:
    fed = [{name: np.ascontiguousarray(to_edge(a, "channels_last")) for name, a in run.inputs.items()} for run in runs]
    return [("serving_default", inputs) for inputs in fed]


@needs_models
@needs_compiler
@FOLDED
@EVERY
def test_in_c(name: str, files: dict[str, str], fold: bool, exported: Any, in_c: Any) -> None:
    path, model, runs = exported(name, fold, **{key: files[key] for key in FILES})
    check(model, runs, in_c(path, *requests(runs)))


@needs_models
@FOLDED
@EVERY
def test_without_keras_caffe(name: str, files: dict[str, str], fold: bool, exported: Any, in_python: Any) -> None:
    path, model, runs = exported(name, fold, **{key: files[key] for key in FILES})
    check(model, runs, in_python(path, *requests(runs)))
