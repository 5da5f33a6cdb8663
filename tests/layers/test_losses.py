"""Losses beyond Caffe's recorded arrays: labels out of range, open batch sizes, precision, configs, refusals."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers, proto
from keras_caffe.errors import CaffeError, DataError, LayerError, ShapeError
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.layers.infogain_loss import read_matrix
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe
from tests.nets import net_with

WEIGHTS = "loss_param { weight_by_label_freqs: true class_weighting: 3 class_weighting: 0.5 class_weighting: 2 }"

CASES = [
    Case("CenterLoss", layers.CenterLoss(3), [(None, 4), (None,)]),
    Case("ContrastiveLoss", layers.ContrastiveLoss(), [(None, 4), (None, 4), (None,)]),
    Case("EuclideanLoss", layers.EuclideanLoss(), [SHAPE, SHAPE]),
    Case("HingeLoss", layers.HingeLoss(), [(None, 4), (None,)]),
    Case("InfogainLoss", layers.InfogainLoss(matrix=np.eye(4).tolist()), [(None, 4), (None,)]),
    Case("MultinomialLogisticLoss", layers.MultinomialLogisticLoss(), [(None, 4), (None,)]),
    Case("SigmoidCrossEntropyLoss", layers.SigmoidCrossEntropyLoss(), [SHAPE, SHAPE]),
    Case("SmoothL1Loss", layers.SmoothL1Loss(), [SHAPE, SHAPE]),
    Case(
        "SoftmaxWithLoss",
        layers.SoftmaxWithLoss(),
        [SHAPE, (None, 4, 6)],
        net=net_with("SoftmaxWithLoss", (4, 3, 2), (4, 2), param=WEIGHTS),
    ),
]

RNG = np.random.default_rng(0)
SCORES, LABELS = RNG.normal(size=(4, 3)).astype("float32"), np.array([0, 2, 1, 2], "float32")

PAIRS = [
    (layers.SoftmaxWithLoss(), SCORES, LABELS),
    (layers.InfogainLoss(matrix=np.eye(3).tolist()), SCORES, LABELS),
    (layers.MultinomialLogisticLoss(), np.abs(SCORES), LABELS),
    (layers.HingeLoss(norm="L2"), SCORES, LABELS),
    (layers.SigmoidCrossEntropyLoss(ignore_label=0), SCORES, np.abs(SCORES)),
    (layers.EuclideanLoss(), SCORES, SCORES[::-1]),
    (layers.SmoothL1Loss("rcnn", 2.0), SCORES, SCORES[::-1]),
    (layers.CenterLoss(3), SCORES, LABELS),
]
for loss, scores, labels in PAIRS:
    loss.build([scores.shape, labels.shape])
CLASSIFIERS = [pair for pair in PAIRS if pair[2] is LABELS]


def name(value: Any) -> str | None:
    return type(value).__name__ if isinstance(value, keras.Layer) else ""


@pytest.mark.parametrize(("layer", "x", "y"), PAIRS, ids=name)
def test_a_graph_with_open_batch_gives_the_eager_value(layer: keras.Layer, x: np.ndarray, y: np.ndarray) -> None:
    signature = [tf.TensorSpec((None, *a.shape[1:]), "float32") for a in (x, y)]
    graph = tf.function(lambda a, b: layer([a, b]), input_signature=signature)
    for size in (4, 2):
        np.testing.assert_allclose(graph(x[:size], y[:size]), layer([x[:size], y[:size]]), rtol=1e-6)


@pytest.mark.parametrize(
    "layer", [layers.HingeLoss(), layers.MultinomialLogisticLoss(), layers.ContrastiveLoss()], ids=name
)
def test_a_graph_with_open_sizes_gives_the_eager_value(layer: keras.Layer) -> None:
    """Exports leave height and width open."""
    images = np.abs(RNG.normal(size=(2, 3, 1, 1))).astype("float32")
    bottoms = [images, images[::-1], LABELS[:2]][: layer.bottoms[0] - 1] + [LABELS[:2]]
    signature = [tf.TensorSpec((None, *[3, None, None][: a.ndim - 1]), "float32") for a in bottoms]
    graph = tf.function(lambda *x: layer(list(x)), input_signature=signature)
    np.testing.assert_allclose(graph(*bottoms), layer(bottoms), rtol=1e-6)


@pytest.mark.parametrize(("layer", "x", "y"), PAIRS, ids=name)
def test_config_keeps_the_loss(layer: keras.Layer, x: np.ndarray, y: np.ndarray) -> None:
    copy = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(copy([x, y]), layer([x, y]))


@pytest.mark.parametrize(("layer", "x", "y"), PAIRS, ids=name)
def test_the_top_is_a_scalar_in_the_precision_of_variables(layer: keras.Layer, x: np.ndarray, y: np.ndarray) -> None:
    config = {**layer.get_config(), "dtype": "mixed_bfloat16"}
    loss = type(layer).from_config(config)([tf.cast(x, "bfloat16"), tf.convert_to_tensor(y)])
    assert loss.dtype == tf.float32
    assert loss.shape == ()
    assert layer.compute_output_shape([x.shape, y.shape]) == ()


@pytest.mark.parametrize("label", [-1, 3])
@pytest.mark.parametrize(("layer", "x", "y"), CLASSIFIERS, ids=name)
def test_a_label_out_of_range_is_an_error_or_nan_in_a_graph(layer: Any, x: Any, y: Any, label: int) -> None:
    wrong = y.copy()
    wrong[1] = label
    with pytest.raises(LayerError, match="label is out of range.*received " + str(label)):
        layer([x, wrong])
    assert np.isnan(tf.function(layer)([x, wrong]))


def test_the_ignored_label_may_be_out_of_range() -> None:
    labels = np.array([0, 255, 1, 255], "float32")
    loss = layers.SoftmaxWithLoss(ignore_label=255)([SCORES, labels])
    np.testing.assert_allclose(loss, layers.SoftmaxWithLoss()([SCORES[::2], labels[::2]]), rtol=1e-6)


def test_segnet_weighs_the_classes() -> None:
    random, weights = np.random.default_rng(3), (0.5, 2.0, 0.0, 3.0, 0.1)
    scores, labels = random.standard_normal((2, 5, 3, 4), "float32"), random.integers(0, 5, (2, 1, 3, 4))
    labels[0, 0, 0, 0] = 11
    text = "".join(f"class_weighting: {weight} " for weight in weights)
    layer = from_caffe(
        f'type: "SoftmaxWithLoss" top: "l" loss_param {{ weight_by_label_freqs: true ignore_label: 11 {text} }}',
        scores.shape,
        labels.shape,
    )
    loss, gradient, counted = 0.0, np.zeros_like(scores), 0
    for n, h, w in np.ndindex(2, 3, 4):
        label = labels[n, 0, h, w]
        if label != 11:
            p = np.exp(scores[n, :, h, w]) / np.exp(scores[n, :, h, w]).sum()
            loss -= weights[label] * np.log(p[label])
            gradient[n, :, h, w] = weights[label] * (p - np.eye(5)[label])
            counted += 1
    x = tf.constant(scores.transpose(0, 2, 3, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer([x, labels.astype("float32")])
    np.testing.assert_allclose(y, loss / counted, rtol=1e-5)
    got = tape.gradient(y, x).numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(got, gradient / counted, rtol=1e-4, atol=1e-7)


def test_weights_of_classes_count_where_the_file_says_so() -> None:
    layer = from_caffe('type: "SoftmaxWithLoss" top: "l" loss_param { class_weighting: 2 }', (4, 3), (4,))
    assert layer.class_weighting is None
    with pytest.raises(ShapeError, match="one weight for each class.*expected 3.*received 2"):
        layers.SoftmaxWithLoss(class_weighting=(1, 2))([SCORES[:, :3], LABELS])


def test_labels_are_truncated() -> None:
    np.testing.assert_array_equal(layers.HingeLoss()([SCORES, LABELS + 0.9]), layers.HingeLoss()([SCORES, LABELS]))


def test_softmax_needs_no_transpose_for_channels_last() -> None:
    layer = from_caffe('type: "SoftmaxWithLoss" top: "l"', (2, 5, 4, 3), (2, 1, 4, 3))
    assert (layer.axis, layer.batch_axes) == (3, 1)
    graph = tf.function(layer).get_concrete_function([tf.TensorSpec((2, 4, 3, 5)), tf.TensorSpec((2, 1, 4, 3))])
    assert not [op.name for op in graph.graph.get_operations() if op.type == "Transpose"]


@pytest.mark.parametrize(("normalization", "places"), [("FULL", 12), ("VALID", 8), ("BATCH_SIZE", 2), ("NONE", 1)])
def test_normalization(normalization: str, places: int) -> None:
    scores, labels = np.zeros((2, 2, 3, 5), "float32"), np.tile([0.0, 1, 2], 4).reshape(2, 2, 3)
    loss = layers.SoftmaxWithLoss(ignore_label=1, normalization=normalization)([scores, labels])
    np.testing.assert_allclose(loss, 8 * np.log(5) / places, rtol=1e-6)


def test_the_axis_decides_what_the_batch_is() -> None:
    layer = from_caffe(
        'type: "SoftmaxWithLoss" top: "l" softmax_param { axis: 2 } loss_param { normalization: BATCH_SIZE }',
        (2, 4, 5),
        (2, 4),
    )
    assert (layer.axis, layer.batch_axes) == (1, 2)
    np.testing.assert_allclose(layer([np.zeros((2, 5, 4)), np.zeros((2, 4))]), np.log(5), rtol=1e-6)


def test_equal_pairs_have_a_finite_contrastive_gradient() -> None:
    a = tf.Variable(np.ones((2, 3), "float32"))
    with tf.GradientTape() as tape:
        loss = layers.ContrastiveLoss(margin=2.0)([a, np.ones((2, 3), "float32"), np.zeros(2, "float32")])
    np.testing.assert_allclose(loss, 2.0)
    np.testing.assert_array_equal(tape.gradient(loss, a), np.zeros((2, 3)))


def test_weights_of_the_ssd_smooth_l1_stay_out_of_the_gradient() -> None:
    a, b, w = tf.Variable([[0.5, 4.0]]), tf.zeros((1, 2)), tf.constant([[0.5, 3.0]])
    with tf.GradientTape() as tape:
        loss = layers.SmoothL1Loss("ssd")([a, b, w])
    np.testing.assert_allclose(loss, 0.25**2 / 2 + 11.5)
    np.testing.assert_allclose(tape.gradient(loss, a), [[0.25, 1.0]])


def test_smooth_l1_without_width_is_flat() -> None:
    a = tf.Variable([[0.5, 4.0]])
    with tf.GradientTape() as tape:
        loss = layers.SmoothL1Loss("rcnn", 0.0)([a, tf.zeros((1, 2))])
    assert loss == 0
    np.testing.assert_array_equal(tape.gradient(loss, a), [[0, 0]])


@pytest.mark.parametrize(
    ("fork", "bottoms", "param", "definition"),
    [
        (None, 2, "", "ssd"),
        (None, 3, "", "ssd"),
        (None, 4, "", "rcnn"),
        (None, 2, "smooth_l1_loss_param { sigma: 3 }", "rcnn"),
        ("rcnn", 2, "", "rcnn"),
        ("ssd", 2, "", "ssd"),
    ],
)
def test_which_smooth_l1(fork: str | None, bottoms: int, param: str, definition: str) -> None:
    with loading(LoadContext(fork)):
        layer = from_caffe(f'type: "SmoothL1Loss" top: "l" {param}', *[(2, 3)] * bottoms)
    assert layer.definition == definition
    assert layer.is_loss == (definition == "ssd")


def test_centers_follow_their_samples_whatever_the_loss_weight() -> None:
    layer = layers.CenterLoss(3)
    with tf.GradientTape() as tape:
        loss = 0 * layer([SCORES, LABELS])
    want = [-SCORES[0] / 2, -SCORES[2] / 2, -(SCORES[1] + SCORES[3]) / 3]
    np.testing.assert_allclose(tape.gradient(loss, layer.centers.value), want, rtol=1e-6)


def test_the_matrix_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    blob = proto.BlobProto(data=range(9))
    blob.shape.dim.extend([1, 1, 3, 3])
    (tmp_path / "H.binaryproto").write_bytes(blob.SerializeToString())
    (tmp_path / "text").write_text("not a blob")
    text = 'type: "InfogainLoss" top: "l" infogain_loss_param { source: "%s" }'
    assert from_caffe(text % "H.binaryproto", (4, 3), (4,)).matrix == np.arange(9.0).reshape(3, 3).tolist()
    with pytest.raises(ShapeError, match="4 x 4 values; received 9 values"):
        from_caffe(text % "H.binaryproto", (4, 4), (4,))
    with pytest.raises(DataError, match="missing.*No such file"):
        from_caffe(text % "missing", (4, 3), (4,))
    with pytest.raises(DataError, match="this is not a BlobProto"):
        read_matrix("text", 3)


@pytest.mark.parametrize(
    ("text", "shapes", "problem"),
    [
        ('type: "SoftmaxWithLoss" top: "l"', [(4, 3), (3,)], "same first dimension"),
        ('type: "SoftmaxWithLoss" top: "l"', [(2, 3, 4, 4), (2,)], "number of labels"),
        ('type: "SoftmaxWithLoss" top: "l" top: "p" loss_weight: 1 loss_weight: 0', [(4, 3), (4,)], "second top"),
        ('type: "SoftmaxWithLoss" top: "l" softmax_param { axis: 2 }', [(4, 3), (4,)], "axis is out of range"),
        ('type: "SoftmaxWithLoss" top: "l" propagate_down: true propagate_down: true', [(4, 3), (4,)], "gradient"),
        ('type: "InfogainLoss" top: "l"', [(4, 3), (4,)], "no source"),
        ('type: "InfogainLoss" top: "l"', [(4, 3), (4,), (2, 2)], "square"),
        ('type: "InfogainLoss" top: "l" loss_param { normalize: true }', [(4, 3), (4,), (3, 3)], "normalize"),
        ('type: "EuclideanLoss" top: "l"', [(4, 3), (4, 2)], "same number of values"),
        ('type: "EuclideanLoss" top: "l"', [(4, 3, 1, 1, 1), (4, 3)], "too many axes"),
        ('type: "SigmoidCrossEntropyLoss" top: "l"', [(4, 3), (4, 2)], "number of values"),
        ('type: "MultinomialLogisticLoss" top: "l"', [(4, 3), (4, 2)], "size 1"),
        ('type: "ContrastiveLoss" top: "l"', [(4, 3), (4, 2), (4,)], "channels"),
        ('type: "ContrastiveLoss" top: "l"', [(4, 3, 2, 2), (4, 3, 2, 2), (4,)], "size 1"),
        ('type: "SmoothL1Loss" top: "l"', [(4, 3), (4, 2)], "one shape"),
        ('type: "SmoothL1Loss" top: "l" smooth_l1_loss_param {}', [(4, 3)] * 3, "number of bottoms"),
        ('type: "CenterLoss" top: "l"', [(4, 3), (4,)], "num_output"),
        ('type: "CenterLoss" top: "l" center_loss_param { num_output: 2 axis: 0 }', [(4, 3), (4,)], "batch axis"),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]], problem: str) -> None:
    with pytest.raises(CaffeError, match=problem):
        from_caffe(text, *shapes)


def test_five_axes_of_labels_are_fine_where_caffe_counts_only() -> None:
    layer = from_caffe('type: "SoftmaxWithLoss" top: "l"', (4, 3), (4, 1, 1, 1, 1))
    np.testing.assert_allclose(layer([np.zeros((4, 3)), np.zeros((4, 1, 1, 1, 1))]), np.log(3), rtol=1e-6)


@pytest.mark.parametrize("kind", ["SmoothL1Loss", "SmoothL1LossOHEM"])
def test_smooth_l1_takes_rows_with_and_without_axes_of_size_1(kind: str) -> None:
    """R-FCN compares pooled votes (R, 8, 1, 1) with targets (R, 8)."""
    layer = from_caffe(f'type: "{kind}"', (2, 3, 1, 1), (2, 3))
    a, b = np.float32([[1, 2, 3], [4, 5, 6]]), np.zeros((2, 3), "float32")
    assert layer([a.reshape(2, 3, 1, 1), b]) == (21 - 3) / 2
    with pytest.raises(ShapeError, match="one shape"):
        from_caffe(f'type: "{kind}"', (2, 3, 1, 1), (2, 3, 2, 1))
