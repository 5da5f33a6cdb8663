#!/usr/bin/env bash
# The Python tests of a checkout of BVLC's Caffe, unchanged, against this package: scripts/bvlc_tests.sh CHECKOUT [TEST ...].
# In the tests' virtual environment (.venv-test; KERAS_CAFFE_VENV= names another). Nothing of the checkout is part of this one.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 CHECKOUT [TEST ...]   (https://github.com/BVLC/caffe)" >&2; exit 2; }
checkout=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_VENV:-.venv-test}" dev
cd "$checkout/python/caffe/test"
[ $# -gt 0 ] || set -- discover
exec python -m keras_caffe.pycaffe -m unittest "$@"
