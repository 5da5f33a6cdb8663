"""PriorBox, DetectionOutput, MultiBoxLoss: against plain loops, in graphs, with open sizes, refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers
from keras_caffe.errors import CaffeError, LayerError, ShapeError
from keras_caffe.layers.context import LoadContext, loading
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe
from tests.layers.ssd_loops import decode

CASES = [
    Case("DetectionOutput", reason="values decide the number of rows"),
    Case("MultiBoxLoss", reason="it needs boxes of ground truth"),
    Case("PriorBox", layers.PriorBox([2.0]), [SHAPE, (None, 12, 18, 3)]),
]


def boxes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Boxes on a coarse grid, so that overlaps and scores tie."""
    low = rng.integers(0, 6, (*shape, 2)) / 8
    return np.concatenate([low, low + rng.integers(1, 4, (*shape, 2)) / 8], axis=-1).astype("float32")


def iou(a: np.ndarray, b: np.ndarray) -> np.float32:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = sides.prod() if (sides > 0).all() else np.float32(0)
    return common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common) if common else common


def detect(box: np.ndarray, scores: np.ndarray, rules: dict[str, Any]) -> list[list[float]]:
    """One image, box by box."""
    found = []
    for label in range(1, scores.shape[1]):
        order = [
            p for p in np.argsort(-scores[:, label], kind="stable") if scores[p, label] > rules["confidence_threshold"]
        ]
        kept, limit = [], np.float32(rules["nms_threshold"])
        for p in order[: rules["top_k"] if rules["top_k"] >= 0 else None]:
            if all(iou(box[p], box[q]) <= limit for q in kept):
                kept.append(p)
                limit = limit * np.float32(rules["eta"]) if rules["eta"] < 1 and limit > 0.5 else limit
        found += [[label, scores[p, label], *box[p]] for p in kept]
    if 0 <= rules["keep_top_k"] < len(found):
        best = sorted(range(len(found)), key=lambda i: -found[i][1])[: rules["keep_top_k"]]
        found = [found[i] for i in sorted(best)]
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("graph", [False, True])
def test_detections_are_those_of_a_plain_loop(seed: int, graph: bool) -> None:
    rng = np.random.default_rng(seed)
    prior, scores = boxes(rng, 30), rng.integers(0, 8, (2, 30, 3)).astype("float32") / 8
    rules = {
        "confidence_threshold": 0.3,
        "nms_threshold": float(rng.choice([0.2, 0.45, 0.8])),
        "eta": float(rng.choice([1.0, 0.8])),
        "top_k": int(rng.choice([-1, 5, 400])),
        "keep_top_k": int(rng.choice([-1, 4])),
    }
    layer = layers.DetectionOutput(3, **rules)
    call = tf.function(layer, reduce_retracing=True) if graph else layer
    variances = np.ones_like(prior)
    rows = call([np.zeros((2, 120), "float32"), scores.reshape(2, -1), np.stack([prior, variances]).reshape(1, 2, -1)])
    want = [[image, *row] for image in range(2) for row in detect(prior, scores[image], rules)]
    assert rows.shape == (1, 1, len(want), 7)
    np.testing.assert_array_equal(rows[0, 0], np.array(want, "float32"))


def test_batch_of_any_size_and_nothing_found() -> None:
    layer = layers.DetectionOutput(2, confidence_threshold=0.5)
    signature = [tf.TensorSpec((None, 8)), tf.TensorSpec((None, 4)), tf.TensorSpec((1, 2, 8))]
    graph = tf.function(lambda *bottoms: layer(bottoms), input_signature=signature)
    prior = boxes(np.random.default_rng(0), 2, 2).reshape(1, 2, 8)
    for size in (1, 3):
        rows = graph(np.zeros((size, 8), "float32"), np.zeros((size, 4), "float32"), prior)
        np.testing.assert_array_equal(rows[0, 0], [[image] + [-1] * 6 for image in range(size)])


