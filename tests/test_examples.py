"""The examples run and do what they say."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from tests.shared_goldens import ROOT


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_finetune_digits(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("finetune_digits")
    model = module.make_model(0.01)
    assert [v.path.split("/")[0] for v in model.trainable_variables] == ["conv2", "conv2", "ip1", "ip1", "odd", "odd"]
    assert module.main(epochs=2) > 0.93
    assert "before" in capsys.readouterr().out
