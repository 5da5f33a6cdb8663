"""What type checkers see of the package, beside what scripts/lint.sh asks them."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import keras_caffe

ROOT = Path(__file__).resolve().parents[1]
BASES = """
import keras
import keras_caffe

model: keras.Model = keras_caffe.load("net.prototxt")
layer: keras.layers.Layer = keras_caffe.layers.ReLU()
loss: keras.losses.Loss = keras_caffe.losses.Hinge()
metric: keras.metrics.Metric = keras_caffe.metrics.Accuracy()
optimizer: keras.optimizers.Optimizer = keras_caffe.optimizers.SGD(0.1)
rate: keras.optimizers.schedules.LearningRateSchedule = keras_caffe.optimizers.Step(0.1, 0.5, 10)
reveal_type(model.predict)
"""


def test_a_type_checker_that_reads_keras_finds_its_classes_below_ours(tmp_path: Path) -> None:
    """Others take `_keras/unseen.pyi`: scripts/lint.sh asks such a one for the types of all public names."""
    pytest.importorskip("pyright", reason="pyright is not installed")
    (tmp_path / "bases.py").write_text(BASES)
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "bases.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert " error: " not in done.stdout, done.stdout + done.stderr
    assert "batch_size" in done.stdout, "the arguments of keras.Model.predict"


@pytest.mark.parametrize("name", keras_caffe.__all__)
def test_a_type_checker_sees_what_is_imported_later(name: str) -> None:
    """What `requirements.later` imports is imported for type checkers, too; to them it would be Any."""
    source = inspect.getsource(keras_caffe)
    assert len(re.findall(rf"\b{name}\b", source)) >= 2, "import it where TYPE_CHECKING holds"


def test_completion_offers_what_is_imported_later() -> None:
    assert set(keras_caffe.__all__) <= set(dir(keras_caffe))
    assert dir(keras_caffe) == sorted(dir(keras_caffe))
