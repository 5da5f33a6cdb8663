#!/usr/bin/env bash
# The documents as a site in build/site, which opens from the disk; a broken link or an unknown name is an error. In a virtual
# environment of its own (.venv-site; KERAS_CAFFE_SITE_VENV= names another). Arguments go to mkdocs: scripts/site.sh serve.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
use_venv "${KERAS_CAFFE_SITE_VENV:-.venv-site}" docs

[ $# -gt 0 ] || set -- build --strict --quiet
NO_MKDOCS_2_WARNING=1 exec mkdocs "$@"
