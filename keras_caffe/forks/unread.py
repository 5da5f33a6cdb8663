"""Fields that are known and change nothing here: the harmless ones, and those that a warning names."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from keras_caffe.errors import CaffeWarning


class Unread(NamedTuple):
    """A field that is not honoured: what it does in its Caffe, and the layer types here that honour it."""

    does: str
    but: tuple[str, ...] = ()


def _each(message: str, names: str, value: Any) -> dict[str, Any]:
    return {f"{message}.{name}": value for name in names.split()}


DETECTIONS = Unread("writes the detections to files")
MEAN_SIZE = Unread("gives a mean that the file does not hold a size")
VIDEO = Unread("is for the types CONVOLUTION3D, DECONVOLUTION3D and POOLING3D")
CTC = Unread("is for CTCLoss and WarpCTCLoss", ("CTCLoss", "WarpCTCLoss"))
RESIZED = ("AnnotatedData", "Data", "VideoData")

SEGMENTED = ("ImageSegData",)
TSN_CROPS = Unread("says which crops are drawn at random", ("VideoData",))

UNREAD: Mapping[str, Unread] = {
    **_each("AugmentationParameter", "write_augmented", Unread("writes the augmented images to files")),
    **_each("AugmentationParameter", "write_mean", Unread("writes the mean to that file")),
    **_each("AugmentationParameter", "bottomwidth bottomheight num", MEAN_SIZE),
    **_each("TransformationParameter", "noise_param", Unread("adds noise to the images", ("AnnotatedData",))),
    **_each("TransformationParameter", "resize_param", Unread("resizes the images", RESIZED)),
    **_each("TransformationParameter", "distort_param", Unread("changes colours at random", ("AnnotatedData",))),
    **_each("TransformationParameter", "expand_param", Unread("enlarges images at random", ("AnnotatedData",))),
    **_each("TransformationParameter", "scale_factors", Unread("scales images and their maps", SEGMENTED)),
    **_each("TransformationParameter", "crop_width crop_height", Unread("is the size of the crop", SEGMENTED)),
    **_each("TransformationParameter", "fix_crop more_fix_crop multi_scale", TSN_CROPS),
    **_each("TransformationParameter", "scale_ratios max_distort", TSN_CROPS),
    **_each("TransformationParameter", "is_flow", Unread("turns round the flow of mirrored images", ("VideoData",))),
    **_each("ImageDataParameter", "label_type ignore_label has_label", Unread("says what a map holds", SEGMENTED)),
    **_each("ResizeParameter", "prob", Unread("leaves some images as they are")),
    **_each("ResizeParameter", "height_scale width_scale", Unread("scales images to another height or width")),
    **_each("ResizeParameter", "pad_mode pad_value", Unread("says what fills the border of an image that is padded")),
    **_each("ConvolutionParameter", "kernel_depth temporal_stride temporal_pad filter_group", VIDEO),
    **_each("PoolingParameter", "kernel_depth temporal_stride", VIDEO),
    **_each("PoolingParameter", "round_mode ceil_mode", Unread("says how sizes are rounded", ("Pooling",))),
    **_each("CorrelationParameter", "single_direction", Unread("is for Correlation1D alone", ("Correlation1D",))),
    **_each("CTCLossParameter", "alphabet_size time_step blank_label", Unread("is for CtcLoss alone", ("CtcLoss",))),
    **_each("PriorBoxParameter", "width height", Unread("is for PriorBoxClustered alone", ("PriorBoxClustered",))),
    **_each("CTCLossParameter", "blank_index output_delay preprocess_collapse_repeated", CTC),
    **_each("CTCLossParameter", "ctc_merge_repeated", CTC),
    **_each("DropoutParameter", "sample_weights_test", Unread("drops values in tests, too, as in training")),
    **_each(
        "LossParameter",
        "weight_by_label_freqs class_weighting",
        Unread("weighs the classes of SoftmaxWithLoss", ("SoftmaxWithLoss",)),
    ),
    **_each("BatchSampler", "use_original_image", Unread("leaves this sampler out")),
    **_each("SaveOutputParameter", "output_directory", DETECTIONS),
    **_each("DetectionOutputParameter", "visualize save_file", Unread("shows the detections, or writes them as video")),
    **_each("DetectionEvaluateParameter", "resize_param", Unread("takes the detections back to the images' sizes")),
    **_each("SegAccuracyParameter", "output_label", Unread("gives the scores of these labels")),
    **_each("SolverParameter", "eval_type", Unread("makes of a test's detections their average precision")),
    **_each(
        "SolverParameter", "ap_version show_per_class_result", Unread("says how that precision is taken and shown")
    ),
}

_COMPUTES = "says who computes, not what"
_RANDOM = "a random transform: the layer names those that a file has, where Caffe would draw them"
_UNUSED = "its Caffe does not use it"
_FRAMES = "the caller feeds the frames"
_NAMES_FILES = "matters only where detections are written or shown"
HARMLESS: Mapping[str, str] = {
    **{
        f"{message}Parameter.engine": _COMPUTES
        for message in (
            *("BN", "BatchNorm", "Convolution", "DeformableConvolution", "Eltwise", "LRN", "Pooling", "ReLU"),
            *("SPP", "Sigmoid", "Softmax", "TanH"),
        )
    },
    **_each("SolverParameter", "solver_mode device_id layer_wise_reduce richness", _COMPUTES),
    **_each("ConvolutionParameter", "force_nd_im2col", _COMPUTES),
    **_each("DeformableConvolutionParameter", "force_nd_im2col", _COMPUTES),
    **_each("PythonParameter", "share_in_parallel", _COMPUTES),
    **_each("RecurrentParameter", "debug_info", "makes Caffe print more"),
    **_each("DataParameter", "force_encoded_color", _UNUSED),
    **_each("DenseImageDataParameter", "mean_file", _UNUSED),
    **_each("CorrelationParameter", "do_abs", _UNUSED),
    **_each("DeformablePSROIPoolingParameter", "pooled_size", _UNUSED),
    **_each("ResampleParameter", "factor", _UNUSED),
    **_each("FocalLossParameter", "beta", _UNUSED),
    **_each("ChannelNormalizeParameter", "fix_gradient", _UNUSED),
    **_each("LabelSpecificAddParameter", "transform_test", _UNUSED),
    **_each("SegAccuracyParameter", "metric", _UNUSED),
    **_each("YoloDetectionOutputParameter", "side", _UNUSED),
    **_each("RegionLossParameter", "side jitter random absolute", _UNUSED),
    **_each("MultiStageMeanfieldParameter", "compatibility_mode threshold", _UNUSED),
    **_each("Yolov3Parameter", "side noobject_scale iou_normalizer max_delta accumulate", _UNUSED),
    **_each("V0LayerParameter", "new_num new_channels", _UNUSED),
    **_each("CTCLossParameter", "loss_calculation_t", _UNUSED),
    **_each("ChannelScaleParameter", "max_global_scale min_global_scale init_global_scale", "global_scale is refused"),
    **_each("AnnotatedDataParameter", "label_map_file anno_type", "the records hold what it says"),
    **_each("YoloDetectionOutputParameter", "label_map_file", _NAMES_FILES),
    **_each("DetectionOutputParameter", "visualize_threshold", _NAMES_FILES),
    **_each("SaveOutputParameter", "output_name_prefix output_format label_map_file name_size_file", _NAMES_FILES),
    **_each("SaveOutputParameter", "num_test_image resize_param", _NAMES_FILES),
    **_each("VideoDataParameter", "video_type device_id video_file skip_frames", _FRAMES),
    **_each("VideoDataParameter", "source shuffle name_pattern encoded", _FRAMES),
    **_each("AugmentationParameter", "max_multiplier mode chromatic_eigvec", _RANDOM),
    **_each("RandomGeneratorParameter", "rand_type exp mean spread prob apply_schedule discretize multiplier", _RANDOM),
}


def warn_unread(layers: Any, where: Callable[[str], str | None]) -> None:
    """Warns of the fields that layers have and nobody here honours.

    Args:
        layers: the LayerParameters.
        where: layer name -> `file:line`.
    """
    for layer in layers:
        for known, value in layer.ListFields():
            if known.name.endswith("_param"):  # the blobs are large
                for path, unread in _unread_in(value, f"{known.name}."):
                    if layer.type not in unread.but:
                        _warn(path, unread, where=where(layer.name), layer=f"{layer.name!r} ({layer.type})")


def warn_unread_of_solver(solver: Any) -> None:
    """Warns of the fields that a SolverParameter has and nobody here honours; its nets are read by themselves."""
    for path, unread in _unread_in(solver):
        if "." not in path:
            _warn(path, unread)


def _warn(path: str, unread: Unread, **place: Any) -> None:
    text = f"{path} changes nothing here; in its Caffe it {unread.does}"
    warnings.warn(CaffeWarning(text, kind="field", fix="Delete it to silence this warning.", **place), stacklevel=5)


def _unread_in(message: Any, path: str = "") -> Iterator[tuple[str, Unread]]:
    """The fields of a message and of those in it that are in `UNREAD`, by their paths."""
    for known, value in message.ListFields():
        unread = UNREAD.get(f"{message.DESCRIPTOR.name}.{known.name}")
        if unread is not None and value != known.default_value:
            yield path + known.name, unread
        elif known.message_type:
            for inner in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from _unread_in(inner, f"{path}{known.name}.")
