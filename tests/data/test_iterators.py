"""Iterators over data may be dropped anywhere, and say what stopped them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from PIL import Image

from keras_caffe.data import CaffeDataset, dataset
from keras_caffe.errors import DataError
from tests.nets import image_net

NET = image_net("src/list_nopng4.txt", 2, 'root_folder: "src/img/"', "crop_size: 6")
DERIVED: dict[str, Callable[[Any], Any]] = {
    "itself": lambda data: data,
    "map, prefetch": lambda data: data.map(lambda batch: batch["data"]).prefetch(1),
    "batch, take": lambda data: data.prefetch(1).batch(2).take(9),
}

# A batch is in the making when its iterator, which lies in a cycle, is dropped; there the collector runs.
DROPPED_WHILE_IT_READS = """
import gc, sys, threading, weakref
from keras_caffe.data.stream import Stream
from keras_caffe.data import dataset
from tests.data.golden_data import DATA
from tests.data.test_iterators import DERIVED, NET

gc.disable()
reading, dropped, collected = (threading.Event() for _ in range(3))
running_numbers = Stream.running_numbers

def collecting(self, batch):
    if batch == 2 and not dropped.is_set():
        reading.set()
        dropped.wait()
        gc.collect()
        collected.set()
    return running_numbers(self, batch)

class Cycle:
    def __init__(self, value):
        self.itself, self.value = self, value

Stream.running_numbers = collecting
cycle = Cycle(iter(DERIVED[sys.argv[1]](dataset(NET, base_dir=DATA))))
next(cycle.value)
assert reading.wait(60)
gone = weakref.ref(cycle.value)
del cycle
dropped.set()
assert collected.wait(60), "the collector stopped"
assert gone() is None
"""


@pytest.mark.parametrize("derived", DERIVED)
def test_an_iterator_may_be_dropped_in_the_thread_that_reads_for_it(derived: str) -> None:
    subprocess.run([sys.executable, "-c", DROPPED_WHILE_IT_READS, derived], check=True, timeout=300)


def test_an_error_of_the_caller_stays_the_callers(tmp_path: Path) -> None:
    """Also where the source had one before, or has one in a batch that is only read ahead."""
    Image.new("RGB", (6, 6)).save(tmp_path / "there.png")
    (tmp_path / "list.txt").write_text("there.png 0\nmissing.png 0\n")
    data = dataset(image_net("list.txt", 1), base_dir=tmp_path)
    list(data.take(2).ignore_errors())

    def broken(x: Any) -> Any:
        raise ValueError("the caller's")

    for taken in (data.take(1), data):
        mapped = taken.map(lambda batch: tf.numpy_function(broken, [batch["data"]], tf.float32))
        with pytest.raises(tf.errors.OpError, match="the caller's"):
            next(iter(mapped))


@pytest.mark.parametrize("derived", DERIVED)
def test_a_derived_data_set_raises_the_error_of_its_source(derived: str, tmp_path: Path) -> None:
    Image.new("RGB", (6, 6)).save(tmp_path / "there.png")
    (tmp_path / "list.txt").write_text("there.png 0\nmissing.png 0\n")
    data = DERIVED[derived](dataset(image_net("list.txt", 1), base_dir=tmp_path))
    assert isinstance(data, CaffeDataset)
    with pytest.raises(DataError, match=r"missing\.png"):
        list(data.take(2))
