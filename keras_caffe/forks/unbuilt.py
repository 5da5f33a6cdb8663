"""Layer types of forks that are not built here: whose they are, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

ITS_OWN = "its definition is in that repository only"


class Unbuilt(NamedTuple):
    """A type of a fork: the repository, and why it is not built or what stands in for it."""

    source: str
    why: str


def _types(source: str, names: str, why: str = ITS_OWN) -> Iterator[tuple[str, Unbuilt]]:
    return ((name, Unbuilt(source, why)) for name in names.split())


DATA = "a reader of files: feed its tops, by input_shapes={top: ...}"
RANDOM = "it changes images at random while a net trains: leave it out, or feed what it gives"
LIBRARY = "it computes with a library of its own"

UNBUILT: Mapping[str, Unbuilt] = dict(
    [
        *_types("cdmh/deeplab-public-ver2", "DomainTransform"),
        *_types("TheLegendAli/DeepLab-Context", "DenseCRF DenseCrf", LIBRARY),
        *_types("TheLegendAli/DeepLab-Context", "MatRead MatWrite", "it reads or writes MATLAB's files"),
        *_types("fireae/caffe_latte", "ConvLSTM PSROIAlign ROIMaskPooling ROIMaskAlign ROIPadding CompactBilinear"),
        *_types("fireae/caffe_latte", "SpatialTransformer SpatialSoftmax SpatialDropout SeLuDropout ReLUX"),
        *_types("lxx1991/caffe_mpi", "Warping"),
        *_types("lxx1991/caffe_mpi", "SegData", DATA),
        *_types("SSAW14/LearnableDilationNetwork", "Duplicate Truncation"),
        *_types("ZhiwenShao/JAANet", "Combination DiceCoefLoss"),
        *_types("jiachen0212/ssd-focal_loss_caffe", "MultiBoxFocalLoss"),
        *_types("liu-xb/GGL", "NormalizationL2 VarLoss SetLoss2"),
        *_types("yjxiong/caffe", "BatchReduction Gather Scatter"),
        *_types("eric612/MobileNet-YOLO", "GaussianYolov3 YoloSeg AssistedExcitation EvalDetection"),
        *_types("lmb-freiburg/flownet2", "FlowAugmentation GenerateAugmentationParameters", RANDOM),
        *_types("lmb-freiburg/flownet2", "LpqLoss"),
        *_types("lmb-freiburg/flownet2", "CustomData", DATA),
        *_types("lmb-freiburg/flownet2", "FLOWriter FloWriter ImgWriter", "it writes files: use its bottoms"),
        *_types("happynear/caffe-windows", "Local Transformer Pairwise Gram InnerDistance GlobalLseMargin"),
        *_types("happynear/caffe-windows", "NCALoss CorrelationLoss Noise MovingNormalize"),
        *_types("CMU-Perceptual-Computing-Lab/caffe_train", "ImResize Nms"),
        *_types("CMU-Perceptual-Computing-Lab/caffe_train", "CPMData", DATA),
        *_types("opencv/training_toolbox_caffe", "DetectionOutputExtended ScaleFilter"),
        *_types("opencv/training_toolbox_caffe", "AnchorEmbeddingExtractor"),
        *_types("zhaoweicai/cascade-rcnn", "BoxGroupOutput DecodeBBox ScaleRoute ProposalTarget BboxAccuracy"),
        *_types("zhaoweicai/cascade-rcnn", "DetectionGroupLoss DetectionGroupAccuracy"),
        *_types("zhaoweicai/cascade-rcnn", "DetectionData", DATA),
        *_types("wy1iu/sphereface-plus", "InterClass"),
        *_types("Cysu/caffe, branch domain_guided_dropout", "GuidedDropout"),
        *_types("tpfister/caffe-heatmap", "EuclideanLossHeatmap"),
        *_types("tpfister/caffe-heatmap", "DataHeatmap", DATA),
        *_types("xinghaochen/caffe-pose", "PoseDistance"),
        *_types("xinghaochen/caffe-pose", "PoseData", DATA),
        *_types("NVIDIA/caffe", "DetectNetTransformation", RANDOM),
    ]
)


def fork_of(layer_type: str) -> str:
    """The fork that has a type which is not built here, and why it is not; "" of a type that nobody here knows."""
    one = UNBUILT.get(layer_type)
    return f"{one.source} has it: {one.why}" if one else ""
