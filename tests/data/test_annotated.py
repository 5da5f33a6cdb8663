"""SSD's images with boxes: boxes stay where the objects are, whatever is done to the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_caffe import proto
from keras_caffe.converters.resize import resize
from keras_caffe.data import dataset
from keras_caffe.data.sources import image_source
from keras_caffe.errors import CaffeError, CaffeWarning, DataError
from keras_caffe.pycaffe.io import array_to_datum
from tests.data.records import annotated, write_lmdb
from tests.nets import layer

RESIZE = "resize_param { resize_mode: WARP height: 24 width: 32 interp_mode: LINEAR }"
SAMPLER = """batch_sampler { max_sample: 1 max_trials: 1 }
    batch_sampler { sampler { min_scale: 0.5 max_scale: 0.9 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
      sample_constraint { min_jaccard_overlap: 0.1 } max_sample: 1 max_trials: 50 }"""


def net(source: Path, batch: int, transform: str = "", param: str = "") -> str:
    fields = f'data_param {{ source: "{source}" batch_size: {batch} backend: LMDB }} annotated_data_param {{ {param} }}'
    return layer("d", "AnnotatedData", tops="data label", more=f"transform_param {{ {transform} }} {fields}")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    boxes = [[(4, 8, 20, 24)], [], [(10, 4, 30, 16), (2, 20, 12, 36)]]
    return write_lmdb(tmp_path / "db", {b"%d" % i: annotated(i, each) for i, each in enumerate(boxes)})


def read(text: str, count: int = 1, phase: str = "TEST", **kwargs: Any) -> list[dict[str, np.ndarray]]:
    return list(dataset(text, phase, seed=3, data_format="channels_first", **kwargs).take(count).as_numpy_iterator())


def test_images_are_resized_and_boxes_listed(source: Path) -> None:
    batch = read(net(source, 3, RESIZE + " mean_value: 10"))[0]
    whole = read(net(source, 3))[0]["data"]
    wanted = np.stack([resize(x.transpose(1, 2, 0).astype("uint8"), 24, 32).transpose(2, 0, 1) for x in whole])
    np.testing.assert_array_equal(batch["data"], wanted - np.float32(10))
    rows = [[0, 1, 0, 0.1, 0.2, 0.5, 0.6, 0], [2, 3, 0, 0.25, 0.1, 0.75, 0.4, 0], [2, 3, 1, 0.05, 0.5, 0.3, 0.9, 1]]
    np.testing.assert_allclose(batch["label"], np.array(rows, "float32")[None, None], atol=1e-7)


def test_a_batch_without_boxes_has_a_row_of_minus_one(source: Path) -> None:
    np.testing.assert_array_equal(read(net(source, 1), 2)[1]["label"], np.full((1, 1, 1, 8), -1, "float32"))


def blocks_fit(batch: dict[str, np.ndarray]) -> int:
    """Asserts that every box lies on white pixels, less the pixel at its edges; returns the number of boxes."""
    found = 0
    for row in batch["label"][0, 0]:
        if row[0] < 0:
            continue
        image = batch["data"][int(row[0])][0]
        x1, y1, x2, y2 = row[3:7] * np.tile(image.shape[::-1], 2)
        inner = image[int(np.ceil(y1)) + 1 : int(y2) - 1, int(np.ceil(x1)) + 1 : int(x2) - 1]
        assert inner.size == 0 or inner.min() > 120, row
        found += inner.size > 0
    return found


@pytest.mark.parametrize(
    ("transform", "param"),
    [
        (RESIZE + " mirror: true", ""),
        (RESIZE + " mirror: true expand_param { prob: 1 max_expand_ratio: 3 }", ""),
        (RESIZE + " mirror: true emit_constraint { emit_type: CENTER }", SAMPLER),
        ("crop_size: 30 mirror: true", ""),
        (RESIZE + " expand_param { max_expand_ratio: 2 } mirror: true", SAMPLER),
    ],
)
def test_boxes_follow_what_is_done_to_the_image(source: Path, transform: str, param: str) -> None:
    batches = read(net(source, 3, transform, param), 20, "TRAIN")
    assert sum(map(blocks_fit, batches)) > 20
    assert any(not np.array_equal(batches[0]["data"], batch["data"]) for batch in batches)
    again = read(net(source, 3, transform, param), 20, "TRAIN")
    assert all(
        np.array_equal(a["data"], b["data"]) and np.array_equal(a["label"], b["label"])
        for a, b in zip(batches, again, strict=True)
    )


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_colours_are_changed_in_both_phases(phase: str, source: Path) -> None:
    colours = """distort_param { brightness_prob: 1 brightness_delta: 32 contrast_prob: 1 contrast_lower: 0.5
      contrast_upper: 1.5 hue_prob: 1 hue_delta: 18 saturation_prob: 1 saturation_lower: 0.5 saturation_upper: 1.5
      random_order_prob: 1 }"""
    plain = read(net(source, 3))[0]["data"]
    changed = read(net(source, 3, colours), 1, phase)[0]["data"]
    assert 0 <= changed.min() and changed.max() <= 255 and not np.array_equal(changed, plain)


def test_samples_are_drawn_in_the_test_phase_too(source: Path) -> None:
    half = """batch_sampler { max_sample: 1 max_trials: 1
        sampler { min_scale: 0.5 max_scale: 0.5 min_aspect_ratio: 1 max_aspect_ratio: 1 } }"""
    assert read(net(source, 1, param=half))[0]["data"].shape == (1, 3, 20, 20)


def untyped(record: bytes, label: int) -> bytes:
    message = proto.AnnotatedDatum.FromString(record)
    message.ClearField("type")
    message.datum.label = label
    return message.SerializeToString()


def test_without_a_type_of_annotation_labels_are_the_datums_own(tmp_path: Path) -> None:
    plain = [untyped(annotated(0, [(4, 8, 20, 24)]), label) for label in (5, 6, 7)]
    records = write_lmdb(tmp_path / "db", {b"%d" % i: record for i, record in enumerate(plain)})
    assert read(net(records, 3))[0]["label"].tolist() == [[[[5]]], [[[6]]], [[[7]]]]
    boxes = net(records, 1, param="anno_type: BBOX")
    with pytest.raises(CaffeError, match="no type of annotation.*as the layer or the first has"):
        read(boxes)
    assert list(read(boxes.replace('top: "label"', ""))[0]) == ["data"]  # without labels SSD asks for no type
    typed = write_lmdb(tmp_path / "typed", {b"0": annotated(0, [(4, 8, 20, 24)])})
    assert read(net(typed, 1, param="anno_type: BBOX"))[0]["label"].shape == (1, 1, 1, 8)
    message = proto.AnnotatedDatum.FromString(plain[0])
    message.datum.ClearField("label")
    bare = write_lmdb(tmp_path / "bare", {b"0": plain[0], b"1": message.SerializeToString()})
    with pytest.raises(CaffeError, match="neither a type of annotation nor a label"):
        read(net(bare, 2))
    mixed = write_lmdb(tmp_path / "mixed", {b"0": annotated(0, []), b"1": plain[0]})
    with pytest.raises(CaffeError, match="no type of annotation"):
        read(net(mixed, 2))


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 1, 1), (3, 60, 60)])
def test_images_of_another_size_are_refused(shape: tuple[int, int, int], tmp_path: Path) -> None:
    other = proto.AnnotatedDatum(type=0)
    other.datum.CopyFrom(array_to_datum(np.zeros(shape, np.uint8)))
    source = write_lmdb(tmp_path / "db", {b"0": annotated(0, []), b"1": other.SerializeToString()})
    with pytest.raises(CaffeError, match="differ in size") as raised:
        read(net(source, 2))
    assert str(shape) in str(raised.value)
    if shape[0] == 3:
        assert [batch["data"].shape[1:] for batch in read(net(source, 1), 2)] == [(3, 40, 40), shape]
    else:
        with pytest.raises(CaffeError, match="force_gray"):
            read(net(source, 1), 2)


def test_what_cannot_be_done_is_said(source: Path, tmp_path: Path) -> None:
    for transform in ("noise_param { prob: 1 }", "resize_param { resize_mode: FIT_SMALL_SIZE height: 3 width: 3 }"):
        with pytest.raises(CaffeError, match="not supported"):
            dataset(net(source, 1, transform))
    with pytest.warns(CaffeWarning, match="CUBIC"):
        dataset(net(source, 1, "resize_param { height: 3 width: 3 interp_mode: LINEAR interp_mode: CUBIC }"))
    plain = write_lmdb(tmp_path / "plain", 2)
    with pytest.raises(CaffeError, match="not a Datum"):
        dataset(net(plain, 1))


def test_bad_records_are_left_out_unless_all_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "GIVE_UP", 4)  # in a row, which two batches at once make 3 at most
    bad = {b"%d" % i: b"no" for i in (1, 2, 3, 5)}
    good = {b"%d" % i: annotated(i, [(4, 8, 20, 24)] * (i % 4)) for i in (0, 4, 6, 7)}
    skipping = dataset(net(write_lmdb(tmp_path / "db", bad | good), 2), "TEST", epochs=1, on_error="skip")
    batches = list(skipping.as_numpy_iterator())
    assert [len(batch["data"]) for batch in batches] == [1, 1, 2]  # there is nothing in the second of four
    assert [batch["label"][0, :, :2, 0].tolist() for batch in batches] == [
        [[-1, -1]],
        [[-1, -1]],
        [[0, 7], [0, 7], [1, 8], [1, 8], [1, 8]],
    ]
    assert len(skipping.skipped) == 4
    source = write_lmdb(tmp_path / "bad", {b"0": good[b"0"], **bad})
    with pytest.raises(DataError, match="no record can be read"):
        list(dataset(net(source, 8), "TEST", epochs=1, on_error="skip"))
