"""Wheel, source archive and editable install hold each file once and work from outside the checkout."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from keras_caffe.version import __version__
from tests.installing import PIP_WHEEL, fresh_environment, run

ROOT = Path(__file__).resolve().parents[1]
NOT_COPIED = (".git", ".venv*", ".*_cache", "__pycache__", "build", "dist", "*.egg-info", "goldens", "*.so")

# Run by an interpreter that has nothing of the checkout on its path; prints where the modules came from.
USE = """
import keras_caffe
import keras_caffe.converters.passes
from keras_caffe import samples
images, labels = samples.digits()
assert images.shape == (1000, 1, 28, 28) and labels.shape == (1000,)
model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"), data_format="channels_first")
right = (model.predict(images * samples.SCALE, verbose=0).argmax(axis=1) == labels).mean()
assert abs(right - 0.961) < 0.0015, right
print(keras_caffe.__file__)
print(keras_caffe.converters.__file__)
"""


def modules_and_data() -> set[str]:
    """Every file that an installed package must hold, under its installed name."""
    files = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "keras_caffe").rglob("*")}
    files = {name: path for name, path in files.items() if not name.startswith("keras_caffe/converters")}
    files |= {f"keras_caffe/{path.relative_to(ROOT).as_posix()}": path for path in (ROOT / "converters").rglob("*")}
    return {name for name, path in files.items() if path.is_file() and path.suffix not in {".pyc", ".so"}}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that building leaves nothing behind in it."""
    copy = tmp_path_factory.mktemp("checkout") / "keras_caffe"
    return Path(shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED)))


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", target, cwd=checkout)
    return target / f"keras_caffe-{__version__}.tar.gz"


def build_wheel(source: Path, target: Path) -> Path:
    run(*PIP_WHEEL, "--wheel-dir", target, source, cwd=target)
    return target / f"keras_caffe-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from the source archive, which therefore lacks nothing."""
    return build_wheel(sdist, tmp_path_factory.mktemp("wheel"))


def packed(wheel: Path) -> list[str]:
    return [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]


def test_the_wheel_holds_every_file_once(wheel: Path) -> None:
    names = packed(wheel)
    assert set(names) == modules_and_data()
    assert len(names) == len(set(names))


