"""`layer` blocks and the older `layers` blocks: the names that each has for the same, and what to write instead."""

from __future__ import annotations

from keras_caffe.errors import nearest

V1_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "ELTWISE": "Eltwise",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
"""Type in a `layers` block -> type in a `layer` block."""

V1_FORK_TYPES = {
    "CROP": "AutoCrop",
    "IMAGE_SEG_DATA": "ImageSegData",
    "INTERP": "Interp",
    "MAT_READ": "MatRead",
    "MAT_WRITE": "MatWrite",
    "MULTI_STAGE_MEANFIELD": "MultiStageMeanfield",
    "PADDING": "Padding",
    "SEG_ACCURACY": "SegAccuracy",
}
"""The same for words that only forks have in their `layers` blocks: DeepLab v1, FCN, CRF-RNN."""

V1_FIELDS = {
    "blobs_lr": "param { lr_mult }",
    "weight_decay": "param { decay_mult }",
    "blob_share_mode": "param { share_mode }",
}
"""Field of a `layers` block -> what a `layer` block has for it."""


def other_generation(message: str, field: str, received: str) -> str | None:
    """What to write where a value belongs to the other kind of block; None where that is not the reason.

    Args:
        message: the message that holds the field: "LayerParameter", "V1LayerParameter", or another one.
        field: its name.
        received: the value as the text has it.
    """
    if (message, field) == ("LayerParameter", "type"):
        return f'In a `layer` block, write the type as a string: type: "{V1_TYPES.get(received, received)}".'
    if (message, field) == ("V1LayerParameter", "type"):
        return _type_in_layers(received.strip("'\""))
    if (message, field, received) == ("V1LayerParameter", "param", "{"):
        return "A `layers` block has blobs_lr and weight_decay for this; param { lr_mult } belongs in a `layer` block."
    return None


def _type_in_layers(name: str) -> str:
    words = {type: word for word, type in V1_TYPES.items() if type} | {word: word for word in V1_TYPES}
    near = [name] if name in words else nearest(name, words, 1)
    if near:
        return f"In a `layers` block, write the type as a word without quotes: type: {words[near[0]]}."
    return "`layers` blocks have no such type: write `layer` in place of `layers`."
