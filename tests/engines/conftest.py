"""What the tests of engines share: choices are remembered in a folder of their own, and made soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_caffe.engines import timing


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(timing, "SECONDS", 0.02)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "keras_caffe" / "engines"
