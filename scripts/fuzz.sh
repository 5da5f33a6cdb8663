#!/usr/bin/env bash
# Feeds damaged and odd files to every reader, guided by coverage (Atheris), and reports what comes out that is no CaffeError:
#   scripts/fuzz.sh [TARGET ...] [--seconds N] [--inputs N] [--state FILE] [--seed N] [--list]
# Without a target, all of them one after the other; 3 seconds of each by default. FILE sums what was run over time, and the
# inputs found so far are kept beside it, so that a run goes on where the last one ended. docs/reliability.md has the counts.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_VENV:-.venv-test}" dev

export KERAS_BACKEND=numpy TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1
exec nice -n 19 python -m scripts.fuzzing "$@"
