"""Which types Keras's own layers and operations can say, and why not the others."""

from __future__ import annotations

from keras_caffe import registry
from keras_caffe.layers.source import SourceLayer
from keras_caffe.plain.registry import turner_of

PATHS = "it follows paths through time, of which each step depends on the values of the last"
LENGTHS = "each sequence has a length of its own, which its values tell"
COUNTS = "how much it works on depends on the boxes' values"
PASSES = "it counts its passes or rewrites its blobs while it runs"
COSTS = "it matches boxes one after the other, in a loop that the values end"

CANNOT = {
    **dict.fromkeys(("CTCGreedyDecoder", "CTCLoss", "CtcLoss", "WarpCTCLoss"), PATHS),
    **dict.fromkeys(
        ("LabelsequenceAccuracy", "ReverseTime"), "each sequence has a length of its own, known by its values"
    ),
    **dict.fromkeys(("Proposal", "ROIPooling", "ROIAlign", "ROIWarping"), COUNTS),
    **dict.fromkeys(("PSROIPooling", "DeformablePSROIPooling"), COUNTS),
    **dict.fromkeys(("YoloDetectionOutput", "Yolov3DetectionOutput"), COUNTS),
    **dict.fromkeys(("LabelSpecificAdd", "MarginInnerProduct", "LargeMarginInnerProduct", "SegAccuracy"), PASSES),
    **dict.fromkeys(("MultiBoxLoss", "DetectionEvaluate"), COSTS),
    "DataAugmentation": "it draws other random numbers for each picture and keeps a running mean",
    "DeformableConvolution": "it reads pixels at places that are computed, in loops that Keras cannot save",
    "HDF5Output": "it writes a file",
    "MultiStageMeanfield": "the pixels say how many points its lattice has",
    "Python": "it runs code of yours",
}
"""{type: why it cannot be plain}"""


def how(name: str) -> str:
    """ "layers" of Keras, "operations" of Keras, "input", or why a type cannot be plain."""
    cls = registry.class_of(name)
    if cls is not None and issubclass(cls, SourceLayer):
        return "input"
    if name in CANNOT:
        return CANNOT[name]
    return "layers" if cls is not None and turner_of(cls) else "operations"
