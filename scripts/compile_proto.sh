#!/usr/bin/env bash
# Compiles keras_caffe/proto/caffe.proto to the descriptor set that the package loads (needs grpcio-tools).
set -euo pipefail
cd "$(dirname "$0")/../keras_caffe/proto"
"${PYTHON:-python3}" -m grpc_tools.protoc -I. --descriptor_set_out=caffe.desc caffe.proto
