#!/usr/bin/env bash
# Lint, types and tests in a virtual environment of their own (.venv-test; KERAS_CAFFE_VENV= names another).
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
step pytest --quiet -n "${KERAS_CAFFE_TEST_PROCESSES:-2}" --dist worksteal "$@"
