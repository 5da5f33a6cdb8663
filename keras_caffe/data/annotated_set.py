"""Images with boxes as the records of a database, as SSD's convert_annoset makes them (src/caffe/util/io.cpp)."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.read import read_message
from keras_caffe.data import images
from keras_caffe.data.imageset import ImageSet
from keras_caffe.data.sources.image_data import read_file
from keras_caffe.errors import CaffeWarning, DataError, instead


class Box(NamedTuple):
    """A box as a file of annotations has it: its label, xmin, ymin, xmax and ymax in pixels. SSD's program also stores
    objects that have a name and no corners."""

    label: int
    corners: tuple[float, ...] = ()
    difficult: bool = False


CORNERS = ("xmin", "ymin", "xmax", "ymax")
Size = tuple[int, int]  # height, width
Reading = tuple[list[Box], Size | None]  # None: the file states no size
WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)  # what SSD's program, or boost for it, takes for an int
BROKEN = (ElementTree.ParseError, AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class AnnotatedSet(ImageSet):
    """Images with boxes.

    Args:
        annotations: for each line the name of the file with its boxes; one that is missing means no boxes.
        label_type: of these files, "xml" (VOC, ILSVRC), "json" (COCO) or "txt" (lines `label xmin ymin xmax ymax`).
        labels: {name: label}; not for "txt".
    """

    annotations: Sequence[str] = ()
    label_type: str = "xml"
    labels: Mapping[str, int] = field(default_factory=dict)

    def record(self, number: int, datum: Any, shape: tuple[int, ...]) -> Any:
        """An AnnotatedDatum: the boxes of each label are a group, in fractions of the image.

        Raises:
            DataError: a file of boxes is broken, or has a name that is none of the labels.
        """
        datum.height, datum.width, datum.channels = shape
        found = proto.AnnotatedDatum(datum=datum)
        if not self.annotations:
            return found
        found.type = type(found).BBOX
        path = self.path(self.annotations[number])
        if path.exists():
            image = self.path(self.lines[number].name)
            size = images.decode(read_file(image), images.GRAY).shape[:2] if self.resizes else shape[:2]
            boxes, stated = _boxes(path, self.label_type, self.labels, (size[0], size[1]))
            _check(path, boxes, stated, (size[0], size[1]))
            _add(found, boxes, stated)
        return found


def read_label_map(path: str, unique: bool) -> dict[str, int]:
    """{name: label} of a file with a LabelMap.

    Raises:
        ReadError: it cannot be read. DataError: a name occurs twice, where `unique` forbids it.
    """
    labels: dict[str, int] = {}
    for item in read_message(Path(path), proto.LabelMap).item:
        if unique and item.name in labels:
            raise DataError(f"There are many duplicates of name: {_brief(item.name)}", where=path)
        labels[item.name] = item.label
    return labels


def _boxes(path: Path, kind: str, labels: Mapping[str, int], size: Size) -> tuple[list[Box], Size]:
    """The boxes of a file, and the image's size that it states, or else the given one."""
    if kind not in READERS:
        raise DataError("Unknown label file type", expected=" or ".join(READERS), received=kind)
    try:
        boxes, stated = READERS[kind](read_file(path), labels)
    except DataError as error:
        raise error.at(where=str(path)) from None
    except BROKEN as error:
        problem = "the file of boxes cannot be read"
        raise DataError(problem, where=str(path), expected=kind, received=_brief(error)) from None
    if stated is None and kind != "txt":
        problem = f"{path} states no size in whole numbers; the image's own is taken, as by SSD's program"
        warnings.warn(problem, CaffeWarning, stacklevel=2)
    return boxes, stated or size


def _xml(data: bytes, labels: Mapping[str, int]) -> Reading:
    if b"<!DOCTYPE" in data.replace(b"\0", b""):  # also in UTF-16; old parsers expand its entities without a limit
        raise DataError("a file of boxes must not have a DOCTYPE", fix="Remove it.")
    root = ElementTree.fromstring(data)
    if root.tag != "annotation":
        raise DataError("the file is not one of boxes", expected="<annotation>", received=f"<{_brief(root.tag)}>")
    boxes = []
    for number, item in enumerate(root.findall("object"), 1):
        name, label, difficult = "", None, False
        for part in item:  # in their order: what stands behind a box does not count for it
            if part.tag == "name":
                name = part.text or ""
                label = _label(name, labels)
                boxes.append(Box(label))
            elif part.tag == "difficult":
                difficult = part.text == "1"
            elif part.tag == "bndbox":
                if label is None:
                    raise DataError("a box has no name before it")
                what = f"object {number} ({_brief(name)})"
                corners = (_corner(part.findtext(corner, "0"), corner, what) for corner in CORNERS)
                boxes[-1] = Box(label, tuple(corners), difficult)  # of two the last
    height, width = (_whole(root.findtext(f"size/{name}")) for name in ("height", "width"))
    return boxes, None if height is None or width is None else (height, width)


