#!/usr/bin/env bash
# The minute before a commit: scripts/lint.sh on one core, on the other the tests of what changed (scripts/changed_tests.py
# says which they are). Tests that find no time are skipped and counted; scripts/test.sh runs all. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_VENV:-.venv-test}" dev

lint=$(mktemp)
trap 'rm -f "$lint"' EXIT
bash scripts/lint.sh > "$lint" 2>&1 &
linting=$!

mapfile -t tests < <(python scripts/changed_tests.py)
failed=0
TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 pytest --quiet --seconds 40 "${tests[@]}" "$@" || failed=$?
wait "$linting" || failed=$?
cat "$lint"
exit "$failed"
