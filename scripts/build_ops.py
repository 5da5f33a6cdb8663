"""Builds the native operations of ops/ into one library for the TensorFlow that is installed, with its own flags."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "ops"
TARGET = ROOT / "keras_caffe" / "ops"

# Without -ffp-contract=off, what is rounded would depend on the processor.
OPTIMIZE = ("-O3", "-fPIC", "-Wall", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
QUIET = ("-Wno-deprecated-declarations", "-Wno-psabi")
CUDA_ARCHITECTURES = (80, 90)


class BuildError(Exception):
    """Why there is no library."""


class TensorFlow(NamedTuple):
    """The installed TensorFlow: version, its flags for compiler and linker, and whether it works on CUDA devices."""

    version: str
    compile: tuple[str, ...]
    link: tuple[str, ...]
    cuda: bool


def tensorflow() -> TensorFlow:
    """Asks the TensorFlow of this interpreter, in a process of its own.

    Raises:
        BuildError: there is none.
    """
    ask = "import tensorflow as t; s = t.sysconfig; print(t.__version__, t.test.is_built_with_cuda(), sep='\\n')"
    ask += "; print('\\n'.join([*s.get_compile_flags(), '', *s.get_link_flags()]))"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise BuildError("TensorFlow cannot be imported: pip install 'keras-caffe[tensorflow]' first")
    version, cuda, *flags = done.stdout.splitlines()
    middle = flags.index("")
    includes = [flag.replace("-I", "-isystem", 1) if flag.startswith("-I") else flag for flag in flags[:middle]]
    return TensorFlow(version, tuple(includes), tuple(flags[middle + 1 :]), cuda == "True")


def compiler() -> str:
    """The C++ compiler: $CXX, or the first that is found.

    Raises:
        BuildError: there is none.
    """
    named = os.environ.get("CXX")
    for name in [named] if named else ["g++", "clang++", "c++"]:
        if shutil.which(name):
            return name
    raise BuildError(f"no C++ compiler was found ({named or 'g++, clang++ or c++'}); on Debian: apt install g++")


def cuda_home() -> Path:
    """The folder of the CUDA toolkit: $CUDA_HOME, or where it is by default."""
    return Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))


def wants_cuda(tf: TensorFlow) -> bool:
    """Whether CUDA kernels go into the library: KERAS_CAFFE_CUDA=1 asks for them.

    Raises:
        BuildError: TensorFlow or the compiler cannot do it.
    """
    if os.environ.get("KERAS_CAFFE_CUDA", "0") != "1":
        return False
    if not tf.cuda:
        raise BuildError(f"this TensorFlow {tf.version} was built without CUDA, and KERAS_CAFFE_CUDA=1 is set")
    if not shutil.which("nvcc"):
        raise BuildError("nvcc is not on the PATH, and KERAS_CAFFE_CUDA=1 is set")
    return True


def digest(flags: tuple[str, ...]) -> str:
    """What the library is made from: a short name for the contents of all sources, and the flags."""
    found = hashlib.sha256("\n".join(flags).encode())
    for path in sources("*.h") + sources("*.cc") + sources("*.cu"):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def sources(pattern: str) -> list[Path]:
    return sorted(SOURCES.rglob(pattern))


def library_name(version: str) -> str:
    """File name of the library for a TensorFlow; keras_caffe/ops/native.py looks for it."""
    return f"native-tensorflow-{version}.so"


def commands(tf: TensorFlow, cuda: bool, marks: tuple[str, ...]) -> list[tuple[Path, list[str]]]:
    """Source and compiler call for each object file; the name of the object goes behind."""
    plain = [compiler(), *OPTIMIZE, "-std=c++17", f"-I{ROOT}", "-c"]  # kernels, which know nothing of TensorFlow
    found = [(path, [*plain, str(path)]) for path in sources("*_cpu.cc")]
    glue = [compiler(), *OPTIMIZE, *QUIET, f"-I{ROOT}", *tf.compile, *marks, "-c"]
    others = [path for path in sources("*.cc") if path not in sources("*_cpu.cc")]
    if cuda:
        glue.insert(1, f"-isystem{cuda_home() / 'include'}")
    found += [(path, [*glue, str(path)]) for path in others if cuda or path.name != "stream.cc"]
    nvcc = ["nvcc", "-O3", "-std=c++17", "-Xcompiler", "-fPIC", f"-I{ROOT}", "-c"]
    nvcc += [f"-gencode=arch=compute_{a},code=sm_{a}" for a in CUDA_ARCHITECTURES]
    found += [(path, [*nvcc, str(path)]) for path in sources("*_cuda.cu") if cuda]
    return found


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def build(target: Path = TARGET, force: bool = False) -> Path:
    """Compiles all sources and links them; a library that was built from the same sources is kept.

    Args:
        target: folder for the library.
        force: build it in any case.

    Returns:
        The library.

    Raises:
        BuildError: no TensorFlow, no compiler, or one that fails.
    """
    compiler()
    tf = tensorflow()
    cuda = wants_cuda(tf)
    sum_of_all = digest((*OPTIMIZE, *tf.compile, str(cuda), tf.version))
    library = target / library_name(tf.version)
    if library.exists() and not force and f"SOURCES={sum_of_all};".encode() in library.read_bytes():
        return library
    marks = (f'-DKERAS_CAFFE_TENSORFLOW="{tf.version}"', f'-DKERAS_CAFFE_SOURCES="{sum_of_all}"')
    marks += ("-DKERAS_CAFFE_CUDA",) if cuda else ()
    with tempfile.TemporaryDirectory() as folder:
        calls = [(Path(folder) / f"{path.stem}.o", call) for path, call in commands(tf, cuda, marks)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda call: run([*call[1], "-o", str(call[0])]), calls))
        made = Path(folder) / library.name
        runtime = [f"-L{cuda_home() / 'lib64'}", "-lcudart"] if cuda else []
        run([compiler(), "-shared", *(str(path) for path, _ in calls), *tf.link, *runtime, "-o", str(made)])
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, library.with_suffix(".tmp"))
        library.with_suffix(".tmp").replace(library)
    return library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--required", action="store_true", help="fail where nothing can be built")
    parser.add_argument("--force", action="store_true", help="build even what is there")
    parser.add_argument("--target", type=Path, default=TARGET, help="folder for the library")
    arguments = parser.parse_args()
    try:
        print(f"Native operations: {build(arguments.target, arguments.force)}")
    except BuildError as error:
        print(f"No native operations: {error}", file=sys.stderr)
        sys.exit(1 if arguments.required else 0)


if __name__ == "__main__":
    main()
