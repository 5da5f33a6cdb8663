#!/usr/bin/env bash
# Compiles the CUDA kernels (ops/*/*_cuda.cu) with nvcc alone into build/cuda/libkeras_caffe_cuda.so, for sm_80, sm_90 and later;
# NVCC= names another compiler, NVCC_FLAGS= adds to its arguments. scripts/test_cuda.py tests and measures the library.
set -euo pipefail
cd "$(dirname "$0")/.."

nvcc=${NVCC:-nvcc}
if ! command -v "$nvcc" >/dev/null; then
  echo "build_cuda.sh: no $nvcc on the PATH: the CUDA kernels are not built (install the CUDA toolkit, or set NVCC=)" >&2
  exit 1
fi

out=build/cuda
flags=(-O3 -std=c++17 -I. -Xcompiler -fPIC -gencode arch=compute_80,code=sm_80 -gencode 'arch=compute_90,code=[sm_90,compute_90]')
read -ra more <<<"${NVCC_FLAGS:-}"
mkdir -p "$out"
rm -f "$out"/*.o
for source in ops/*/*_cuda.cu; do
  printf '%s\0' "$source"
done | xargs -0 -P "$(nproc)" -I{} sh -c '"$@" -c "$0" -o "build/cuda/$(basename "$0" .cu).o"' {} "$nvcc" "${flags[@]}" "${more[@]}"
"$nvcc" -shared "$out"/*.o -o "$out/libkeras_caffe_cuda.so"
echo "$out/libkeras_caffe_cuda.so"
