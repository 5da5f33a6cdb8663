#!/usr/bin/env bash
# Looks for memory errors and undefined behaviour in the kernels: builds tests/ops/memory_check.cc with AddressSanitizer and
# UBSan, together with the CPU kernels and the CUDA kernels in their emulation, and runs it. The exit status says whether
# all is clean. Arguments: rounds (200), seed (1). CXX= names another compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

cxx=${CXX:-g++}
if ! command -v "$cxx" >/dev/null; then
  echo "check_memory.sh: no $cxx on the PATH (CXX= names another compiler)" >&2
  exit 1
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
flags=(-std=c++17 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
flags+=(-fno-strict-aliasing -Wno-unknown-pragmas -DKERAS_CAFFE_ONE_TARGET -DKERAS_CAFFE_MOST_BLOCKS=3)
flags+=(-I. -Itests/ops/cuda_emulation)
sources=(tests/ops/memory_check.cc ops/*/*_cpu.cc ops/*/*_cuda.cu)
for source in "${sources[@]}"; do
  printf '%s\0' "$source"
done | xargs -0 -P "$(nproc)" -I{} sh -c '"$@" -x c++ -c "$0" -o "'"$folder"'/$(basename "$0").o"' {} "$cxx" "${flags[@]}"
"$cxx" "${flags[@]}" "$folder"/*.o -o "$folder/memory_check"
ASAN_OPTIONS=detect_stack_use_after_return=0 "$folder/memory_check" "$@"
