"""`convert_annoset`, which SSD's create_annoset.py calls."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keras_caffe import proto
from keras_caffe.cli import main
from keras_caffe.cli.programs import ABORTED
from keras_caffe.data.statistics import open_any

LABELS = """item { name: "background" label: 0 } item { name: "dog" label: 12 display_name: "Dog" }
item { name: "cat" label: 8 } item { name: "7" label: 9 }"""
OBJECT = (
    "<object><name>{}</name>{}<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>{}</object>"
)
DOG = OBJECT.format("dog", "<difficult>1</difficult>", 5, 4, 25, 20, "")
CAT = OBJECT.format("cat", "", 10, 8, 50, 40, "<difficult>1</difficult>")  # behind the box: too late for SSD
SECOND = OBJECT.format("dog", "", 0, 2, 10, 3, "")
SIZE = "<size><width>50</width><height>40</height><depth>3</depth></size>"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("map.prototxt").write_text(LABELS)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save("a.png")
    Image.fromarray(pixels).save("b.jpg")
    return tmp_path


def convert(name: str, *flags: str) -> int:
    return main(["caffe", "convert_annoset", *flags, "./", name, "db"])


def detect(name: str, *flags: str) -> int:
    return convert(name, "--anno_type=detection", "--label_map_file=map.prototxt", *flags)


def stored() -> dict[str, Any]:
    return {key.decode(): proto.AnnotatedDatum.FromString(value) for key, value in open_any("db").items()}


def boxes(record: Any) -> list[tuple[Any, ...]]:
    return [
        (group.group_label, found.instance_id, *corners(found.bbox), found.bbox.difficult)
        for group in record.annotation_group
        for found in group.annotation
    ]


def corners(box: Any) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in (box.xmin, box.ymin, box.xmax, box.ymax))


WANTED = [(12, 0, 0.1, 0.1, 0.5, 0.5, True), (12, 1, 0, 0.05, 0.2, 0.075, False), (8, 0, 0.2, 0.2, 1, 1, False)]


def test_boxes_of_xml_files(work: Path) -> None:
    Path("a.xml").write_text(f"<annotation>{SIZE}{DOG}{CAT}{SECOND}</annotation>")
    Path("list.txt").write_text("a.png a.xml\nb.jpg there_is_none.xml\n")
    assert detect("list.txt", "--check_label=True", "--encode_type=jpg", "--encoded=True", "--shuffle=False") == 0
    first, second = stored().values()
    assert list(stored()) == ["00000000_a.png", "00000001_b.jpg"]
    assert boxes(first) == WANTED and boxes(second) == []
    assert first.type == second.type == proto.AnnotatedDatum.BBOX and second.HasField("type")
    assert second.datum.data == Path("b.jpg").read_bytes()
    for datum in (first.datum, second.datum):
        assert (datum.channels, datum.height, datum.width, datum.label, datum.encoded) == (3, 40, 50, -1, True)


def test_boxes_of_json_and_txt_files(work: Path) -> None:
    dog, cat = ("dog", [5, 4, 20, 16], 1), ("7", [10.0, 8, 40, 32], 0)
    annotation = [{"category_id": name, "bbox": box, "iscrowd": crowd} for name, box, crowd in (dog, cat)]
    Path("a.json").write_text(json.dumps({"image": {"height": 40, "width": 50}, "annotation": annotation}))
    Path("a.txt").write_text("12 5 4 25 20\n8 10 8 50 40\n12 0 2 10 3\n")
    Path("json.txt").write_text("a.png a.json")
    Path("txt.txt").write_text("a.png a.txt")
    assert detect("json.txt", "--label_type=json") == 0
    assert boxes(*stored().values()) == [(12, 0, 0.1, 0.1, 0.5, 0.5, True), (9, 0, 0.2, 0.2, 1, 1, False)]
    Path("db").rename("first")
    assert detect("txt.txt", "--label_type=txt", "--resize_width=10", "--resize_height=6") == 0
    (record,) = stored().values()
    assert [(*box[:-1], False) for box in WANTED] == boxes(record)  # in fractions of the image that was
    assert len(record.datum.data) == 3 * 6 * 10 and (record.datum.height, record.datum.width) == (6, 10)


def test_labels_without_boxes(work: Path) -> None:
    Path("list.txt").write_text("a.png 3\nb.jpg 4\n")
    assert convert("list.txt") == 0
    first, second = stored().values()
    assert (first.datum.label, second.datum.label) == (3, 4) and not first.HasField("type")
    np.testing.assert_array_equal(
        np.frombuffer(first.datum.data, np.uint8).reshape(3, 40, 50)[::-1].transpose(1, 2, 0), Image.open("a.png")
    )


@pytest.mark.parametrize(
    ("content", "flags", "said"),
    [
        (OBJECT.format("cow", "", 1, 1, 2, 2, ""), [], r"a.xml: Unknown name: cow"),
        ("<object><bndbox/></object>", [], "a.xml: a box has no name before it"),
        ("<object>", [], "a.xml: the file of boxes cannot be read"),
        (OBJECT.format("dog", "", "x", 1, 2, 2, ""), [], "a.xml: the file of boxes cannot be read"),
        ("", ["--label_type=csv"], "Unknown label file type; expected xml or json or txt; received csv"),
        ("", ["--label_type=txt"], "a.xml: the file of boxes cannot be read; expected txt"),
        ("", ["--min_dim=300"], "min_dim and max_dim are not known here. Resize the images first"),
        ("", ["--anno_type=boxes"], "no such anno_type"),
        ("", ["--label_map_file=none"], "none: .*there is no such file"),
        ("", ["--label_map_file=twice", "--check_label"], "twice: There are many duplicates of name: dog"),
    ],
)
def test_what_ends_it(content: str, flags: list[str], said: str, work: Path, capfd: Any) -> None:
    Path("twice").write_text(LABELS + 'item { name: "dog" label: 3 }')
    Path("a.xml").write_text(f"<annotation>{SIZE}{content}</annotation>")
    Path("list.txt").write_text("a.png a.xml")
    assert detect("list.txt", *flags) == ABORTED and not Path("db").exists()
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("F")
    assert re.search(said, last), last


def test_boxes_that_do_not_fit_are_told(work: Path, capfd: Any) -> None:
    odd = OBJECT.format("dog", "", 30, 4, 20, 44, "")
    Path("a.xml").write_text(f"<annotation>{SIZE.replace('50', '60')}{odd}</annotation>")
    Path("list.txt").write_text("a.png a.xml")
    assert detect("list.txt") == 0
    told = [line.split("] ")[1] for line in capfd.readouterr().err.splitlines() if line.startswith("W")]
    problems = ["inconsistent image width.", "bounding box exceeds image boundary.", "bounding box irregular."]
    assert told == [f"a.xml {problem}" for problem in problems]
    assert boxes(*stored().values()) == [(12, 0, 0.5, 0.1, round(20 / 60, 6), 1.1, False)]
