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
from keras_caffe.data.imageset import ImageSet
from keras_caffe.data.sources.image_data import Line
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
        (OBJECT.format("dog", "", "x", 1, 2, 2, ""), [], r"a.xml: xmin of object 1 \(dog\) must be a whole number"),
        (DOG + OBJECT.format("cat", "", 1, 1, 2, "45.70", ""), [], r"a.xml: ymax of object 2 \(cat\) .*'45.70'.* as 0"),
        (OBJECT.format("dog", "", 1, 1, 2, 2**31, ""), [], "must be a whole number; received '2147483648'"),
        (SIZE.replace("50", "0"), [], "no valid image width/height"),
        ("", ["--label_type=csv"], "Unknown label file type; expected xml or json or txt; received csv"),
        ("", ["--label_type=txt"], "a.xml: the file does not have five numbers for each box"),
        ("", ["--anno_type=boxes"], "no such anno_type"),
        ("", ["--label_map_file=none"], "none: .*there is no such file"),
        ("", ["--label_map_file=twice", "--check_label"], "twice: There are many duplicates of name: dog"),
    ],
)
def test_what_ends_it(content: str, flags: list[str], said: str, work: Path, capfd: Any) -> None:
    Path("twice").write_text(LABELS + 'item { name: "dog" label: 3 }')
    Path("a.xml").write_text(f"<annotation>{content}{SIZE}</annotation>")
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


def of_json(box: Any = (5, 4, 20, 16), size: Any = (40, 50), **fields: Any) -> str:
    item = {"category_id": "dog", "bbox": box, **fields}
    return json.dumps({"image": {"height": size[0], "width": size[1]}, "annotation": [item]})


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("xml", f"<data>{SIZE}{DOG}</data>", "the file is not one of boxes; expected <annotation>; received <data>"),
        ("xml", f"<!DOCTYPE annotation><annotation>{DOG}</annotation>", "must not have a DOCTYPE"),
        (
            "xml",
            f"<annotation>{OBJECT.format('cow' * 999, '', 1, 1, 2, 2, '')}</annotation>",
            r"Unknown name: (cow)+\.\.\.",
        ),
        ("json", of_json(size=(None, 50)), "the image's height must be a whole number of 32 bits; received 'None'"),
        ("json", of_json(size=(40, "wide")), "the image's width must be a whole number of 32 bits; received 'wide'"),
        ("json", of_json(size=(40, 2**31)), "the image's width must be a whole number of 32 bits"),
        ("json", of_json(size=(40, -50)), "no valid image width/height"),
        ("json", of_json(iscrowd="yes"), "iscrowd must be a whole number of 32 bits; received 'yes'"),
        ("json", of_json((float("nan"), 4, 20, 16)), "a corner must be a finite number; received 'nan'"),
        ("json", of_json((3e38, 4, 3e38, 16)), "a corner must be a finite number; received '6.0+1.*e[+]38'"),
        ("json", of_json((10**400, 4, 20, 16)), "cannot be read; expected json"),
        ("json", of_json(([1, 2], 4, 20, 16)), "cannot be read; expected json"),
        ("json", "[" * 100000, "cannot be read; expected json"),
        ("json", "[]", "cannot be read; expected json"),
        ("txt", "12 nan 4 inf 20", "a corner must be a finite number; received 'nan'"),
        ("txt", "12 5 4 inf 20", "a corner must be a finite number; received 'inf'"),
        ("txt", "12 5 4 1e39 20", "a corner must be a finite number; received '1e39'"),
        ("txt", "2147483648 5 4 25 20", "a label must be a whole number of 32 bits; received '2147483648'"),
        ("txt", "x" * 5000 + " 5 4 25 20", r"a label must be a whole number of 32 bits; received 'x+\.\.\.'"),
        ("txt", "12 5 4 25", "five numbers for each box; received 4 numbers"),
        ("txt", "\udcff 5 4 25 20", "cannot be read; expected txt"),
    ],
)
def test_broken_files_of_boxes(kind: str, content: str, said: str, work: Path, capfd: Any) -> None:
    Path("boxes").write_bytes(content.encode(errors="surrogateescape"))
    Path("list.txt").write_text("a.png boxes")
    assert detect("list.txt", f"--label_type={kind}") == ABORTED and not Path("db").exists()
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.search(f"F.*boxes: .*{said}", last), last
    assert len(last) < 400, last


