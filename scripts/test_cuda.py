"""Tests and measures the CUDA kernels on this machine's GPU, through PyTorch or CuPy.

Everything that real Caffe computed, then random shapes against NumPy, then the share of a copy's bandwidth. Where the
library is missing, `scripts/build_cuda.sh` builds it first, if there is an nvcc. Without a GPU or without the library
nothing is done, and the last line says why.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.benchmarks import report  # noqa: E402
from scripts.cuda_tests import bandwidth, goldens, random_cases  # noqa: E402
from scripts.cuda_tests.library import Library  # noqa: E402
from scripts.cuda_tests.memory import gpu_memory  # noqa: E402

BUILT = ROOT / "build" / "cuda" / "libkeras_caffe_cuda.so"
COLUMNS = ("kernel", "sizes", "MB", "µs", "GB/s", "% of a copy")


def find(path: Path) -> Library | str:
    """The library on the GPU's memory, or what is missing."""
    if path == BUILT and not path.exists() and shutil.which(os.environ.get("NVCC", "nvcc")):
        subprocess.run(["bash", str(ROOT / "scripts" / "build_cuda.sh")], check=True)
    if not path.exists():
        return f"there is no {path} (scripts/build_cuda.sh makes it)"
    memory = gpu_memory()
    return memory if isinstance(memory, str) else Library(path, memory)


def check(library: Library) -> bool:
    """Whether all comparisons hold."""
    right = True
    for title, checks in (("Caffe's arrays", goldens.CHECKS), ("random cases", random_cases.CHECKS)):
        for name, compare in checks.items():
            try:
                result = f"{compare(library)} agree"
            except AssertionError as error:
                right, result = False, f"FAILED\n{error}"
            print(f"{title}, {name}: {result}")
    return right


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, default=BUILT)
    parser.add_argument("--no-bandwidth", action="store_true", help="compare only")
    args = parser.parse_args(argv)
    library = find(args.library)
    if isinstance(library, str):
        print(f"skipped: {library}")
        return 0
    print(f"on {library.memory.name}")
    right = check(library)
    if not args.no_bandwidth:
        rows = bandwidth.measure(library)
        table = report.table(f"CUDA kernels on {library.memory.name}", COLUMNS, rows)
        report.show(table, ["scripts/test_cuda.py", *argv])
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
