#!/usr/bin/env bash
# Shows the main job on real input, in a virtual environment of its own (.venv-demo; KERAS_CAFFE_VENV= names another).
# The files it writes go to build/demo, or to the folder given as argument.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_VENV:-.venv-demo}"
export TF_ENABLE_ONEDNN_OPTS=0  # spares the screen TensorFlow's note that it is on; the numbers are the same
python scripts/demo.py "$@"
