#!/usr/bin/env bash
# Style, format and types of every Python file, and the Dockerfile's style, in a few seconds. In the tests' virtual environment (.venv-test;
# KERAS_CAFFE_VENV= names another).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_VENV:-.venv-test}" dev

step() { echo "== $*"; "$@"; }
step ruff check .
step ruff format --check .
step mypy
step hadolint Dockerfile
