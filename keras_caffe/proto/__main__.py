"""`python -m keras_caffe.proto` compiles caffe.proto to caffe.desc, which the package loads. Run it after a change."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import descriptor_pb2

from keras_caffe.proto import schema
from keras_caffe.proto.declare import compile_proto

FOLDER = Path(__file__).parent


def main() -> None:
    source = FOLDER / "caffe.proto"
    file = compile_proto(source.read_text(), source.name)
    schema.replace(file)  # Protobuf refuses here what our parser lets pass, before caffe.desc is touched.
    compiled = descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString(deterministic=True)
    (FOLDER / "caffe.desc").write_bytes(compiled)


if __name__ == "__main__":
    main()