def test_the_background_alone_is_never_found() -> None:
    bottoms = [np.zeros((2, 8), "float32"), np.ones((2, 2), "float32"), np.ones((1, 2, 8))]
    for top_k in (-1, 0):
        rows = layers.DetectionOutput(1, top_k=top_k)(bottoms)
        np.testing.assert_array_equal(rows[0, 0], [[image] + [-1] * 6 for image in range(2)])


def test_detection_output_is_exportable(tmp_path) -> None:
    import keras

    inputs = [keras.Input((8,)), keras.Input((4,)), keras.Input((2, 8), batch_size=1)]
    model = keras.Model(inputs, layers.DetectionOutput(2, top_k=10)(inputs))
    model.export(tmp_path / "saved", verbose=False)
    values = [
        np.zeros((2, 8), "float32"),
        np.eye(2, 4, dtype="float32"),
        boxes(np.random.default_rng(1), 2, 2).reshape(1, 2, 8),
    ]
    served = tf.saved_model.load(str(tmp_path / "saved")).serve(values)
    np.testing.assert_array_equal(served, model(values))


def test_priors_of_the_first_image_count() -> None:
    rng = np.random.default_rng(9)
    prior, values = boxes(rng, 3, 2, 2).reshape(3, 2, 8), [rng.normal(size=(2, n)).astype("float32") for n in (8, 4)]
    rows = [layers.DetectionOutput(2)([*values, p]) for p in (prior, prior[:1])]
    np.testing.assert_array_equal(*rows)


def test_prior_boxes_of_open_size() -> None:
    layer = layers.PriorBox([4.0, 9.5], max_size=[8.0, 16.0], aspect_ratio=[2.0], spatial=[1, 2])
    assert layer.compute_output_shape([(None, 2, 3, 5), (None, 40, 60, 3)]) == (1, 2, 4 * 6 * 8)
    assert layer.compute_output_shape([(None, None, 3, 5), (None, 40, 60, 3)]) == (1, 2, None)
    signature = [tf.TensorSpec((None, None, None, 5)), tf.TensorSpec((None, None, None, 3))]
    graph = tf.function(lambda *bottoms: layer(bottoms), input_signature=signature)
    bottoms = np.zeros((1, 2, 3, 5), "float32"), np.zeros((1, 40, 60, 3), "float32")
    np.testing.assert_allclose(graph(*bottoms), layer(bottoms), rtol=1e-6, atol=1e-7)
    first = np.array(layer(bottoms))[0, 0, :4]
    np.testing.assert_allclose(first, [8 / 60, 8 / 40, 12 / 60, 12 / 40], rtol=1e-6)


