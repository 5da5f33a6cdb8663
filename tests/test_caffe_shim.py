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

from keras_caffe import proto
from keras_caffe.cli.programs import MODULES
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
    assert set(re.findall(r'^(\w+) = "keras_caffe.cli.programs:console"$', project, re.MULTILINE)) == set(MODULES)


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
layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { mean_file: "mean.binaryproto" scale: 0.0039 }
  data_param { source: "cifar_train_lmdb" batch_size: 4 backend: LMDB } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool1" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "cifar.prototxt" test_iter: 2 test_interval: 4 base_lr: 0.05 lr_policy: "fixed" display: 2 max_iter: 8
snapshot: 4 snapshot_prefix: "cifar" solver_type: SGD random_seed: 1 solver_mode: GPU
"""
SCRIPT = """
set -e
convert_imageset --resize_height=12 --resize_width=12 --shuffle images/ images/train.txt cifar_train_lmdb
compute_image_mean -backend=lmdb cifar_train_lmdb mean.binaryproto
upgrade_solver_proto_text cifar_old_solver.prototxt cifar_solver.prototxt
caffe train --solver=cifar_solver.prototxt --gpu 0 2> cifar.log
caffe test -model cifar.prototxt -weights cifar_iter_8.caffemodel -gpu 0 -iterations 2 2> test.log
caffe time --model=cifar.prototxt --iterations=1 2> time.log
extract_features cifar_iter_8.caffemodel cifar.prototxt ip features 2 lmdb GPU 0
! caffe train --solver=cifar_solver.prototxt --nonsense 2> wrong.log
"""


def write_inputs(folder: Path) -> None:
    """Bright pictures and dark ones, a net, its solver in an old form."""
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for number in range(8):
        pixels = rng.integers(0, 80, (20, 16, 3), dtype=np.uint8) + np.uint8(150 * (number % 2))
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        lines.append(f"{number}.png {number % 2}\n")
    (folder / "images" / "train.txt").write_text("".join(lines))
    (folder / "cifar.prototxt").write_text(NET)
    (folder / "cifar_old_solver.prototxt").write_text(SOLVER)


def test_a_shell_script_for_caffe_runs(python: Path, tmp_path: Path) -> None:
    write_inputs(tmp_path)
    environment = {**clean_environment(), "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert read_mean(tmp_path / "mean.binaryproto").shape == (1, 3, 12, 12)
    assert 'type: "SGD"' in (tmp_path / "cifar_solver.prototxt").read_text()
    log = (tmp_path / "cifar.log").read_text()
    assert "] Iteration 6, lr = 0.05" in log and log.rstrip().endswith("] Optimization Done.")
    assert "] accuracy = 1" in (tmp_path / "test.log").read_text()
    assert "     conv1\tforward: " in (tmp_path / "time.log").read_text()
    datums = [proto.Datum.FromString(bytes(value)) for _, value in open_any(tmp_path / "features").items()]
    assert [len(datum.float_data) for datum in datums] == [2] * 8
    assert (tmp_path / "wrong.log").read_text() == "ERROR: unknown command line flag 'nonsense'\n"
