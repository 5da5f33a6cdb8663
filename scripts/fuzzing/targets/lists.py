"""Lists: of windows (R-CNN), of images, of labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import numpy as np

from keras_caffe.converters.labels import read_labels
from keras_caffe.converters.read import read_net
from keras_caffe.data.sources.base import Settings
from keras_caffe.data.sources.image_data import read_list
from keras_caffe.data.sources.window_data import WindowData
from keras_caffe.errors import CaffeError
from scripts.fuzzing.mutations import blocks, lines, several
from scripts.fuzzing.seeds import files
from scripts.fuzzing.target import Target, file_of

LAYER = """layer {{ name: "w" type: "WindowData" top: "data" top: "label"
  transform_param {{ crop_size: 5 mirror: true }}
  window_data_param {{
    source: "{}" root_folder: "{}/" batch_size: 4 fg_fraction: 0.5 context_pad: 1 crop_mode: "square"
  }} }}"""


def window_list(data: bytes) -> None:
    file = file_of(data, "list.txt")
    for read in (read_list, read_labels):
        with contextlib.suppress(CaffeError):
            read(file)
    layer = read_net(LAYER.format(file, file.parent)).message.layer[0]
    WindowData(layer, Settings(train=True)).read(np.arange(4))


def lists() -> Iterable[bytes]:
    file_of(next(files("*.png", shared=False)), "a.png")
    yield b"# 0\na.png\n3\n8\n9\n2\n1 0.7 0 0 4 5\n2 0.1 1 1 3 3\n"
    yield from files("win_*.txt", "list*.txt", shared=False)


TARGETS = {"window_lists": Target(window_list, lists, several(lines, lines, blocks))}
