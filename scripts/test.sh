#!/usr/bin/env bash
# Lint, types and tests in a virtual environment of their own (.venv-test; KERAS_CAFFE_VENV= names another). Where there is
# a C++ compiler, the native operations are built and used, and what both they and their twins compute is tested with both.
# Arguments go to pytest: scripts/test.sh tests/layers -k Pooling
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_VENV:-.venv-test}" dev

# One thread each: the test processes share the cores.
export TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1

step() { echo "== $*"; "$@"; }
step ruff check .
step ruff format --check .
step mypy
step python scripts/build_ops.py
step pytest --quiet --durations=25 -n "${KERAS_CAFFE_TEST_PROCESSES:-2}" --dist worksteal "$@"
if [ $# = 0 ] && ls keras_caffe/ops/native-*.so > /dev/null 2>&1; then
  # What the run above computed by the faster path, once more by the other.
  KERAS_CAFFE_NATIVE=1 step pytest --quiet -n "${KERAS_CAFFE_TEST_PROCESSES:-2}" --dist worksteal \
    tests/layers/test_goldens.py tests/layers/test_losses.py -k "(Pooling or SPP or Hinge or hinge) and not channels_first"
  KERAS_CAFFE_NATIVE=0 step pytest --quiet -n "${KERAS_CAFFE_TEST_PROCESSES:-2}" --dist worksteal \
    tests/layers/test_goldens.py tests/solver/test_trajectories.py tests/optimizers \
    -k "(LRN or stochastic or trajectories or optimizers) and not channels_first"
fi
