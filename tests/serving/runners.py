"""Runs exported models where keras_caffe is not: in a C program, and in a Python that cannot import it."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

Arrays = dict[str, np.ndarray]

COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
LIBRARIES = Path(tf.__file__).parent

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


def build_loader(folder: Path) -> Path:
    """Compiles loader.c against the C API in TensorFlow's wheel."""
    source, program = Path(__file__).with_name("loader.c"), folder / "loader"
    libraries = [
        name for name in ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2") if (LIBRARIES / name).exists()
    ]
    command = [COMPILER, "-O1", source, "-o", program, f"-I{LIBRARIES / 'include'}", f"-L{LIBRARIES}"]
    command += [*(f"-l:{name}" for name in libraries), f"-Wl,-rpath,{LIBRARIES}"]
    subprocess.run(list(map(str, command)), check=True)
    return program


class InC:
    """The C program; `folder` takes its scratch files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.program = folder, build_loader(folder)

    def __call__(self, export: Path, *requests: tuple[str, Mapping[str, Any]]) -> list[Arrays]:
        """The outputs of each request (signature, {input: array}) in one process."""
        signatures = signature_defs(export)
        script, expected = [], []
        for index, (name, inputs) in enumerate(requests):
            for key, array in inputs.items():
                script.append(
                    f"in {signatures[name].inputs[key].name} {self._fed(np.asarray(array), f'{index}_{key}')}"
                )
            files = {key: self.folder / f"{index}_out_{n}" for n, key in enumerate(signatures[name].outputs)}
            script += [f"out {signatures[name].outputs[key].name} {file}" for key, file in files.items()] + ["run"]
            expected.append(files)
        (self.folder / "script").write_text("\n".join(script))
        command = [self.program, export, self.folder / "script"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return [{key: _result(file) for key, file in files.items()} for files in expected]

    def _fed(self, array: np.ndarray, name: str) -> str:
        file = self.folder / name
        if array.dtype == object:
            files = [file.with_name(f"{name}_{i}") for i in range(len(array))]
            for path, data in zip(files, array, strict=True):
                path.write_bytes(data)
            return f"string {len(array)} {' '.join(map(str, files))}"
        assert array.dtype == np.float32
        array.tofile(file)
        return f"float {array.ndim} {' '.join(map(str, array.shape))} {file}"


def _result(file: Path) -> np.ndarray:
    shape = tuple(map(int, Path(f"{file}.shape").read_text().split()))
    data = file.read_bytes()
    if len(data) == 4 * int(np.prod(shape)):
        return np.frombuffer(data, np.float32).reshape(shape)
    texts = []
    while data:
        size, _, data = data.partition(b"\n")
        texts.append(data[: int(size)])
        data = data[int(size) :]
    return np.array(texts, object).reshape(shape)


def signature_defs(export: Path) -> Mapping[str, Any]:
    return saved_model_pb2.SavedModel.FromString((export / "saved_model.pb").read_bytes()).meta_graphs[0].signature_def


FRESH = """
import sys
sys.modules["keras_caffe"] = sys.modules["keras"] = None
import pickle
import tensorflow as tf
try:
    import keras_caffe
except ImportError:
    pass
else:
    raise SystemExit("keras_caffe can be imported")
while True:
    try:
        export, requests = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    loaded = tf.saved_model.load(export)
    found = []
    for signature, inputs in requests:
        fed = {name: tf.constant(array.tolist() if array.dtype == object else array) for name, array in inputs.items()}
        found.append({name: value.numpy() for name, value in loaded.signatures[signature](**fed).items()})
    pickle.dump(found, sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


class InFreshPython:
    """A Python process in which importing keras_caffe (and keras) fails."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", FRESH],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __call__(self, export: Path, *requests: tuple[str, Mapping[str, Any]]) -> list[Arrays]:
        asked = [(name, {key: np.asarray(array) for key, array in inputs.items()}) for name, inputs in requests]
        pickle.dump((str(export), asked), self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=60)
