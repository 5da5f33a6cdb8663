#!/usr/bin/env bash
# Makes a release in build/release: scripts/release.sh [--dry-run]. The version is that of the tag on HEAD (v1.2.3).
#
#   1. sdist and pure wheel from a clean export of the commit, each built twice: both must be the same, bit for bit
#   2. a manylinux wheel that also has the native operations for the oldest and the newest TensorFlow
#   3. twine check; an installation in a fresh environment, and its selftest, for each Python that is there
#   4. SBOM.cdx.json (CycloneDX) of the first of these environments; SHA256SUMS, and how to sign it
#
# --dry-run goes through 1, twine check, SBOM and sums on whatever is committed, in build/release-dry, and says what it leaves
# out (CI runs this).
# In the tests' virtual environment (.venv-test; KERAS_CAFFE_VENV= names another). Nothing is uploaded.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
pythons=(3.10 3.11 3.12 3.13)
ends=("tensorflow-cpu==2.16.2" "tensorflow-cpu")

dry=
case "${1:-}" in
  --dry-run) dry=yes ;;
  "") ;;
  *) echo "usage: $0 [--dry-run]" >&2; exit 2 ;;
esac
step() { echo "== $*"; }
left_out() { echo "-- left out: $*"; }

tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || true)
version=${tag#v}
if [ -z "$tag" ]; then
  [ -n "$dry" ] || { echo "release.sh: HEAD has no tag such as v1.2.3; expected one, which names the version (git tag -s)" >&2; exit 1; }
  version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' keras_caffe/version.py)
fi

search_path=$PATH # without the environment of the tools
use_venv "${KERAS_CAFFE_VENV:-.venv-test}" dev
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH KERAS_CAFFE_BUILD_OPS=0
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
release=$PWD/build/release${dry:+-dry}
rm -rf "$release"
mkdir -p "$release"

# export_to FOLDER: the commit's files, with the version of the tag.
export_to() {
  mkdir -p "$1"
  git archive HEAD | tar -x -C "$1"
  sed -i "s/^__version__ = .*/__version__ = \"$version\"/" "$1/keras_caffe/version.py"
  sed -i "s/^version: .*/version: $version/" "$1/CITATION.cff"
}

# build FOLDER: sdist, and the wheel from what it holds.
build() {
  export_to "$1/source"
  python -m build --no-isolation --sdist --outdir "$1" "$1/source" > "$1/log" 2>&1 || { cat "$1/log"; return 1; }
  python scripts/reproducible_sdist.py "$1"/*.tar.gz
  python -m pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir "$1" "$1"/*.tar.gz
}

step "sdist and wheel of $version, twice"
build "$work/first" & one=$!
build "$work/second"
wait "$one"
for file in "$work"/first/keras_caffe-*; do
  cmp "$file" "$work/second/${file##*/}"
done
cp "$work"/first/keras_caffe-* "$release"

# with_tensorflow FOLDER REQUIREMENT: an environment that has it.
with_tensorflow() {
  "$(find_python)" -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check "$2" "setuptools>=77"
}

if [ -n "$dry" ]; then
  left_out "the manylinux wheel (native operations for ${ends[*]})"
else
  for end in "${ends[@]}"; do
    step "native operations for $end"
    with_tensorflow "$work/$end" "$end"
    "$work/$end/bin/python" scripts/build_ops.py --required --target "$work/native"
    "$work/$end/bin/python" scripts/build_ops.py --required --target "$work/again"
  done
  diff -r "$work/native" "$work/again"
  KERAS_CAFFE_BUILD_OPS=$work/native python -m pip wheel --quiet --no-deps --no-index --no-build-isolation \
    --wheel-dir "$work/platform" "$work"/first/*.tar.gz
  # Which glibc is the oldest that it runs on depends on the machine that compiles; TensorFlow's library stays outside.
  auditwheel repair --exclude 'libtensorflow*' --exclude '_pywrap_tensorflow*' --wheel-dir "$release" "$work"/platform/*.whl
fi

step "twine check"
twine check --strict "$release"/*

# try_out: what a new user does first, in the fresh environment, with nothing of this process's variables.
try_out() {
  local command
  for command in "version --all" "check first/source/keras_caffe/samples/lenet.prototxt" selftest; do
    # shellcheck disable=SC2086  # words of a command
    (cd "$work" && env -i HOME="$work" PATH="$search_path" fresh/bin/keras-caffe $command)
  done
}

wheel=$(ls "$release"/*-none-any.whl)
for each in "${pythons[@]}"; do
  python=$(PATH=$search_path command -v "python$each" || true)
  if [ -z "$python" ] || ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    left_out "Python $each: not tried, none is on the PATH"
  elif [ -n "$dry" ]; then
    left_out "Python $each: an installation in a fresh environment, with its selftest"
  else
    rm -rf "$work/fresh"
    "$python" -m venv "$work/fresh"
    install=("$work/fresh/bin/python" -m pip install --quiet --disable-pip-version-check)
    step "Python $each: the pure wheel"
    "${install[@]}" "$wheel[tensorflow-cpu,images,onnx]"
    [ -f "$release/SBOM.cdx.json" ] || cyclonedx-py environment --output-reproducible -o "$release/SBOM.cdx.json" "$work/fresh"
    try_out
    step "Python $each: the wheel with native operations"
    "${install[@]}" --force-reinstall --no-deps "$release"/*manylinux*.whl
    try_out
  fi
done
[ -z "$dry" ] || cyclonedx-py environment --output-reproducible -o "$release/SBOM.cdx.json" "$VIRTUAL_ENV"

step "sums"
(cd "$release" && sha256sum -- * > "$work/sums" && mv "$work/sums" SHA256SUMS && cat SHA256SUMS)
cat <<END
== To sign, and to check what was signed:
     gpg --armor --detach-sign ${release#"$PWD/"}/SHA256SUMS
     gpg --verify SHA256SUMS.asc && sha256sum --check SHA256SUMS
END
[ -n "$dry" ] || echo "== To publish: twine upload build/release/keras_caffe-*"
