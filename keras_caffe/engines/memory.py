"""Which engine was the fastest for a net on this machine: a small file for each, in the user's folder for caches."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from keras_caffe.converters.write import replacing
from keras_caffe.engines.how import NAMES, How
from keras_caffe.engines.processor import processor
from keras_caffe.errors import CaffeError
from keras_caffe.runtimes.base import threads_of

TENSORFLOWS = ("tensorflow", "tensorflow-cpu")
ONNX = ("onnx", "onnxruntime", "onnxruntime-gpu")
PACKAGES = ("keras-caffe", "openvino", "ai-edge-litert", *ONNX, *TENSORFLOWS)


def folder() -> Path:
    """Where the choices are kept."""
    systems = {"win32": ("LOCALAPPDATA", "AppData/Local"), "darwin": ("", "Library/Caches")}
    variable, usual = systems.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    return Path(os.environ.get(variable) or Path.home() / usual) / "keras_caffe" / "engines"


def situation(digest: str, how: How) -> dict[str, Any]:
    """All that a choice depends on."""
    return {
        "net": digest,
        "precision": how.precision,
        "threads": threads_of(how.threads),
        "processor": processor(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def remembered(now: Mapping[str, Any]) -> dict[str, float] | None:
    """{engine: ms}, the fastest first, if engines were timed in the same situation."""
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError, RuntimeError):  # the last: no home
        told = json.loads(_file(now).read_text(encoding="utf-8"))
        times = {name: float(ms) for name, ms in told["milliseconds"].items() if name in NAMES}
        if told["situation"] == now and times:
            return dict(sorted(times.items(), key=lambda pair: pair[1]))
    return None


def remember(now: Mapping[str, Any], milliseconds: Mapping[str, float]) -> None:
    """Writes down what was measured; where nothing can be written, the next process measures again."""
    with suppress(OSError, CaffeError, RuntimeError):
        folder().mkdir(parents=True, exist_ok=True)
        with replacing(_file(now)) as temporary:
            text = json.dumps({"situation": now, "milliseconds": milliseconds}, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")


def _file(now: Mapping[str, Any]) -> Path:
    key = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()
    return folder() / f"{key[:32]}.json"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
