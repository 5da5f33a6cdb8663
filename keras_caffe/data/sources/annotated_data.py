"""AnnotatedData: Datums with boxes (src/caffe/layers/annotated_data_layer.cpp, branch ssd)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from keras_caffe import proto
from keras_caffe.data.database import Entry
from keras_caffe.data.datum import no_datum, parse
from keras_caffe.data.draws import generator
from keras_caffe.data.sources.base import Delivery, Settings
from keras_caffe.data.sources.boxes import WHOLE, Boxes, sample
from keras_caffe.data.sources.data import Data, from_datum
from keras_caffe.data.sources.distort import distort, expanded
from keras_caffe.data.sources.image_source import Record
from keras_caffe.errors import DataError, LayerError
from keras_caffe.shapes import Shape

NO_BOXES = np.full((1, 1, 1, 8), -1, np.float32)
PURPOSE = 1  # of the generator, beside the running number


class Annotation(NamedTuple):
    """What is known of an image: its objects, the label of its Datum, and whether its record states a type."""

    boxes: Boxes
    label: int | None
    typed: bool


class AnnotatedData(Data):
    """Images and, in one list for the batch, their boxes.

    Each image goes in both phases through distort_param, expand_param and the batch_samplers, then resize_param, crop,
    mirror, mean and scale; its boxes follow. Rows of the label: image in the batch, label, instance, xmin, ymin, xmax,
    ymax, difficult; a batch without boxes has one row of -1. Where neither the layer nor the first record states a type
    of annotation, the label is that of the Datums, (N, 1, 1, 1); otherwise each record must state it, as SSD demands
    of all but those that it happens to enlarge or cut.
    """

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        param = layer.transform_param
        if param.HasField("noise_param"):
            raise LayerError("noise_param is not supported", fix="Remove it.")

    @property
    def delivery(self) -> Delivery:
        # `read` transforms images together with their boxes, which are one list for the batch.
        return Delivery(gaps=self.settings.skip, rows=False)

    def shapes(self) -> list[Shape]:
        return [super().shapes()[0], (1, 1, None, 8) if self.boxed else (None, 1, 1, 1)][: len(self.tops)]

    @property
    def boxed(self) -> bool:
        """Whether the labels are boxes."""
        return self.first[0].label.typed or self.layer.annotated_data_param.HasField("anno_type")

    def record(self, entry: Entry) -> Record:
        try:
            message = proto.AnnotatedDatum.FromString(bytes(entry.record))
        except DecodeError:
            raise no_datum(entry.record) from None
        if not message.HasField("datum"):
            raise no_datum(entry.record)
        labelled = [(group.group_label, box) for group in message.annotation_group for box in group.annotation]
        corners = [(b.bbox.xmin, b.bbox.ymin, b.bbox.xmax, b.bbox.ymax) for _, b in labelled]
        facts = [(label, b.instance_id, b.bbox.difficult) for label, b in labelled]
        boxes = Boxes(np.array(corners, np.float32).reshape(-1, 4), np.array(facts, np.float32).reshape(-1, 3))
        own_label = message.datum.label if message.datum.HasField("label") else None
        found = Annotation(boxes, own_label, message.HasField("type"))
        return from_datum(entry.where, parse(message.datum.SerializeToString()), found)

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        entries = zip(numbers, self.entries(numbers), strict=True)
        loaded = [self.if_readable(entry, partial(self._made, int(number), entry)) for number, entry in entries]
        items = [item for item in loaded if item is not None]
        if not items:
            return [np.zeros([size or 0 for size in shape], np.float32) for shape in self.stored_shapes()]
        images, found = zip(*items, strict=True)
        out, planes = self._buffer(len(images), images[0].shape)
        for image, target in zip(images, planes, strict=True):
            target[...] = image
        labels = np.array([each.label for each in found], np.float32).reshape(-1, 1, 1, 1)
        return [out, self.stored(label([each.boxes for each in found]) if self.boxed else labels)][: len(self.tops)]

    def _made(self, number: int, entry: Entry) -> tuple[np.ndarray, Annotation]:
        """An image, transformed, and what is known of it."""
        record = self.record(entry)
        labelled = len(self.tops) > 1
        if labelled and self.boxed and not record.label.typed:
            raise DataError(
                "the record has no type of annotation", expected="type: BBOX, as the layer or the first has"
            )
        if labelled and not self.boxed and record.label.label is None:
            raise DataError("the record has neither a type of annotation nor a label", expected="one of the two")
        image = record.pixels(self.channels).transpose(1, 2, 0)
        image, boxes = self._varied(image, record.label.boxes, generator(self.settings.seed, PURPOSE, number))
        image, boxes = self._transformed(number, self.brought_to_size(image.transpose(2, 0, 1)), boxes)
        self.check_size(entry.where, image.shape)
        return image, record.label._replace(boxes=boxes)

    def _varied(self, image: np.ndarray, boxes: Boxes, random: np.random.Generator) -> tuple[np.ndarray, Boxes]:
        """Other colours, a larger canvas, a part of it."""
        param = self.layer.transform_param
        if param.HasField("distort_param"):
            image = distort(image, param.distort_param, random)
        larger = None
        if param.HasField("expand_param"):
            larger = expanded(image, param.expand_param, list(param.mean_value), random)
        if larger is not None:
            image, boxes = larger[0], boxes.seen_from(larger[1], self._emit)
        window = sample(self.layer.annotated_data_param.batch_sampler, boxes.corners, random)
        if window is WHOLE:
            return image, boxes
        left, top, right, bottom = (window * np.tile(image.shape[1::-1], 2)).astype(int)
        return image[top : max(bottom, top + 1), left : max(right, left + 1)], boxes.seen_from(window, self._emit)

    def _transformed(self, number: int, image: np.ndarray, boxes: Boxes) -> tuple[np.ndarray, Boxes]:
        """Crop, mirror, mean and scale."""
        self.augment.check(image.shape)
        placement = self.augment.placements(np.array([number]), [image.shape])[0]
        out = np.empty(self.augment.size(image.shape), np.float32)
        self.augment.apply(image, placement, out)
        size = np.array([image.shape[2], image.shape[1]] * 2)
        start = np.array([placement.left, placement.top])
        boxes = boxes.seen_from(np.concatenate([start, start + out.shape[:0:-1]]) / size, self._emit)
        return out, boxes.mirrored() if placement.mirror else boxes

    @property
    def _emit(self) -> Any:
        param = self.layer.transform_param
        return param.emit_constraint if param.HasField("emit_constraint") else None


def label(boxes: Sequence[Boxes]) -> np.ndarray:
    """(1, 1, boxes, 8): the boxes of a batch's images."""
    rows = [
        np.concatenate([[item], image.facts[row, :2], image.corners[row], image.facts[row, 2:]])
        for item, image in enumerate(boxes)
        for row in range(len(image.facts))
    ]
    return np.array(rows, np.float32).reshape(1, 1, -1, 8) if rows else NO_BOXES
