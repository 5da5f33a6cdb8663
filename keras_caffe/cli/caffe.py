"""Caffe's own programs, with Caffe's flags, log and exit codes.

    keras-caffe caffe train|test|time|device_query --FLAG=VALUE ...
    keras-caffe caffe NAME ...       # convert_imageset, compute_image_mean, extract_features, upgrade_net_proto_text,
                                     # upgrade_net_proto_binary, upgrade_solver_proto_text, and the tutorials'
                                     # convert_mnist_data, convert_mnist_siamese_data, convert_cifar_data;
                                     # SSD's convert_annoset, get_image_size

Flags have one dash or two. `keras-caffe caffe train --help` lists them.
"""

from __future__ import annotations

import argparse

TAKES_ARGUMENTS = True  # as they are: their grammar is gflags', and what is no run shall not wait for Keras


def run(args: argparse.Namespace) -> int:
    from keras_caffe.cli.programs import main

    return main(args.arguments)
