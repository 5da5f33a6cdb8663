#!/usr/bin/env bash
# The tests of data layers, and some of all others, with the oldest TensorFlow that is supported: 2.16.2, the only one beside
# which tensorflow-io's reader loads. In a virtual environment of its own (.venv-oldest; KERAS_CAFFE_OLDEST_VENV= names
# another). Arguments go to pytest in place of the chosen tests.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_OLDEST_VENV:-.venv-oldest}" tensorflow-io,test

# One thread each: the test processes share the cores.
export TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1
export KERAS_CAFFE_TEST_TENSORFLOW_IO=1  # a reader that does not load is a failure here

[ $# -gt 0 ] || set -- tests/data tests/ops tests/optimizers tests/test_load.py
python -c 'from importlib.metadata import version as v; print("TensorFlow", v("tensorflow"), "tensorflow-io", v("tensorflow-io"))'
python scripts/build_ops.py
exec pytest --quiet -n "${KERAS_CAFFE_TEST_PROCESSES:-2}" --dist worksteal "$@"
