"""Forward passes beside OpenCV's reader of Caffe nets, on the same files in the same run."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table

from .report import interleaved, ratio, table

COLUMNS = ("net", "batch", "predict_on_batch ms", "compiled ms", "OpenCV ms", "compiled / OpenCV", "difference")
NETS = ("alexnet", "googlenet", "mobilenet")
AGREE = 1e-3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nets", nargs="+", default=NETS, metavar="NET", help="see benchmarks/nets.py")
    parser.add_argument("--batches", nargs="+", type=int, default=(1, 16), metavar="N")
    parser.add_argument("--runs", type=int, default=15, help="rounds; one call of each engine a round")
    parser.add_argument("--threads", type=int, default=2)


def measure(args: argparse.Namespace) -> Table:
    _set_threads(args.threads)
    rows = []
    for name in args.nets:
        with TemporaryDirectory() as folder:
            rows += list(_rows(name, args.batches, args.runs, Path(folder)))
    return table(f"Forward, {args.threads} threads, medians of {args.runs} interleaved runs", COLUMNS, rows)


def _set_threads(count: int) -> None:
    import cv2
    import tensorflow as tf

    cv2.setNumThreads(count)
    tf.config.threading.set_intra_op_parallelism_threads(count)


def _rows(name: str, batches: list[int], runs: int, folder: Path) -> Iterator[tuple[Any, ...]]:
    import cv2

    import keras_caffe

    from . import nets, weights

    files = weights.write(nets.NETS[name](1), folder)
    model = keras_caffe.load(*files, data_format="channels_last")
    opencv = cv2.dnn.readNetFromCaffe(*map(str, files))
    for batch in batches:
        image = np.random.default_rng(0).standard_normal((batch, *model.input_shape[1:]), "float32")
        difference = _difference(model, opencv, image)
        if difference > AGREE:
            raise SystemExit(f"{name}: the outputs differ by {difference:.2g} of the greatest; nothing to compare.")
        seconds = interleaved(_calls(model, opencv, image), runs)
        medians = [1e3 * statistics.median(times) for times in seconds.values()]
        yield name, str(batch), *medians, ratio(seconds["compiled"], seconds["opencv"]), f"{difference:.0e}"


def _calls(model: Any, opencv: Any, image: np.ndarray) -> dict[str, Callable[[], Any]]:
    """What is timed: each takes and gives NumPy arrays in its own order of axes."""
    import tensorflow as tf

    compiled, blob = tf.function(model), _caffe_order(image)
    return {
        "predict": lambda: model.predict_on_batch(image),
        "compiled": lambda: compiled(image).numpy(),
        "opencv": lambda: _forward(opencv, blob),
    }


def _forward(opencv: Any, blob: np.ndarray, name: str | None = None) -> np.ndarray:
    opencv.setInput(blob)
    return opencv.forward(name) if name else opencv.forward()


def _difference(model: Any, opencv: Any, image: np.ndarray) -> float:
    """Greatest difference in what the softmax gets, relative to the greatest value."""
    net = model.net
    scores = net.values[net.nodes[-1].inputs[0]].blob
    ours = np.asarray(model.extract(scores)(image)[scores]).reshape(len(image), -1)  # one place: no order of axes
    theirs = _forward(opencv, _caffe_order(image), scores).reshape(len(image), -1)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _caffe_order(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(0, 3, 1, 2))
