"""A contact sheet: the first records of a database as one picture, with their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_caffe.data.sources.image_source import Record
from keras_caffe.errors import DataError
from keras_caffe.shapes import ceil_div

GAP, LINE = 4, 12  # pixels between pictures, and for a label


def contact_sheet(records: Sequence[Record], columns: int = 0, cell: int = 96) -> Any:
    """A Pillow image of records side by side, each with its label below.

    Args:
        records: at least one.
        columns: pictures in a row; default: as many as rows.
        cell: longest side of a picture in pixels; larger ones are made smaller.

    Raises:
        DataError: Pillow is not installed, or a record is no picture.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        fix = "Install it with `pip install 'keras-caffe[images]'`."
        raise DataError("Pillow is needed to draw pictures", fix=fix) from None
    columns = columns or math.ceil(math.sqrt(len(records)))
    rows = ceil_div(len(records), columns)
    sheet = Image.new("RGB", (columns * (cell + GAP) + GAP, rows * (cell + LINE + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for place, record in enumerate(records):
        left, top = GAP + place % columns * (cell + GAP), GAP + place // columns * (cell + LINE + GAP)
        pixels = _visible(record)
        times = max(1, cell // max(pixels.shape[:2]))  # small ones are made larger by a whole number
        picture = Image.fromarray(pixels.repeat(times, 0).repeat(times, 1))
        picture.thumbnail((cell, cell))
        sheet.paste(picture, (left, top))
        pen.text((left, top + cell), str(record.label), fill="black")
    return sheet


def _visible(record: Record) -> np.ndarray:
    """(H, W, 3) uint8, red first; other numbers than 0 to 255 are stretched to them."""
    pixels = record.pixels(0)
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = ((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    planes = pixels[2::-1] if len(pixels) >= 3 else pixels[[0, 0, 0]]
    return np.ascontiguousarray(planes.transpose(1, 2, 0))
