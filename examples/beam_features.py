"""Features of a large collection of pictures with Apache Beam: one file for this machine, Dataflow, Flink and Spark.

    pip install 'keras-caffe[beam,onnx]'        # in an environment of its own
    python examples/beam_features.py --source '/photos/*.jpg' --output /features/fc7 --blob fc7 \\
        --net deploy.prototxt --weights net.caffemodel --mean 104 117 123 --crop 227 --resize 256 \\
        --runner=DirectRunner --direct_num_workers=8 --direct_running_mode=multi_processing

The other runners take the same arguments, and these in place of the last line; files must be where all workers find
them (`gs://`, `s3://`, or the container):

    Dataflow  --runner=DataflowRunner --project=P --region=R --temp_location=gs://B/tmp --sdk_container_image=IMAGE
    Flink     --runner=FlinkRunner --flink_master=HOST:8081 --environment_type=DOCKER --environment_config=IMAGE
    Spark     --runner=PortableRunner --job_endpoint=HOST:8099 --environment_type=DOCKER --environment_config=IMAGE

IMAGE holds keras-caffe and the net: a Dockerfile of `FROM apache/beam_python3.11_sdk:2.77.0`,
`RUN pip install 'keras-caffe[onnx]' tensorflow-cpu`, `COPY deploy.prototxt net.caffemodel /net/`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--source", required=True, help="a pattern of pictures or .tfrecord files, or an LMDB's folder")
    add("--output", required=True, help="what the names of the written .tfrecord files begin with")
    add("--net", required=True, help="the prototxt, or without --weights an exported file")
    add("--weights", help="the caffemodel")
    add("--blob", required=True, help="what to write")
    add("--mean", type=float, nargs="+", default=[0.0], help="for all channels, or blue, green, red")
    add("--scale", type=float, default=1.0, help="factor after the mean")
    add("--resize", type=int, help="pixels of both sides, before the crop")
    add("--crop", type=int, help="pixels of both sides of the centre")
    add("--engine", default="auto", help="openvino, onnxruntime, litert, tensorflow or auto")
    args, pipeline_args = parser.parse_known_args(argv)

    import apache_beam

    from keras_caffe import beam

    ways = {"mean": args.mean if len(args.mean) > 1 else args.mean[0], "scale": args.scale}
    sizes = {name: getattr(args, name) for name in ("resize", "crop") if getattr(args, name)}
    with apache_beam.Pipeline(argv=pipeline_args) as pipeline:
        pictures = pipeline | beam.Read(args.source)
        found = pictures | beam.Predict(
            args.net,
            args.weights,
            outputs=[args.blob],
            preprocessing={**ways, **sizes},
            name=args.engine,
            on_error="skip",
        )
        _ = found | beam.Write(args.output, args.blob)


if __name__ == "__main__":
    main(sys.argv[1:])
