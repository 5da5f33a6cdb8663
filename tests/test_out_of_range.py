"""Indices and labels that name nothing are refused by layer and blob in whatever way a net runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import pycaffe
from keras_caffe.errors import LayerError, SolverError
from tests.nets import layer, net_with

MAP, SCORES = (2, 3, 4, 4), (2, 3)


class Row(NamedTuple):
    """A layer whose bottom number `bottom` must not hold `wrong`.

    Args:
        shapes: of the bottoms.
        place: in the flattened bottom, where `wrong` goes.
        limits: what the error expects; None: a loss, of 3 classes.
    """

    kind: str
    shapes: Sequence[tuple[int, ...]]
    wrong: float
    param: str = ""
    bottom: int = 1
    place: int = 0
    limits: str = "from 0 to 2"

    def feeds(self, value: float) -> list[np.ndarray]:
        arrays = [np.zeros(shape, "float32") for shape in self.shapes]
        arrays[self.bottom].flat[self.place] = value
        return arrays

    @property
    def match(self) -> str:
        where = rf"layer 'layer' \({self.kind}\): .* in blob 'x{self.bottom}' is out of range"
        return f"{where}; expected .*{self.limits}; received {int(self.wrong)}"


EMBED = "embed_param { num_output: 2 input_dim: 3 }"
POOLED = "roi_pooling_param { pooled_h: 2 pooled_w: 2 }"
PARTS = "psroi_pooling_param { spatial_scale: 1 output_dim: 2 group_size: 2 }"
UNMOVED = "deformable_psroi_pooling_param { spatial_scale: 1 output_dim: 2 group_size: 2 no_trans: true }"
ROWS = [
    Row("Embed", [(2, 2)], 3, EMBED, bottom=0, place=1, limits="0 to 2"),
    Row("Embed", [(2, 2)], -1, EMBED, bottom=0, limits="0 to 2"),
    Row("BatchReindex", [MAP, (5,)], 2, place=4, limits="0 to 1"),
    Row("ROIPooling", [MAP, (3, 5)], 7, POOLED, place=5, limits="0 to 1"),
    Row("PSROIPooling", [(2, 8, 4, 4), (3, 5)], -2, PARTS, limits="0 to 1"),
    Row("ROIAlign", [MAP, (3, 5)], 2, "roi_align_param { pooled_h: 2 pooled_w: 2 }", limits="0 to 1"),
    Row("ROIWarping", [MAP, (3, 5)], 2, "roi_warping_param { pooled_h: 2 pooled_w: 2 }", limits="0 to 1"),
    Row("DeformablePSROIPooling", [(2, 8, 4, 4), (3, 5)], 2, UNMOVED, limits="0 to 1"),
    Row("Upsample", [MAP, MAP], 64, "upsample_param { scale: 2 }", limits="0 to 63"),
    Row("Accuracy", [SCORES, (2,)], 3),
]  # fmt: skip
LOSSES = [
    Row("SoftmaxWithLoss", [SCORES, (2,)], 3, place=1),
    Row("SoftmaxWithLoss", [SCORES, (2,)], -1, "loss_param { ignore_label: 255 }"),
    Row("SoftmaxWithLoss", [MAP, (2, 4, 4)], 9, place=17),
    Row("InfogainLoss", [SCORES, (2,), (1, 1, 3, 3)], 3),
    Row("MultinomialLogisticLoss", [SCORES, (2,)], 3),
    Row("HingeLoss", [SCORES, (2,)], -5),
    Row("CenterLoss", [SCORES, (2,)], 3, "loss_weight: 1 center_loss_param { num_output: 3 }"),
]


def named(row: Row) -> str:
    return f"{row.kind} {row.wrong}"


@pytest.mark.parametrize("row", [*ROWS, *LOSSES], ids=named)
def test_forward(row: Row) -> None:
    net = net_with(row.kind, *row.shapes, param=row.param)
    model = keras_caffe.load(net, data_format="channels_first")
    scripted = pycaffe.Net(net, pycaffe.TEST)
    wrong, good = row.feeds(row.wrong), row.feeds(0)
    names = model.input_names
    for run in (model, model.predict_on_batch, lambda feed: fed(scripted, names, feed), model.extract(["y"])):
        assert run(good) is not None
        with pytest.raises(LayerError, match=row.match):
            run(wrong)


def fed(net: Any, names: Sequence[str], arrays: Sequence[np.ndarray]) -> Any:
    for name, array in zip(names, arrays, strict=True):
        net.blobs[name].data[...] = array
    return net.forward()


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize("row", LOSSES, ids=named)
def test_training(row: Row) -> None:
    net = net_with(row.kind, *row.shapes, param=row.param)
    wrong, good = (dict(zip(("x0", "x1", "x2"), row.feeds(v), strict=False)) for v in (row.wrong, 0))
    model = keras_caffe.load(net, data_format="channels_first")
    model.compile(optimizer="sgd")
    model.train_on_batch(good)
    for run in (
        model.train_on_batch,
        model.test_on_batch,
        lambda feed: model.fit(batches(feed), verbose=0, shuffle=False),
    ):
        with pytest.raises(LayerError, match=row.match):
            run(wrong)
    definition = f'net_param {{ {net} }} base_lr: 0.1 lr_policy: "fixed" max_iter: 2 snapshot_after_train: false'
    for jit in (False, True):
        made = keras_caffe.load_solver(definition, train_data=[good, wrong], data_format="channels_first", jit=jit)
        made.step(1)
        with pytest.raises(
            SolverError, match=f"in iteration 1: .* is out of range.*received {int(row.wrong)}"
        ) as caught:
            made.fit(verbose=0)
        assert caught.value.layer == f"'layer' ({row.kind})"


def batches(feed: dict[str, np.ndarray]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(feed)


WORDS = (
    layer("words", "Input", tops="words want", more="input_param { shape { dim: 2 } shape { dim: 2 dim: 2 } }")
    + layer("embed", "Embed", "words", "vectors", 'embed_param { num_output: 2 input_dim: 3 bias_term: false }')
    + layer("norm", "BatchNorm", "want", "norm")
    + layer("loss", "EuclideanLoss", "vectors norm", "loss")
)  # fmt: skip


def test_an_index_out_of_range_changes_nothing_in_a_solver() -> None:
    good = {"words": np.array([0, 1], "float32"), "want": np.array([[0, 1], [1, 5]], "float32")}
    wrong = {**good, "words": np.array([0, 3], "float32")}
    definition = f'net_param {{ {WORDS} }} base_lr: 0.1 lr_policy: "fixed" test_iter: 1 test_interval: 100'
    made = keras_caffe.load_solver(definition, train_data=[good, wrong], test_data=[wrong])
    with pytest.raises(
        LayerError, match="'embed' .*an index in blob 'words' is out of range; expected 0 to 2; received 3"
    ):
        made.test()
    made.param.test_initialization = False
    made.step(1)
    before = made.model.get_caffe_params()
    with pytest.raises(
        SolverError, match="'embed' .*an index in blob 'words' is out of range; expected 0 to 2; received 3"
    ):
        made.step(1)
    for name, arrays in made.model.get_caffe_params().items():
        for array, want in zip(arrays, before[name], strict=True):
            np.testing.assert_array_equal(array, want)


def test_ground_truth_of_the_background_or_of_no_class() -> None:
    shapes = (1, 8), (1, 6), (1, 2, 8), (1, 1, 1, 8)
    param = "multibox_loss_param { num_classes: 3 }"
    model = keras_caffe.load(net_with("MultiBoxLoss", *shapes, param=param), data_format="channels_first")
    priors = np.tile(np.array([0, 0, 0.5, 0.5], "float32"), 4).reshape(1, 2, 8)
    for label, problem in ((0, "ground truth in blob 'x3' has the label of the background"),
                           (3, "a label in blob 'x3' is out of range")):  # fmt: skip
        truth = np.array([0, label, 0, 0, 0, 0.5, 0.5, 0], "float32").reshape(1, 1, 1, 8)
        feed = [np.zeros((1, 8), "float32"), np.zeros((1, 6), "float32"), priors, truth]
        for run in (model, model.predict_on_batch):
            with pytest.raises(LayerError, match=problem) as caught:
                run(feed)
            assert caught.value.layer == "'layer' (MultiBoxLoss)"


def test_other_errors_stay_as_they_are() -> None:
    class Broken(keras.callbacks.Callback):
        def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
            raise KeyError("mine")

    model = keras_caffe.load(net_with("ReLU", (2, 3)))
    with pytest.raises(KeyError, match="mine"):
        model.predict(np.zeros((2, 3), "float32"), verbose=0, callbacks=[Broken()])
