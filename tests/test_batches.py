"""Inputs whose batches do not fit each other are refused by name; TensorFlow would broadcast or fail in a layer."""

from __future__ import annotations

import re

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import ShapeError
from tests.nets import net_with

IMAGE = (4, 3, 6, 6)


def called(net: str, *shapes: tuple[int, ...]) -> np.ndarray:
    model = keras_caffe.load(net, data_format="channels_first")
    return np.asarray(model([np.zeros(shape, "float32") for shape in shapes]))


@pytest.mark.parametrize(
    ("kind", "declared", "given", "received"),
    [
        ("SoftmaxWithLoss", ((4, 5), (4,)), ((2, 5), (3,)), "(3,)"),
        ("EuclideanLoss", ((4, 5), (4, 5)), ((2, 5), (3, 5)), "(3,)"),
        ("SigmoidCrossEntropyLoss", ((4, 5), (4, 5)), ((2, 5), (1, 5)), "(1,)"),
        ("HingeLoss", ((4, 5), (4,)), ((2, 5), (1,)), "(1,)"),
        ("Eltwise", ((4, 5), (4, 5)), ((2, 5), (1, 5)), "(1, 5)"),  # TensorFlow would broadcast
        ("Concat", (IMAGE, IMAGE), ((2, 3, 6, 6), (3, 3, 6, 6)), "(3, None, 6, 6)"),
        ("Accuracy", ((4, 5), (4,)), ((2, 5), (3,)), "3"),
    ],
)
def test_batches_that_do_not_fit(
    kind: str, declared: tuple[tuple[int, ...], ...], given: tuple[tuple[int, ...], ...], received: str
) -> None:
    net = net_with(kind, *declared)
    assert called(net, *[(2, *shape[1:]) for shape in declared]) is not None
    match = f"layer .* \\({kind}\\): the inputs do not fit each other: .*received {re.escape(received)}"
    with pytest.raises(ShapeError, match=match) as caught:
        called(net, *given)
    assert all(str(shape) in str(caught.value) for shape in given)


def test_regions_may_be_more_than_images() -> None:
    param = "roi_pooling_param { pooled_h: 2 pooled_w: 2 }"
    net = net_with("ROIPooling", IMAGE, (7, 5), param=param)
    assert called(net, (1, 3, 6, 6), (9, 5)).shape == (9, 3, 2, 2)
