#!/usr/bin/env bash
# Builds the native operations for the TensorFlow of a virtual environment (.venv; KERAS_CAFFE_VENV= names another), or of
# the one that is active. Without a compiler it says so and all goes on without them; --required makes that an error.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${VIRTUAL_ENV:-}" ] || [ -n "${KERAS_CAFFE_VENV:-}" ]; then
  . scripts/venv.sh
  use_venv "${KERAS_CAFFE_VENV:-.venv}"
fi
python scripts/build_ops.py "$@"