@pytest.mark.parametrize(
    ("param", "reason"),
    [
        ("", "min_size is missing"),
        ("min_size: -1", "min_size must be a number above 0 and of at most 2147483647; received -1"),
        ("min_size: 4 max_size: 3", "max_size does not fit min_size"),
        ("min_size: 4 max_size: 5 max_size: 6", "max_size does not fit min_size"),
        ("min_size: 4 variance: 0.1 variance: 0.1", "variance must be none, one or four"),
        ("min_size: 4 variance: -1", "variance must be a number above 0; received -1"),
        ("min_size: 4 img_size: 3 img_h: 2 img_w: 2", "img_size is given together with img_h or img_w"),
        ("min_size: 4 step: 3 step_h: 2", "step is given together with step_h or step_w"),
        ("min_size: 4 step_h: 2", "step must be a number above 0; received 0"),
        ("min_size: 4 step: -1", "step must be a number above 0; received -1"),
    ],
)
def test_prior_box_refuses(param: str, reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        from_caffe(f'type: "PriorBox" top: "p" prior_box_param {{ {param} }}', (1, 2, 3, 3), (1, 3, 9, 9))


PRIORS = np.stack([boxes(np.random.default_rng(3), 12), np.full((12, 4), 0.1)]).reshape(1, 2, 48).astype("float32")


def bottoms(rng: np.random.Generator, truth: list[list[float]], batch: int = 2) -> list[np.ndarray]:
    values = [rng.normal(size=(batch, 48)), rng.normal(size=(batch, 36)), PRIORS, np.reshape(truth, (1, 1, -1, 8))]
    return [value.astype("float32") for value in values]


def row(image: int, label: int, prior: int, difficult: int = 0) -> list[float]:
    """Ground truth on top of a prior."""
    return [image, label, 0, *PRIORS[0, 0, 4 * prior : 4 * prior + 4], difficult]


@pytest.mark.parametrize("mining", ["NONE", "MAX_NEGATIVE", "HARD_EXAMPLE"])
@pytest.mark.parametrize("kind", ["SOFTMAX", "LOGISTIC"])
def test_multi_box_loss_in_a_graph_with_open_sizes(mining: str, kind: str) -> None:
    rng = np.random.default_rng(4)
    layer = layers.MultiBoxLoss(3, mining_type=mining, conf_loss_type=kind, code_type="CENTER_SIZE")
    shapes = [(None, 48), (None, 36), (1, 2, 48), (1, 1, None, 8)]
    graph = tf.function(lambda *bottoms: layer(bottoms), input_signature=[tf.TensorSpec(shape) for shape in shapes])
    for batch, truth in ((2, [row(0, 1, 3), row(0, 2, 7), row(1, 1, 5)]), (1, [row(0, 1, 2)])):
        values = bottoms(rng, truth, batch)
        np.testing.assert_allclose(graph(*values), layer(values), rtol=1e-6)


def test_images_without_ground_truth_cost_nothing_when_mining() -> None:
    values = bottoms(np.random.default_rng(5), [[-1, 0, 0, 0, 0, 0, 0, 0]])
    assert layers.MultiBoxLoss(3)(values) == 0
    everything = layers.MultiBoxLoss(3, mining_type="NONE")(values)
    log = values[1].reshape(-1, 3) - np.log(np.exp(values[1].reshape(-1, 3)).sum(1, keepdims=True))
    np.testing.assert_allclose(everything, -log[:, 0].sum(), rtol=1e-5)


def test_no_row_of_ground_truth_at_all() -> None:
    values = bottoms(np.random.default_rng(5), [])
    assert layers.MultiBoxLoss(3)(values) == 0


def test_difficult_ground_truth_may_be_left_out() -> None:
    rng = np.random.default_rng(6)
    easy = bottoms(rng, [row(0, 1, 3)])
    both = [*easy[:3], np.reshape([row(0, 1, 3), row(0, 2, 8, difficult=1)], (1, 1, 2, 8)).astype("float32")]
    layer = layers.MultiBoxLoss(3, use_difficult_gt=False)
    np.testing.assert_array_equal(layer(both), layer(easy))
    assert layers.MultiBoxLoss(3)(both) != layer(easy)


def test_parts_of_the_loss() -> None:
    values = bottoms(np.random.default_rng(7), [row(0, 1, 3), row(1, 2, 4)])
    parts = [layers.MultiBoxLoss(3, parts=parts)(values) for parts in ((True, False), (False, True))]
    np.testing.assert_allclose(sum(parts), layers.MultiBoxLoss(3)(values), rtol=1e-6)
    assert layers.MultiBoxLoss(3, parts=(False, False))(values).shape == ()


def test_labels_of_ground_truth() -> None:
    rng = np.random.default_rng(8)
    layer, agnostic = layers.MultiBoxLoss(3), layers.MultiBoxLoss(2, map_object_to_agnostic=True, mining_type="NONE")
    for label, reason in ((-1, "received -1"), (0, "the label of the background; received 0"), (3, "received 3")):
        with pytest.raises(LayerError, match=reason):
            layer(bottoms(rng, [row(0, label, 3)]))
    layer(bottoms(rng, [row(0, 1, 3), row(-1, 9, 3)]))
    values, other = (bottoms(np.random.default_rng(8), [row(0, label, 3)]) for label in (1, 7))
    values[1] = other[1] = values[1][:, :24]  # scores of two classes
    np.testing.assert_array_equal(agnostic(values), agnostic(other))


def test_multi_box_config() -> None:
    layer = layers.MultiBoxLoss(3, loc_weight=0.5, match_type="BIPARTITE", name="mbox")
    copy = layers.MultiBoxLoss.from_config(layer.get_config())
    assert copy.rules == layer.rules


SHAPES = [(2, 48), (2, 36), (1, 2, 48), (1, 1, 5, 8)]


@pytest.mark.parametrize(
    ("param", "shapes", "reason"),
    [
        ("", SHAPES, "num_classes is missing"),
        ("num_classes: 3 share_location: false", [(2, 144), *SHAPES[1:]], "mining needs share_location"),
        ("num_classes: 3 background_label_id: 3", SHAPES, "background_label_id is none of the classes"),
        (
            "num_classes: 3 background_label_id: 3 conf_loss_type: LOGISTIC",
            SHAPES,
            "background_label_id is none of the classes",
        ),
        ("num_classes: 3 map_object_to_agnostic: true", SHAPES, "map_object_to_agnostic needs two classes"),
        ("num_classes: 3 do_neg_mining: false", SHAPES, "do_neg_mining contradicts mining_type"),
        ("num_classes: 3 mining_type: HARD_EXAMPLE sample_size: 0", SHAPES, "sample_size must be positive"),
        ("num_classes: 3", [(2, 44), *SHAPES[1:]], "number of locations does not match the priors"),
        ("num_classes: 4", SHAPES, "number of scores does not match the priors"),
        ("num_classes: 3", [(2, 48), (3, 36), *SHAPES[2:]], "the same first dimension"),
    ],
)
def test_multi_box_loss_refuses(param: str, shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(CaffeError, match=reason):
        from_caffe(f'type: "MultiBoxLoss" top: "l" multibox_loss_param {{ {param} }}', *shapes)


@pytest.mark.parametrize(
    ("param", "shapes", "reason"),
    [
        ("", SHAPES[:3], "num_classes is missing"),
        ("num_classes: 3 nms_param { nms_threshold: -1 }", SHAPES[:3], "nms_threshold must be a number of at least 0"),
        ("num_classes: 3 nms_param { eta: 0 }", SHAPES[:3], "eta must be a number above 0 and of at most 1"),
        ("num_classes: 4", SHAPES[:3], "number of scores does not match the priors"),
        ("num_classes: 3 share_location: false", SHAPES[:3], "number of locations does not match the priors"),
        ("num_classes: 3", [*SHAPES[:2], (1, 1, 48)], "third bottom holds no priors"),
        ("num_classes: 3", [*SHAPES[:2], (2, 48)], "third bottom holds no priors"),
        ("num_classes: 3", [(2, 12, 4), *SHAPES[1:3]], "number of locations does not match the priors"),
    ],
)
def test_detection_output_refuses(param: str, shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(CaffeError, match=reason):
        from_caffe(f'type: "DetectionOutput" top: "d" detection_output_param {{ {param} }}', *shapes)


@pytest.mark.parametrize(
    ("fourth", "more", "refines"),
    [
        ((), "", None),
        ((1, 3, 20, 20), "", None),
        ((1, 4), "", 0.01),
        ((1, 4, 1, 1), "objectness_score: 0.3", 0.3),
    ],
)
def test_refinedets_fourth_bottom_is_told_from_ssds_image(
    fourth: tuple[int, ...], more: str, refines: float | None
) -> None:
    text = f'type: "DetectionOutput" top: "d" detection_output_param {{ num_classes: 2 {more} }}'
    shapes = [(1, 8), (1, 4), (1, 2, 8), *([fourth] if fourth else [])]
    assert from_caffe(text, *shapes).objectness_score == (refines and pytest.approx(refines))


def test_refinedets_bottoms_fit_the_priors() -> None:
    text = 'type: "DetectionOutput" top: "d" detection_output_param {{ num_classes: 2 {} }}'
    shapes = [(1, 8), (1, 4), (1, 2, 8), (1, 4)]
    with pytest.raises(ShapeError, match="own predictions does not match the priors; expected 8; received 7"):
        from_caffe(text.format(""), *shapes, (1, 7))
    with pytest.raises(LayerError, match="shifted priors are for all classes"):
        from_caffe(text.format("share_location: false"), (1, 16), *shapes[1:], (1, 8))


@pytest.mark.parametrize("seed", range(6))
def test_refinedets_detections_are_those_of_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, priors, classes, least = 2, 20, int(rng.integers(2, 5)), np.float32(rng.choice([0.01, 0.3, 0.6]))
    prior = np.stack([boxes(rng, priors), rng.choice([0.1, 0.2], (priors, 4))]).astype("float32")
    shifts, locations = rng.normal(0, 1, (2, images, priors, 4)).astype("float32")
    scores, own = (rng.uniform(0, 1, (images, priors, n)).astype("float32") for n in (classes, 2))
    coding = SimpleNamespace(
        code_type=rng.choice(["CORNER", "CENTER_SIZE", "CORNER_SIZE"]), encode_variance_in_target=rng.random() < 0.5
    )
    rules = {"confidence_threshold": 0.1, "nms_threshold": 0.45, "eta": 1.0, "top_k": 10, "keep_top_k": 12}
    want = []
    for image in range(images):
        box = []
        for p in range(priors):
            shifted = decode(prior[0, p], prior[1, p], shifts[image, p], coding)
            box.append(decode(shifted, prior[1, p], locations[image, p], coding))
            if own[image, p, 1] < least:
                scores[image, p] = [1] + [0] * (classes - 1)
        want += [[image, *row] for row in detect(np.array(box), scores[image], rules)]
    layer = layers.DetectionOutput(
        classes,
        code_type=str(coding.code_type),
        variance_encoded_in_target=coding.encode_variance_in_target,
        objectness_score=float(least),
        **rules,
    )
    bottoms = [locations, scores, prior, own, shifts]
    rows = layer([x.reshape(1, 2, -1) if x is prior else x.reshape(images, -1) for x in bottoms])
    np.testing.assert_allclose(rows[0, 0], np.array(want), rtol=1e-5, atol=1e-6)


LOSS = 'type: "MultiBoxLoss" top: "l" multibox_loss_param {{ num_classes: 3 {} }}'


@pytest.mark.parametrize(
    ("more", "own", "reason"),
    [
        ("", [(1, 5)], "own predictions does not match the priors; expected 4; received 5"),
        ("", [(1, 4), (1, 4)], "own predictions does not match the priors; expected 8; received 4"),
        ("share_location: false mining_type: NONE", [(1, 4), (1, 8)], "shifted priors are for all classes"),
        ("nms_param { nms_threshold: 0.4 }", [(1, 4)], "mixes up the priors where nms_param meets their own scores"),
    ],
)
def test_multi_box_loss_refuses_refinedets_bottoms(more: str, own: list[tuple[int, ...]], reason: str) -> None:
    locations = (1, 24) if "share" in more else (1, 8)
    with pytest.raises(CaffeError, match=reason):
        from_caffe(LOSS.format(more), locations, (1, 6), (1, 2, 8), (1, 1, 3, 8), *own)


def test_a_label_above_1_is_1_to_refinedets_loss_alone() -> None:
    text = LOSS.replace("3", "2").format("")
    bottoms = [np.zeros((1, 8), "float32"), np.array([[0, 1, 2, 0]], "float32")]
    prior = np.array([[0, 0, 0.4, 0.4, 0.5, 0.5, 1, 1], [0.1] * 8], "float32")[None]
    truth = np.array([[0, 7, 0, 0, 0, 0.4, 0.4, 0]], "float32").reshape(1, 1, 1, 8)
    shapes = [x.shape for x in (*bottoms, prior, truth)]
    with loading(LoadContext(fork="refinedet")):
        loss = from_caffe(text, *shapes)([*bottoms, prior, truth])
    want = np.log(1 + np.exp(-1)) + np.log(1 + np.exp(-2))  # the first prior is object 1, the second a negative
    np.testing.assert_allclose(loss, want, rtol=1e-6)
    with loading(LoadContext(fork="ssd")), pytest.raises(LayerError, match="a label in blob|a label is out of range"):
        from_caffe(text, *shapes)([*bottoms, prior, truth])
