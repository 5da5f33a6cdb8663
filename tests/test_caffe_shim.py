"""packaging/caffe-shim: `import caffe` and Caffe's programs as commands, in an environment of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_caffe import proto, requirements
from keras_caffe.cli.programs.declared import PROGRAMS
from keras_caffe.converters.read import read_mean
from keras_caffe.data.statistics import open_any
from keras_caffe.version import __version__
from tests.installing import PIP_WHEEL, clean_environment, fresh_environment, run
from tests.shared_goldens import ROOT

SHIM = ROOT / "packaging" / "caffe-shim"
USE = """
import caffe, caffe.proto.caffe_pb2
from caffe import layers as L
from caffe.net_spec import Top
import keras_caffe.pycaffe
assert caffe is keras_caffe.pycaffe and caffe.io is keras_caffe.pycaffe.io
assert caffe.proto.caffe_pb2 is keras_caffe.pycaffe.proto.caffe_pb2
assert isinstance(L.DummyData(shape=dict(dim=[1])), Top)
keras_caffe.pycaffe.install()
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the shim and this checkout."""
    folder = tmp_path_factory.mktemp("shim")
    source = Path(shutil.copytree(SHIM, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info")))
    run(*PIP_WHEEL, "--wheel-dir", folder, source, cwd=folder)
    (wheel,) = folder.glob(f"keras_caffe_shim-{__version__}-py3-none-any.whl")
    environment = fresh_environment(folder / "environment", ROOT)
    pip = ("-m", "pip", "--python", environment, "install", "--no-deps", "--no-index", wheel)
    run(sys.executable, *pip, cwd=folder)
    return environment


def test_the_shim_belongs_to_this_version_and_has_every_program() -> None:
    project = (SHIM / "pyproject.toml").read_text()
    assert f'version = "{__version__}"' in project and f'"keras-caffe=={__version__}"' in project
    names = re.findall(r'^"?([\w.]+)"? = "keras_caffe.cli.programs:console"$', project, re.MULTILINE)
    assert sorted(names) == sorted([*PROGRAMS, *(f"{name}.bin" for name in PROGRAMS)])
    assert {"keras-caffe", *PROGRAMS} == set(requirements.PROGRAMS)


def test_caffe_is_the_same_as_pycaffe(python: Path, tmp_path: Path) -> None:
    run(python, "-c", USE, cwd=tmp_path)


def test_a_real_caffe_is_not_shadowed(python: Path, tmp_path: Path) -> None:
    (tmp_path / "real" / "caffe").mkdir(parents=True)
    (tmp_path / "real" / "caffe" / f"_caffe{EXTENSION_SUFFIXES[0]}").touch()
    code = f"import sys; sys.path.append({str(tmp_path / 'real')!r}); import caffe"
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ImportError" in done.stderr and f"{tmp_path / 'real' / 'caffe'}: a real Caffe is installed" in done.stderr


NET = """
name: "CIFAR10_tiny"
layers { name: "data" type: DATA top: "data" top: "label"
  transform_param { mean_file: "examples/cifar10/mean.binaryproto" scale: 0.0039 }
  data_param { source: "examples/cifar10/cifar10_train_lmdb" batch_size: 4 backend: LMDB } }
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { name: "pool1" type: POOLING bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "pool1" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layers { name: "accuracy" type: ACCURACY bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "examples/cifar10/cifar10.prototxt" test_iter: 2 test_interval: 4 base_lr: 0.05 lr_policy: "fixed" display: 2
max_iter: 8 snapshot: 4 snapshot_format: HDF5 snapshot_prefix: "examples/cifar10/cifar10" random_seed: 1
solver_type: SGD solver_mode: GPU
"""
SCRIPT = """
#!/usr/bin/env sh
set -e
EXAMPLE=examples/cifar10
DATA=data/cifar10
upgrade_net_proto_text $EXAMPLE/cifar10_v1.prototxt $EXAMPLE/cifar10.prototxt
upgrade_solver_proto_text $EXAMPLE/cifar10_old_solver.prototxt $EXAMPLE/cifar10_solver.prototxt
GLOG_logtostderr=1 convert_imageset \\
    --resize_height=12 --resize_width=12 --shuffle $DATA/ $DATA/train.txt $EXAMPLE/cifar10_train_lmdb
convert_imageset -gray -backend leveldb --encoded=0 $DATA/ $DATA/train.txt mnist_train_leveldb
mkdir build
ln -s "$(dirname "$(command -v caffe)")" build/tools
./build/tools/compute_image_mean.bin -backend=lmdb $EXAMPLE/cifar10_train_lmdb $EXAMPLE/mean.binaryproto
caffe train --solver=$EXAMPLE/cifar10_solver.prototxt "$@" 2> cifar.log
caffe train --solver=$EXAMPLE/cifar10_solver_lr1.prototxt \\
    --snapshot=$EXAMPLE/cifar10_iter_8.solverstate.h5 -gpu all 2> lr1.log
caffe test -model $EXAMPLE/cifar10.prototxt -weights $EXAMPLE/cifar10_iter_8.caffemodel.h5 -iterations 2 2> test.log
caffe time --model=$EXAMPLE/cifar10.prototxt --iterations=1 2> time.log
extract_features $EXAMPLE/cifar10_iter_8.caffemodel.h5 $EXAMPLE/cifar10.prototxt ip,label features,labels 2 lmdb GPU 0
! caffe train --solver=$EXAMPLE/cifar10_solver.prototxt --nonsense 2> wrong.log
"""


def write_inputs(folder: Path) -> None:
    """Bright pictures and dark ones, a net and its solver in old forms, a second solver that goes on."""
    pictures, example = folder / "data" / "cifar10", folder / "examples" / "cifar10"
    pictures.mkdir(parents=True)
    example.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = []
    for number in range(8):
        pixels = rng.integers(0, 80, (20, 16, 3), dtype=np.uint8) + np.uint8(150 * (number % 2))
        Image.fromarray(pixels).save(pictures / f"{number}.png")
        lines.append(f"{number}.png {number % 2}\n")
    (pictures / "train.txt").write_text("".join(lines))
    (example / "cifar10_v1.prototxt").write_text(NET)
    (example / "cifar10_old_solver.prototxt").write_text(SOLVER)
    lower = SOLVER.replace("0.05", "0.005").replace("max_iter: 8", "max_iter: 12")
    (example / "cifar10_solver_lr1.prototxt").write_text(lower)


def test_a_shell_script_for_caffe_runs(python: Path, tmp_path: Path) -> None:
    write_inputs(tmp_path)
    environment = {**clean_environment(), "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", SCRIPT, "train.sh", "--gpu", "0"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + "".join(path.read_text() for path in tmp_path.glob("*.log"))
    example = tmp_path / "examples" / "cifar10"
    assert read_mean(example / "mean.binaryproto").shape == (1, 3, 12, 12)
    assert 'type: "SGD"' in (example / "cifar10_solver.prototxt").read_text()
    assert 'type: "SoftmaxWithLoss"' in (example / "cifar10.prototxt").read_text()
    _, record = next(iter(open_any(tmp_path / "mnist_train_leveldb").items()))
    assert proto.Datum.FromString(bytes(record)).channels == 1
    logs = {path.stem: path.read_text() for path in tmp_path.glob("*.log")}
    assert logs["cifar"].rstrip().endswith("] Optimization Done.")
    assert "] Iteration 10, lr = 0.005" in logs["lr1"] and "] Iteration 6" not in logs["lr1"]
    assert "] accuracy = 1" in logs["test"]
    assert "     conv1\tforward: " in logs["time"] and re.search(r"] Initial loss: [0-9]+\.[0-9]+\n", logs["time"])
    assert logs["wrong"] == "ERROR: unknown command line flag 'nonsense'\n"
    datums = [proto.Datum.FromString(bytes(value)) for _, value in open_any(tmp_path / "features").items()]
    assert [len(datum.float_data) for datum in datums] == [2] * 8
    # Each line is glog's or goes on such a one; Caffe's parse_log.py and extract_seconds.py read no others.
    assert not [line for line in (logs["test"] + logs["time"]).splitlines() if not GLOG.match(line)]
    rows = re.findall(r"\] Iteration (\d+).*, loss = ([0-9.e-]+)\n", logs["cifar"])
    assert [int(iteration) for iteration, _ in rows] == [0, 2, 4, 6, 8]
    assert re.findall(r"\] Iteration (\d+), Testing net \(#0\)\n", logs["cifar"]) == ["0", "4", "8"]
    assert re.search(r"I\d{4} [0-9:.]+ +\d+ \w+\.cpp:\d+\] Solving CIFAR10_tiny\n", logs["cifar"])


GLOG = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \w+\.\w+:\d+\] ")
