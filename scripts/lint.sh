#!/usr/bin/env bash
# Style, format and types of every Python file, and the Dockerfile's style, in half a minute. In the tests' virtual environment
# (.venv-test; KERAS_CAFFE_VENV= names another).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_VENV:-.venv-test}" dev

step() { echo "== $*"; "$@"; }
step ruff check .
step ruff format --check .
step mypy
step env PYTHONPATH=. pyright --verifytypes keras_caffe --ignoreexternal  # 0 only if every public name has a known type
step hadolint Dockerfile