def _json(data: bytes, labels: Mapping[str, int]) -> Reading:
    content = json.loads(data)
    boxes = []
    for item in content["annotation"]:
        left, top, wide, high = map(_finite, item["bbox"])
        label = _label(str(item["category_id"]), labels)
        crowd = _int32(item.get("iscrowd", 0), "iscrowd")
        right, bottom = (_finite(start + length) for start, length in ((left, wide), (top, high)))
        boxes.append(Box(label, (left, top, right, bottom), crowd != 0))
    image = content.get("image", {})
    if not image.keys() >= {"height", "width"}:
        return boxes, None
    return boxes, (_int32(image["height"], "the image's height"), _int32(image["width"], "the image's width"))


def _txt(data: bytes, labels: Mapping[str, int]) -> Reading:
    numbers = data.decode().split()
    if len(numbers) % 5:
        raise DataError("the file does not have five numbers for each box", received=f"{len(numbers)} numbers")
    boxes = []
    for label, *corners in zip(*[iter(numbers)] * 5, strict=True):
        boxes.append(Box(_int32(label, "a label"), tuple(map(_finite, corners))))
    return boxes, None


READERS: dict[str, Callable[[bytes, Mapping[str, int]], Reading]] = {"xml": _xml, "json": _json, "txt": _txt}


def _label(name: str, labels: Mapping[str, int]) -> int:
    if name not in labels:
        raise DataError(f"Unknown name: {_brief(name)}", **instead([_brief(name)], list(labels)))
    return labels[name]


def _corner(text: str, name: str, what: str) -> float:
    value = _whole(text)
    if value is None:
        fix = "SSD's program reads it as 0 and says nothing: round the corners in the file."
        raise DataError(f"{name} of {what} must be a whole number", received=repr(_brief(text)), fix=fix)
    return value


def _int32(value: Any, what: str) -> int:
    number = _whole(value)
    if number is None:
        raise DataError(f"{what} must be a whole number of 32 bits", received=repr(_brief(value)))
    return number


def _whole(value: Any) -> int | None:
    """The int32 that a value is or spells, or None."""
    text = "" if isinstance(value, bool) else str(value)
    number = int(text) if WHOLE.fullmatch(text) else None
    return number if number is not None and -(2**31) <= number < 2**31 else None


def _finite(value: Any) -> float:
    """As a float of 32 bits, which SSD's program computes with."""
    if isinstance(value, bool) or "_" in str(value) or not abs(float(value)) <= LARGEST:  # NaN is not, either
        raise DataError("a corner must be a finite number", received=repr(_brief(value)))
    return float(np.float32(value))


def _brief(text: object) -> str:
    """What a file says, no longer than fits into a message."""
    whole = str(text)
    return whole if len(whole) <= 60 else f"{whole[:57]}..."


def _check(path: Path, boxes: Iterable[Box], stated: Size, size: Size) -> None:
    """Says what SSD says of boxes that do not fit their image."""
    if min(stated) <= 0:
        raise DataError("no valid image width/height", where=str(path), received=stated)
    for problem in _oddities(boxes, stated, size):
        warnings.warn(f"{path} {problem}", CaffeWarning, stacklevel=2)


def _oddities(boxes: Iterable[Box], stated: Size, size: Size) -> Iterator[str]:
    for name, have, wanted in zip(("height", "width"), stated, size, strict=True):
        if have != wanted:
            yield f"inconsistent image {name}."
    for left, top, right, bottom in (box.corners for box in boxes if box.corners):
        corners = (left, right, stated[1]), (top, bottom, stated[0])
        if any(min(low, high) < 0 or max(low, high) > most for low, high, most in corners):
            yield "bounding box exceeds image boundary."
        if any(low > high for low, high, _ in corners):
            yield "bounding box irregular."


def _add(record: Any, boxes: Iterable[Box], size: Size) -> None:
    groups: dict[int, Any] = {}
    height, width = (np.float32(length) for length in size)
    for box in boxes:
        if box.label not in groups:
            groups[box.label] = record.annotation_group.add(group_label=box.label)
        annotation = groups[box.label].annotation.add(instance_id=len(groups[box.label].annotation))
        if box.corners:
            sizes = zip(CORNERS, box.corners, (width, height) * 2, strict=True)
            shares = {name: np.float32(value) / size for name, value, size in sizes}
            annotation.bbox.CopyFrom(proto.NormalizedBBox(**shares, difficult=box.difficult))
