# Sourced by the other scripts: `use_venv FOLDER [EXTRAS]` makes a virtual environment with the checkout and a TensorFlow in it
# (the newest, or what the extra tensorflow-io pins) and enters it. PYTHON= chooses the interpreter. A finished environment is
# used again until pyproject.toml, setup.py or the choice changes.

find_python() {
  local candidate candidates=(python3.11 python3.12 python3.13 python3.10 python3)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "No Python 3.10 to 3.13 with its venv module was found (tried: ${candidates[*]})." >&2
  echo "Install one (on Debian and Ubuntu: apt install python3 python3-venv) or name it: PYTHON=/path/to/python $0" >&2
  return 1
}

use_venv() {
  local folder extras=tensorflow${2:+,$2} python stamp
  [ "$(uname -sm)" != "Linux x86_64" ] || extras=tensorflow-cpu${2:+,$2}  # half the download, not made for every machine
  case ",${2:-}," in *,tensorflow-io,*) extras=$2 ;; esac  # brings its own TensorFlow
  python=$(find_python)
  mkdir -p "$1"
  folder=$(cd "$1" && pwd)
  stamp="$extras $("$python" -VV | tr '\n' ' ') $(cat pyproject.toml setup.py | cksum) $PWD"
  if [ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "Installing keras_caffe[$extras] into $folder with $("$python" -V) (a minute or two, TensorFlow is large) ..."
    [ ! -f "$folder/stamp" ] || rm -r "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
    echo "$stamp" > "$folder/stamp"
  fi
  export PATH="$folder/bin:$PATH" VIRTUAL_ENV="$folder"
  # A ~/.keras/keras.json of another backend or data format stays out of it, and so do TensorFlow's start-up notes.
  export KERAS_HOME="$folder/keras" KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"
  unset PYTHONPATH PYTHONHOME
}
