"""Makes keras_caffe/samples from the LeNet that Caffe trained: `make_samples.py [GOLDEN_LENET_FOLDER]`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import lmdb

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "keras_caffe" / "samples"
DATABASE = "db/mnist_test_lmdb"


def shared_lenet() -> Path:
    return Path(os.environ.get("KERAS_CAFFE_SHARED", ROOT.parent / "shared")) / "golden" / "lenet"


def copy_compact(source: Path, target: Path) -> None:
    """Copies an LMDB without its free pages and its lock file."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with lmdb.open(str(source), readonly=True, lock=False) as env:
        env.copy(str(target), compact=True)


def main(lenet: Path) -> None:
    shutil.copyfile(lenet / "lenet_train_test.prototxt", SAMPLES / "lenet_train_test.prototxt")
    shutil.copyfile(lenet / "lenet_final.caffemodel", SAMPLES / "lenet.caffemodel")
    copy_compact(lenet / DATABASE, SAMPLES / DATABASE)
    for file in sorted(path for path in SAMPLES.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}):
        print(f"{file.stat().st_size:>9,} bytes  {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else shared_lenet())
