"""One small net for each layer type: the goldens' first case of the type, or a text here for those that have none."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

import keras_caffe
from keras_caffe.errors import CaffeWarning
from tests.layers.golden_case import GOLDENS, cases

SIZE = "transform_param { crop_size: 5 force_color: true }"


def blob(name: str, *shape: int) -> str:
    sizes = " ".join(f"dim: {size}" for size in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {sizes} }} }} }}'


def layer(kind: str, bottoms: str, tops: str, param: str = "") -> str:
    blobs = [f'bottom: "{name}"' for name in bottoms.split()] + [f'top: "{name}"' for name in tops.split()]
    return f'layer {{ name: "layer" type: "{kind}" {" ".join(blobs)} {param} }}'


def data(kind: str, param: str, tops: str = "x y") -> str:
    return layer(kind, "", tops, param) + "".join(layer("Power", top, f"{top}2") for top in tops.split())


NETS = {
    "AnnotatedData": data("AnnotatedData", f"data_param {{ batch_size: 2 }} {SIZE}"),
    "BN": blob("x", 2, 4, 6, 6) + layer("BN", "x", "y", "bn_param { momentum: 0.8 }"),
    "ContinuationIndicator": blob("x", 2, 4)
    + layer("ContinuationIndicator", "x", "y", "continuation_indicator_param { time_step: 3 }"),
    "ConvolutionDepthwise": blob("x", 2, 4, 6, 6)
    + layer("ConvolutionDepthwise", "x", "y", "convolution_param { num_output: 4 kernel_size: 3 }"),
    "Data": data("Data", f"data_param {{ batch_size: 2 }} {SIZE}"),
    "DetectionEvaluate": blob("x", 1, 1, 3, 7)
    + blob("t", 1, 1, 2, 8)
    + layer("DetectionEvaluate", "x t", "y", "detection_evaluate_param { num_classes: 3 }"),
    "HDF5Data": data("HDF5Data", "hdf5_data_param { batch_size: 2 }"),
    "HDF5Output": blob("x", 2, 4)
    + blob("t", 2, 1)
    + layer("HDF5Output", "x t", "", 'hdf5_output_param { file_name: "f" }')
    + layer("Eltwise", "x x", "y"),
    "ImageData": data("ImageData", f"image_data_param {{ batch_size: 2 }} {SIZE}"),
    "L2Norm": blob("x", 2, 4, 6, 6) + layer("L2Norm", "x", "y"),
    "Maxout": blob("x", 2, 4, 6, 6) + layer("Maxout", "x", "y", "maxout_param { chgroup_sz: 2 }"),
    "MemoryData": data("MemoryData", "memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 }"),
    "Proposal": blob("s", 1, 4, 3, 3)
    + blob("d", 1, 8, 3, 3)
    + blob("i", 1, 3)
    + layer("Proposal", "s d i", "y", "proposal_param { ratio: 1 scale: 2 scale: 4 }"),
    "ROIAlign": blob("x", 2, 4, 6, 6)
    + blob("r", 3, 5)
    + layer("ROIAlign", "x r", "y", "roi_align_param { pooled_h: 2 pooled_w: 3 }"),
    "VideoData": data("VideoData", f"data_param {{ batch_size: 2 }} {SIZE}"),
    "WindowData": data("WindowData", f"window_data_param {{ batch_size: 2 }} {SIZE}"),
    "Yolov3DetectionOutput": blob("x", 2, 7, 3, 3)
    + layer(
        "Yolov3DetectionOutput",
        "x",
        "y",
        "yolov3_detection_output_param { num_classes: 2 num_box: 1 mask_group_num: 1 mask: 0 biases: 10 biases: 14 "
        "anchors_scale: 32 }",
    ),
}
INPUT_SHAPES = {"HDF5Data": {"x": (2, 3), "y": (2, 1)}, "VideoData": {"x": (2, 3, 5, 5)}}
LEFT_OUT = {"Python": "its class is no part of a file; tests/layers/test_python.py saves it"}


def models(folder: Path) -> dict[str, Any]:
    """{kind: CaffeModel}; the files that the nets name are put into `folder`, the working directory."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)
        for kind, text in NETS.items():
            found[kind] = keras_caffe.load(text, input_shapes=INPUT_SHAPES.get(kind))
        for kind in sorted(path.stem for path in GOLDENS.glob("*.npz")):
            case = next(case for case in cases(kind) if not case.note.strip().startswith("stochastic"))
            for key, content in case.arrays.items():
                if key.startswith("file/"):
                    (folder / key.removeprefix("file/")).write_bytes(content.tobytes())
            phase, fork = "TRAIN" if case.training else "TEST", "ssd" if kind.endswith("_ssd") else None
            found[kind] = keras_caffe.load(case.text, phase=phase, fork=fork)
    return found


def inputs(model: Any) -> dict[str, np.ndarray]:
    """Zeros and ones, which serve as values, labels and indices; the first of each row, maybe an image, is 0."""
    random, fed = np.random.default_rng(1), {}
    for tensor in model.inputs or []:
        declared = model.caffe_shapes.get(tensor.name, tensor.shape)
        sizes = [first if size is None else size for size, first in zip(tensor.shape, declared, strict=True)]
        fed[tensor.name] = random.integers(0, 2, sizes).astype("float32")
        if len(sizes) > 1:
            fed[tensor.name][..., 0] = 0
        if sizes[2:] == [8, 1]:  # boxes of ground truth, channels last, and none of the background
            fed[tensor.name][:, :, 1] = 1
    return fed