def test_the_wheel_from_the_checkout_is_the_same(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    assert packed(build_wheel(checkout, tmp_path)) == packed(wheel)


def test_the_source_archive_holds_the_house_once(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers()]
    assert not [name for name in names if name.startswith("keras_caffe/converters")]
    assert {"BUILD", "LICENSE", "README.md", "setup.py", "converters/__init__.py", "scripts/test.sh"} <= set(names)
    assert {"tests/test_packaging.py", "ops/README.md", "keras_caffe/samples/db/mnist_test_lmdb/data.mdb"} <= set(names)


def test_an_installed_wheel_works_elsewhere(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=tmp_path)
    code = f"import sys; sys.path.insert(0, {str(target)!r})\n" + USE
    package, converters = run(sys.executable, "-I", "-c", code, cwd=tmp_path).splitlines()[-2:]
    assert Path(package) == target / "keras_caffe" / "__init__.py"
    assert Path(converters) == target / "keras_caffe" / "converters" / "__init__.py"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The interpreter of a fresh environment that sees this one's libraries, but none of its editable installs."""
    return fresh_environment(tmp_path / "environment")


@pytest.mark.parametrize("symlink", [True, False], ids=["symlink", "no symlink"])
def test_an_editable_install_works_elsewhere(checkout: Path, environment: Path, tmp_path: Path, symlink: bool) -> None:
    source = Path(shutil.copytree(checkout, tmp_path / "source", symlinks=True))
    if not symlink:
        (source / "keras_caffe" / "converters").unlink()
    install = ["install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", source]
    run(sys.executable, "-m", "pip", "--python", environment, *install, cwd=tmp_path)
    package, converters = run(environment, "-I", "-c", USE, cwd=tmp_path).splitlines()[-2:]
    assert Path(package) == source / "keras_caffe" / "__init__.py"
    assert Path(converters).resolve() == source / "converters" / "__init__.py"
    assert __version__ in run(environment.with_name("keras-caffe"), "--version", cwd=tmp_path)


# What a project that uses the package may write, and what its type checker must find wrong.
CONSUMER = """
from typing import Any

import keras_caffe
import numpy as np
from keras_caffe import samples
from typing_extensions import assert_type

model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"), phase="TEST")
assert_type(model, keras_caffe.CaffeModel)
kernel: np.ndarray[Any, Any] = model.get_caffe_params()["conv1"][0]
findings = keras_caffe.check("deploy.prototxt")
assert_type(findings[0].severity, str)
layer: keras_caffe.layers.ReLU = keras_caffe.layers.ReLU(0.1)
solver = keras_caffe.load_solver("solver.prototxt")
assert_type(solver.step(10), list[float])
try:
    keras_caffe.save(model, "net.prototxt")
except keras_caffe.CaffeError as error:
    assert_type(error.where, str | None)
"""
MISTAKES = """
import keras_caffe

keras_caffe.load("net.prototxt", phase=1)
keras_caffe.load()
keras_caffe.laod("net.prototxt")
"""


@pytest.fixture(scope="module")
def consumer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project whose environment has the wheel."""
    folder = tmp_path_factory.mktemp("consumer")
    python = fresh_environment(folder / ".venv")
    install = ["install", "--no-deps", "--no-index", wheel]
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder)
    (folder / "right.py").write_text(CONSUMER)
    (folder / "wrong.py").write_text(MISTAKES)
    return folder


@pytest.mark.parametrize(
    ("checker", "wrong"),
    [
        (["mypy", "--strict", "--python-executable"], ["arg-type", "call-arg", "attr-defined"]),
        (["pyright", "--pythonpath"], ["reportArgumentType", "reportCallIssue", "reportAttributeAccessIssue"]),
    ],
    ids=["mypy", "pyright"],
)
def test_type_checkers_of_projects_know_the_types(consumer: Path, checker: list[str], wrong: list[str]) -> None:
    pytest.importorskip(checker[0], reason=f"{checker[0]} is not installed")
    command = [sys.executable, "-m", checker[0], *checker[1:], str(consumer / ".venv" / "bin" / "python")]
    done = subprocess.run([*command, "right.py", "wrong.py"], cwd=consumer, capture_output=True, text=True, check=False)
    faults = [line for line in done.stdout.splitlines() if "error" in line and ".py:" in line]
    assert [line for line in faults if "wrong.py" not in line] == [], done.stdout + done.stderr
    assert [kind for kind in wrong if kind not in done.stdout] == [], done.stdout + done.stderr


NATIVE = """
from keras_caffe.ops import native_status
print(native_status().library or native_status().reason)
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_a_wheel_with_native_operations_is_one_for_a_platform(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_CAFFE_BUILD_OPS", "1")
    run(*PIP_WHEEL, "--wheel-dir", tmp_path, checkout, cwd=tmp_path)
    (wheel,) = tmp_path.glob("keras_caffe-*.whl")
    assert re.fullmatch(rf"keras_caffe-{re.escape(__version__)}-py3-none-linux_\w+\.whl", wheel.name)
    assert [name for name in packed(wheel) if name.endswith(".so")] == [f"keras_caffe/ops/{library_name()}"]
    target = tmp_path / "installed"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=tmp_path)
    code = f"import sys; sys.path.insert(0, {str(target)!r})\n" + NATIVE
    assert run(sys.executable, "-I", "-c", code, cwd=tmp_path).splitlines()[-1] == str(
        target / "keras_caffe" / "ops" / library_name()
    )


def test_a_wheel_takes_libraries_for_several_tensorflows(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    names = ["native-tensorflow-2.16.2.so", "native-tensorflow-2.21.0.so"]
    for name in names:
        (libraries / name).write_text("stands for one")
    monkeypatch.setenv("KERAS_CAFFE_BUILD_OPS", str(libraries))
    run(*PIP_WHEEL, "--wheel-dir", tmp_path, checkout, cwd=tmp_path)
    (wheel,) = tmp_path.glob("keras_caffe-*-py3-none-linux_*.whl")
    assert sorted(name for name in packed(wheel) if name.endswith(".so")) == [f"keras_caffe/ops/{n}" for n in names]


def library_name() -> str:
    import tensorflow as tf

    return f"native-tensorflow-{tf.__version__}.so"


def test_without_a_compiler_the_wheel_is_one_for_all(
    checkout: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_CAFFE_BUILD_OPS", "auto")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert packed(build_wheel(checkout, tmp_path)) == packed(wheel)


class BuildFile:
    """What a Bazel BUILD file of this project states, read by running it: Starlark is a part of Python."""

    def __init__(self, path: Path) -> None:
        self.targets: dict[str, dict] = {}
        rules = {"py_library": self.rule, "py_binary": self.rule, "glob": list, "requirement": str}
        ignored = dict.fromkeys(("load", "package", "licenses", "exports_files"), lambda *args, **kwargs: None)
        exec(compile(path.read_text(), path, "exec"), {**rules, **ignored})  # our own file

    def rule(self, name: str, **attributes: object) -> None:
        self.targets[name] = attributes


def requirements(wheel: Path) -> set[str]:
    """The names of what the package needs whatever its extras."""
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
    found = email.message_from_bytes(archive.read(metadata)).get_all("Requires-Dist", [])
    return {re.match(r"[\w-]+", line)[0] for line in found if "extra ==" not in line}


def test_the_build_file_agrees_with_the_package(wheel: Path) -> None:
    library = BuildFile(ROOT / "BUILD").targets["keras_caffe"]
    patterns = [pattern.replace("/**/", "/*") for pattern in library["srcs"] + library["data"]]
    assert not [name for name in modules_and_data() if not any(fnmatch(name, pattern) for pattern in patterns)]
    assert set(library["deps"]) == requirements(wheel) | {"tensorflow"}