def test_a_doctype_in_utf16_is_refused(work: Path, capfd: Any) -> None:
    text = f'<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><annotation>{DOG}</annotation>'
    Path("a.xml").write_bytes(text.encode("utf-16"))
    Path("list.txt").write_text("a.png a.xml")
    assert detect("list.txt") == ABORTED
    assert "must not have a DOCTYPE" in capfd.readouterr().err


@pytest.mark.parametrize("size", ["", SIZE.replace("50", "20.0"), "<size><height>40</height></size>"])
def test_a_size_that_is_none_is_the_pictures_own(size: str, work: Path, capfd: Any) -> None:
    Path("a.xml").write_text(f"<annotation>{size}{DOG}</annotation>")
    Path("list.txt").write_text("a.png a.xml")
    assert detect("list.txt") == 0
    assert "a.xml states no size in whole numbers; the image's own is taken" in capfd.readouterr().err
    assert boxes(*stored().values()) == WANTED[:1]


def test_only_objects_of_the_annotation_itself_count(work: Path) -> None:
    part = f"<part>{SECOND}</part>"
    inside = DOG.replace("</object>", f"{SECOND}</object>")
    Path("a.xml").write_text(f"<annotation>{SIZE}{part}{inside}</annotation>")
    Path("list.txt").write_text("a.png a.xml")
    assert detect("list.txt") == 0
    assert boxes(*stored().values()) == WANTED[:1]


@pytest.mark.parametrize(("crowd", "difficult"), [("0", False), ("1", True), (0, False), (1, True)])
def test_numbers_as_texts_of_json(crowd: Any, difficult: bool, work: Path, capfd: Any) -> None:
    Path("a.json").write_text(of_json(("5", 4, "20.0", 16), ("40", "50"), iscrowd=crowd))
    Path("list.txt").write_text("a.png a.json")
    assert detect("list.txt", "--label_type=json") == 0
    assert boxes(*stored().values()) == [(12, 0, 0.1, 0.1, 0.5, 0.5, difficult)]
    assert "W" not in [line[0] for line in capfd.readouterr().err.splitlines()]


def scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Bilinear, with pixels 1 / factor apart."""
    height, width = (round(size * factor) for size in pixels.shape[:2])
    out = np.zeros((height, width, pixels.shape[2]))
    for row in range(height):
        for column in range(width):
            places = [
                min(max((i + 0.5) / factor - 0.5, 0), n - 1)
                for i, n in zip((row, column), pixels.shape[:2], strict=True)
            ]
            (y, x), parts = (int(place) for place in places), [place % 1 for place in places]
            for i, share_of_row in ((y, 1 - parts[0]), (y + 1, parts[0])):
                for j, share in ((x, 1 - parts[1]), (x + 1, parts[1])):
                    if share_of_row * share:
                        out[row, column] += share_of_row * share * pixels[i, j]
    return out


@pytest.mark.parametrize(
    ("flags", "factor"),
    [
        (["--min_dim=55"], np.float32(55 / 40)),
        (["--max_dim=33"], np.float32(33 / 50)),
        (["--min_dim=30", "--max_dim=60"], 1),
        (["--min_dim=55", "--max_dim=60"], np.float32(60 / 50)),
        (["--max_dim=33", "--resize_height=7", "--resize_width=7"], np.float32(33 / 50)),
    ],
)
def test_sides_between_limits(flags: list[str], factor: float, work: Path) -> None:
    Path("a.txt").write_text("12 5 4 25 20")
    Path("list.txt").write_text("a.png a.txt")
    assert detect("list.txt", "--label_type=txt", *flags) == 0
    (record,) = stored().values()
    pixels = np.asarray(Image.open("a.png"))
    wanted = pixels if factor == 1 else scaled(pixels, float(factor))
    datum = record.datum
    assert (datum.height, datum.width) == wanted.shape[:2]
    found = np.frombuffer(datum.data, np.uint8).reshape(3, datum.height, datum.width)[::-1].transpose(1, 2, 0)
    assert np.abs(found - wanted).max() < 1
    assert boxes(record) == [(12, 0, 0.1, 0.1, 0.5, 0.5, False)]  # of the image that was


def test_half_the_size_is_the_mean_of_four_pixels(work: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 10, 3), np.uint8)  # 7 * 0.5 = 3.5 is rounded to 4
    Image.fromarray(pixels).save("a.png")
    Path("list.txt").write_text("a.png 1")
    assert convert("list.txt", "--max_dim=5") == 0
    (record,) = stored().values()
    found = np.frombuffer(record.datum.data, np.uint8).reshape(3, 4, 5)[::-1].transpose(1, 2, 0)
    for row, column in np.ndindex(4, 5):
        block = pixels[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(-1, 3).mean(0)
        assert np.abs(found[row, column] - block).max() <= 0.5


def test_which_files_are_stored_as_they_are(work: Path) -> None:
    Path("list.txt").write_text("a.png 1\nb.jpg 2\n")

    def kept(*flags: str) -> list[bool]:
        assert convert("list.txt", *flags) == 0
        records = list(stored().values())
        Path("db").rename("_".join(flags))
        assert {(r.datum.height, r.datum.width, r.datum.channels, r.datum.encoded) for r in records} == {
            (40, 50, 1 if "--gray" in flags else 3, True)
        }
        return [r.datum.data == Path(name).read_bytes() for r, name in zip(records, ("a.png", "b.jpg"), strict=True)]

    assert kept("--encode_type=jpg") == kept("--encode_type=jpg", "--gray") == [False, True]
    assert kept("--encode_type=png", "--gray") == [True, False]
    assert kept("--encoded") == [False, False]  # by names SSD's program knows none of them
    assert kept("--encode_type=jpg", "--min_dim=1") == [False, False]


def test_objects_without_a_box_or_with_two(work: Path) -> None:
    second = "<bndbox><xmin>10</xmin><ymin>8</ymin><xmax>50</xmax><ymax>40</ymax></bndbox>"
    without = "<object><name>dog</name><difficult>1</difficult></object>"
    two = DOG.replace("</object>", f"{second}</object>")
    names = CAT.replace("<bndbox>", "<name>dog</name><bndbox>")
    Path("a.xml").write_text(f"<annotation>{SIZE}{without}{two}{names}</annotation>")
    Path("list.txt").write_text("a.png a.xml")
    assert detect("list.txt") == 0
    (record,) = stored().values()
    dogs, cats = record.annotation_group
    assert (dogs.group_label, cats.group_label) == (12, 8)
    assert [(a.instance_id, a.HasField("bbox")) for a in dogs.annotation] == [(0, False), (1, True), (2, True)]
    assert corners(dogs.annotation[1].bbox) == corners(dogs.annotation[2].bbox) == (0.2, 0.2, 1, 1)
    assert [a.bbox.difficult for a in dogs.annotation] == [False, True, False]
    assert [a.HasField("bbox") for a in cats.annotation] == [False]


def test_sizes_of_images(work: Path, capfd: Any) -> None:
    Path("pictures").mkdir()
    Image.new("RGB", (7, 9)).save("pictures/c.d.png")
    Path("b.jpg").rename("pictures/b.jpg")
    Path("list.txt").write_text("pictures/c.d.png x.xml\npictures/b.jpg y.xml\n")
    program = ["caffe", "get_image_size", str(work), "list.txt"]
    assert main([*program, "sizes.txt"]) == 0
    assert Path("sizes.txt").read_text() == "c.d 9 7\nb 40 50\n"
    Path("ids.txt").write_text("b 17\nc.d 4\n")
    assert main([*program, "by_id.txt", "-name_id_file=ids.txt"]) == 0
    assert Path("by_id.txt").read_text() == "4 9 7\n17 40 50\n"
    for ids, said in (("b 17\n", "the names are not those of the list"), ("b 1\ne 2\n", "has no c.d")):
        Path("ids.txt").write_text(ids)
        assert main([*program, "wrong.txt", "--name_id_file=ids.txt"]) == ABORTED and not Path("wrong.txt").exists()
        assert said in capfd.readouterr().err.splitlines()[-1]
    assert main(program) == 1


def test_an_image_of_which_max_dim_leaves_nothing_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((1, 500, 3), np.uint8)).save(tmp_path / "thin.png")
    told: list[Exception] = []
    images = ImageSet([Line("thin.png", 0, "list:1")], tmp_path, sides=(0, 10))
    assert list(images.records(told.append)) == []
    assert "leaves nothing of an image's shorter side; received 1 x 500 pixels. Raise it." in str(told[0])
