#!/usr/bin/env bash
# The tests, in a virtual environment of their own (.venv-test; KERAS_CAFFE_VENV= names another). With arguments, which go to
# pytest, these tests at once: scripts/test.sh tests/layers -k Pooling. Without, all of them: where there is a C++ compiler,
# the native operations are built and used, and what both they and their twins compute is tested with both.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_VENV:-.venv-test}" dev

# One thread each: the test processes share the cores.
export TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1
[ $# = 0 ] || exec pytest --quiet "$@"

step() { echo "== $*"; "$@"; }
tests() { step pytest --quiet -n "${KERAS_CAFFE_TEST_PROCESSES:-2}" --dist worksteal "$@"; }
step python scripts/build_ops.py
tests --durations=25
if ls keras_caffe/ops/native-*.so > /dev/null 2>&1; then
  # What the run above computed by the faster path, once more by the other.
  KERAS_CAFFE_NATIVE=1 tests tests/layers/test_goldens.py tests/layers/test_losses.py \
    -k "(Pooling or SPP or Hinge or hinge) and not channels_first"
  KERAS_CAFFE_NATIVE=0 tests tests/layers/test_goldens.py tests/solver/test_trajectories.py tests/optimizers \
    -k "(LRN or stochastic or trajectories or optimizers) and not channels_first"
fi
