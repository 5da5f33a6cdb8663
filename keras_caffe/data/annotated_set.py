"""Images with boxes as the records of a database, as SSD's convert_annoset makes them (src/caffe/util/io.cpp)."""

from __future__ import annotations

import json
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
    """A box as a file of annotations has it: its label, its corners in pixels."""

    label: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False


CORNERS = ("xmin", "ymin", "xmax", "ymax")
Size = tuple[int, int]  # height, width
Reading = tuple[list[Box], Size]


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
            size = images.decode(read_file(image), images.GRAY).shape[:2] if self.size else shape[:2]
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
            raise DataError(f"There are many duplicates of name: {item.name}", where=path)
        labels[item.name] = item.label
    return labels


def _boxes(path: Path, kind: str, labels: Mapping[str, int], size: Size) -> Reading:
    """The boxes of a file, and the image's size that it states, or else the given one."""
    if kind not in READERS:
        raise DataError("Unknown label file type", expected=" or ".join(READERS), received=kind)
    try:
        return READERS[kind](read_file(path), labels, size)
    except DataError as error:
        raise error.at(where=str(path)) from None
    except (ElementTree.ParseError, ValueError, LookupError, TypeError, AttributeError) as error:
        problem = "the file of boxes cannot be read"
        raise DataError(problem, where=str(path), expected=kind, received=str(error)) from None


def _xml(data: bytes, labels: Mapping[str, int], size: Size) -> Reading:
    root = ElementTree.fromstring(data)
    boxes = []
    for item in root.iter("object"):
        label, difficult = None, False
        for part in item:  # in their order: what stands behind a box does not count for it
            if part.tag == "name":
                label = _label(part.text or "", labels)
            elif part.tag == "difficult":
                difficult = part.text == "1"
            elif part.tag == "bndbox":
                if label is None:
                    raise DataError("a box has no name before it")
                left, top, right, bottom = (float(part.findtext(name) or 0) for name in CORNERS)
                boxes.append(Box(label, left, top, right, bottom, difficult))
    height, width = root.findtext("size/height"), root.findtext("size/width")
    return boxes, (int(height), int(width)) if height and width else size


def _json(data: bytes, labels: Mapping[str, int], size: Size) -> Reading:
    content = json.loads(data)
    boxes = []
    for item in content["annotation"]:
        left, top, wide, high = map(np.float32, item["bbox"])
        label = _label(str(item["category_id"]), labels)
        boxes.append(Box(label, left, top, left + wide, top + high, bool(item.get("iscrowd", 0))))
    image = content.get("image", {})
    return boxes, (image["height"], image["width"]) if image.keys() >= {"height", "width"} else size


def _txt(data: bytes, labels: Mapping[str, int], size: Size) -> Reading:
    numbers = data.split()
    rows = zip(*[iter(numbers)] * 5, strict=True)
    return [Box(int(row[0]), float(row[1]), float(row[2]), float(row[3]), float(row[4])) for row in rows], size


READERS: dict[str, Callable[[bytes, Mapping[str, int], Size], Reading]] = {"xml": _xml, "json": _json, "txt": _txt}


def _label(name: str, labels: Mapping[str, int]) -> int:
    if name not in labels:
        raise DataError(f"Unknown name: {name}", **instead([name], list(labels)))
    return labels[name]


def _check(path: Path, boxes: Iterable[Box], stated: Size, size: Size) -> None:
    """Says what SSD says of boxes that do not fit their image."""
    if 0 in stated:
        raise DataError("no valid image width/height", where=str(path), received=stated)
    for problem in _oddities(boxes, stated, size):
        warnings.warn(f"{path} {problem}", CaffeWarning, stacklevel=2)


def _oddities(boxes: Iterable[Box], stated: Size, size: Size) -> Iterator[str]:
    for name, have, wanted in zip(("height", "width"), stated, size, strict=True):
        if have != wanted:
            yield f"inconsistent image {name}."
    for box in boxes:
        corners = (box.xmin, box.xmax, stated[1]), (box.ymin, box.ymax, stated[0])
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
        sizes = zip(CORNERS, box[1:5], (width, height) * 2, strict=True)
        shares = {name: np.float32(value) / size for name, value, size in sizes}
        annotation = groups[box.label].annotation.add(instance_id=len(groups[box.label].annotation))
        annotation.bbox.CopyFrom(proto.NormalizedBBox(**shares, difficult=box.difficult))
