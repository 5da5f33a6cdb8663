"""The CUDA kernels' own source, compiled for the CPU with an emulation of CUDA (cuda_emulation/), and by nvcc."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import test_cuda
from scripts.cuda_tests import bandwidth, goldens, random_cases
from scripts.cuda_tests.library import Library
from scripts.cuda_tests.memory import HostMemory

ROOT = Path(__file__).resolve().parents[2]
KERNELS = sorted(ROOT.glob("ops/*/*_cuda.cu"))
FLAGS = ["-O1", "-std=c++17", "-shared", "-fPIC", "-fno-strict-aliasing", "-Wall", "-Werror", "-Wno-unknown-pragmas"]
FLAGS += ["-DKERAS_CAFFE_MOST_BLOCKS=3"]  # so that threads take many turns


def build(folder: Path, *more: str) -> Path:
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        pytest.skip("no C++ compiler on the PATH")
    target = folder / "libemulated.so"
    folders = [f"-I{ROOT}", f"-I{ROOT / 'tests' / 'ops' / 'cuda_emulation'}"]
    subprocess.run([compiler, *FLAGS, *more, *folders, "-x", "c++", *KERNELS, "-o", target], check=True)
    return target


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("emulated"))


@pytest.fixture(scope="module")
def built_long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the kernels that count in 64 bits, which only arrays of 2^31 values and more get."""
    return build(tmp_path_factory.mktemp("emulated_long"), "-DKERAS_CAFFE_SHORT=0")


@pytest.fixture(params=[("built", 0), ("built", 4), ("built_long", 0)], ids=["aligned", "unaligned", "64 bits"])
def library(request: pytest.FixtureRequest) -> Library:
    name, shift = request.param
    return Library(request.getfixturevalue(name), HostMemory(shift))


@pytest.mark.parametrize("compare", goldens.CHECKS.values(), ids=goldens.CHECKS)
def test_real_caffe(library: Library, compare: Callable[[Library], int]) -> None:
    assert compare(library) > 0


@pytest.mark.parametrize("compare", random_cases.CHECKS.values(), ids=random_cases.CHECKS)
def test_random_cases(library: Library, compare: Callable[[Library], int]) -> None:
    assert compare(library) > 0


def test_the_script_says_what_fails(
    library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(goldens, "CHECKS", {"hinge loss": goldens.hinge})
    monkeypatch.setattr(random_cases, "CHECKS", {})
    assert test_cuda.check(library)
    monkeypatch.setattr(library, "hinge_loss", lambda scores, labels, squared: (labels[0] + 99, scores))
    assert not test_cuda.check(library)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Caffe's arrays, hinge loss: 30 agree", "Caffe's arrays, hinge loss: FAILED"]


def test_every_kernel_is_measured(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = {name: ((1, 4, *size[2:]), windows) for name, (size, windows) in bandwidth.POOLS.items()}
    lrns = {name: ((1, 8, *size[2:]), *more) for name, (size, *more) in bandwidth.LRNS.items()}
    settings = {"POOLS": pools, "LRNS": lrns, "HINGE": (5, 7), "PARAMETERS": 99, "RECORDS": ((2, 3, 40, 40), (25, 26))}
    for name, value in settings.items():
        monkeypatch.setattr(bandwidth, name, value)
    memory = HostMemory()
    memory.copy = lambda source, target: None
    memory.seconds = lambda call, times: [call(), 2.0][1]
    rows = bandwidth.measure(Library(built, memory))
    unmeasured = {"stochastic_pool", "stochastic_mean_pool", "stochastic_mean_pool_grad"}
    declared = {
        name for path in ROOT.glob("ops/*/*.h") for name in re.findall(r"int keras_caffe_(\w+)\(", path.read_text())
    }
    assert {row[0] for row in rows} == declared - unmeasured
    assert all(row[5] == 100 for row in rows)


def test_unknown_methods_are_refused(library: Library) -> None:
    update = random_cases.SolverUpdate(6, 0, 1, 0, 1, 0, 0, 0)
    with pytest.raises(RuntimeError, match="keras_caffe_solver_update gave CUDA's error 1"):
        library.call("solver_update", update, 0, None, None, None, None)


def test_every_op_has_a_kernel_here() -> None:
    headers = {path.parent for path in ROOT.glob("ops/*/*.h") if "extern " in path.read_text()}
    assert headers == {path.parent for path in KERNELS} != set()


def test_without_a_library_the_script_skips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert test_cuda.main(["--library", str(tmp_path / "none.so")]) == 0
    assert capsys.readouterr().out.startswith("skipped: there is no ")


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_nvcc_compiles(path: Path, tmp_path: Path) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc on the PATH")
    flags = ["-std=c++17", f"-I{ROOT}", "-arch=sm_90", "-Werror=all-warnings", "-Xcompiler=-Wall,-Werror"]
    subprocess.run(["nvcc", *flags, "-c", path, "-o", tmp_path / "kernel.o"], check=True)


def test_without_nvcc_the_build_says_so() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "build_cuda.sh"], env={**os.environ, "NVCC": "no-nvcc"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no no-nvcc on the PATH: the CUDA kernels are not built" in done.stderr
