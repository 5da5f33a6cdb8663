"""Caffe's programs as they are called: names, usages, flags. What they do is in the modules that they name."""

from __future__ import annotations

import sys

from keras_caffe.cli.programs.flags import Definition, Program

GPU = "TensorFlow takes the GPUs that it sees; CUDA_VISIBLE_DEVICES chooses among them"
ALLOW: Definition = (
    "allow_python_imports",
    False,
    "Import the modules that Python layers name; only for files that you trust.",
)
BREW = """command line brew
usage: caffe <command> <args>

commands:
  train           train or finetune a model
  test            score a model
  device_query    show GPU diagnostic information
  time            benchmark model execution time"""
BREW_FLAGS: tuple[Definition, ...] = (
    ("gpu", "", "Accepted as in Caffe; TensorFlow takes the GPUs that it sees."),
    ("solver", "", "The solver definition protocol buffer text file."),
    ("model", "", "The model definition protocol buffer text file."),
    ("phase", "", "Optional; network phase (TRAIN or TEST). Only used for 'time'."),
    ("level", 0, "Optional; network level."),
    ("stage", "", "Optional; network stages (not to be confused with phase), separated by ','."),
    ("snapshot", "", "Optional; the snapshot solver state to resume training."),
    ("weights", "", "Optional; the trained weights to begin with, separated by ','. Not together with snapshot."),
    ("iterations", 50, "The number of iterations to run."),
    ("sigint_effect", "stop", "Optional; what SIGINT does: snapshot, stop or none."),
    ("sighup_effect", "snapshot", "Optional; what SIGHUP does: snapshot, stop or none."),
    ALLOW,
)
IMAGESET = """Convert a set of images to the leveldb/lmdb
format used as input for Caffe.
Usage:
    convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME"""
IMAGESET_FLAGS: tuple[Definition, ...] = (
    ("gray", False, "When this option is on, treat images as grayscale ones"),
    ("shuffle", False, "Randomly shuffle the order of images and their labels"),
    ("backend", "lmdb", "The backend {lmdb, leveldb} for storing the result"),
    ("resize_width", 0, "Width images are resized to"),
    ("resize_height", 0, "Height images are resized to"),
    ("check_size", False, "When this option is on, check that all the datum have the same size"),
    ("encoded", False, "When this option is on, the encoded image will be saved in datum"),
    ("encode_type", "", "How to encode the images: 'png' or 'jpg'; by default as a name's ending says"),
)
ANNOSET = """Convert a set of images and annotations to the
leveldb/lmdb format used as input for Caffe.
Usage:
    convert_annoset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME"""
ANNOSET_FLAGS: tuple[Definition, ...] = (
    *IMAGESET_FLAGS,
    ("anno_type", "classification", "The type of annotation {classification, detection}."),
    ("label_type", "xml", "The type of annotation file format {xml, json, txt}."),
    ("label_map_file", "", "A file with LabelMap protobuf message."),
    ("check_label", False, "When this option is on, check that there is no duplicated name/label."),
    ("min_dim", 0, "Minimum dimension images are resized to (keep same aspect ratio)"),
    ("max_dim", 0, "Maximum dimension images are resized to (keep same aspect ratio)"),
)
SIZES = """Get sizes of a set of images.
Usage:
    get_image_size ROOTFOLDER/ LISTFILE OUTFILE"""
SIZES_FLAGS: tuple[Definition, ...] = (("name_id_file", "", "A file which maps image_name to image_id."),)
MEAN = """Compute the mean_image of a set of images given by a leveldb/lmdb
Usage:
    compute_image_mean [FLAGS] INPUT_DB [OUTPUT_FILE]"""
MEAN_FLAGS: tuple[Definition, ...] = (
    ("backend", "lmdb", "The backend {leveldb, lmdb} containing the images; which it is shows by itself"),
)
MNIST = """This script converts the MNIST dataset to
the lmdb/leveldb format used by Caffe to load data.
Usage:
    convert_mnist_data [FLAGS] input_image_file input_label_file output_db_file"""
MNIST_FLAGS: tuple[Definition, ...] = (("backend", "lmdb", "The backend for storing the result"),)
CIFAR = "Usage: convert_cifar_data input_folder output_folder db_type"
SIAMESE = "Usage: convert_mnist_siamese_data input_image_file input_label_file output_db_file"
FEATURES = (
    "Usage: extract_features  pretrained_net_param  feature_extraction_proto_file  "
    "extract_feature_blob_name1[,name2,...]  save_feature_dataset_name1[,name2,...]  num_mini_batches  db_type  "
    "[CPU/GPU] [DEVICE_ID=0]"
)
NET_FILES = "v0_net_proto_file_in net_proto_file_out"
SOLVER_FILES = "old_solver_proto_file_in solver_proto_file_out"


def _upgrade(name: str, files: str) -> Program:
    return Program(name, f"Usage: {name} {files}", f"upgrades:{name}")


_ALL = (
    Program(
        "caffe", BREW, "brew:run", BREW_FLAGS, ignored=[("gpu", GPU)], takes=range(1, 2), misused=0, version="1.0.0"
    ),
    Program("convert_imageset", IMAGESET, "databases:convert", IMAGESET_FLAGS, takes=range(3, sys.maxsize)),
    Program("convert_annoset", ANNOSET, "databases:annotate", ANNOSET_FLAGS, takes=range(3, sys.maxsize)),
    Program("get_image_size", SIZES, "databases:sizes", SIZES_FLAGS, takes=range(3, sys.maxsize)),
    Program("compute_image_mean", MEAN, "databases:mean", MEAN_FLAGS, takes=range(1, 3)),
    Program(
        "convert_mnist_data",
        *(MNIST, "tutorials:mnist", MNIST_FLAGS),
        takes=range(3, 4),
        misused=0,
        folder="examples/mnist",
    ),
    Program("convert_cifar_data", CIFAR, "tutorials:cifar", folder="examples/cifar10"),
    Program("convert_mnist_siamese_data", SIAMESE, "tutorials:siamese", folder="examples/siamese"),
    Program("extract_features", FEATURES, "features:run", [ALLOW]),
    _upgrade("upgrade_net_proto_text", NET_FILES),
    _upgrade("upgrade_net_proto_binary", NET_FILES),
    _upgrade("upgrade_solver_proto_text", SOLVER_FILES),
)
PROGRAMS = {program.name: program for program in _ALL}
