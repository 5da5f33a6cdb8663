"""What pycaffe costs beside the compiled model: a forward pass, a look at the parameters, sizes that change.

Processor time, so that other work on the machine has less to do with it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
from rich.table import Table

from .report import interleaved, ratio, table

COLUMNS = ("what", "net", "ms", "beside it, ms", "ratio", "at most")
SIZES = (64, 80)  # height and width of the inputs that take turns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--net", default="caffenet", metavar="NET", help="whose parameters are looked at; see nets.py")
    parser.add_argument("--runs", type=int, default=30, help="rounds; one call of each side a round")
    parser.add_argument("--threads", type=int, default=2)


def measure(args: argparse.Namespace) -> Table:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    rows = [_call(args.runs), _params(args.net, args.runs), *_sizes(args.runs)]
    title = f"pycaffe, {args.threads} threads, processor time, medians of {args.runs} interleaved rounds"
    return table(title, COLUMNS, rows)


def _call(runs: int) -> tuple[Any, ...]:
    """LeNet, one digit: net.forward() and the compiled model."""
    import tensorflow as tf

    import keras_caffe
    from keras_caffe import pycaffe, samples

    files = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
    net = pycaffe.Net(*map(str, files), pycaffe.TEST)
    net.blobs["data"].reshape(1, 1, 28, 28)
    compiled = tf.function(keras_caffe.load(*files))
    image = tf.zeros((1, 28, 28, 1))
    seconds = _interleaved({"ours": net.forward, "model": lambda: compiled(image).numpy()}, runs)
    return _row("net.forward(), beside tf.function(model)", "lenet", seconds["ours"], seconds["model"], 1.3)


def _params(name: str, runs: int) -> tuple[Any, ...]:
    """A forward pass once a script has looked at all parameters, and one before."""
    before, after = _net(name), _net(name)
    sizes = [blob.data.size for blobs in after.params.values() for blob in blobs]
    seconds = _interleaved({"after": after.forward, "before": before.forward}, runs)
    what = f"forward after a look at {sum(sizes):,} parameters"
    return _row(what, name, seconds["after"], seconds["before"], 1.1)


def _net(name: str) -> Any:
    from keras_caffe import pycaffe
    from keras_caffe.proto.text import to_text

    from . import nets

    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.prototxt"
        path.write_text(to_text(nets.NETS[name](1)))
        return pycaffe.Net(str(path), pycaffe.TEST)


CONVOLUTIONS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 64 dim: 64 } } }
""" + "".join(
    f"""layer {{ name: "conv{number}" type: "Convolution" bottom: "{below}" top: "conv{number}"
  convolution_param {{ num_output: 32 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu{number}" type: "ReLU" bottom: "conv{number}" top: "conv{number}" }}
"""
    for number, below in enumerate(("data", *(f"conv{i}" for i in range(7))))
)


def _sizes(runs: int) -> list[tuple[Any, ...]]:
    """Eight convolutions: two sizes in turn from the third pass on, beside one size; and a size that is new."""
    from keras_caffe import pycaffe

    steady, turning, fresh = (pycaffe.Net(CONVOLUTIONS, pycaffe.TEST) for _ in range(3))

    def both(net: Any, sizes: tuple[int, int]) -> Callable[[], None]:
        def run() -> None:
            for size in sizes:
                net.blobs["data"].reshape(1, 3, size, size)
                net.forward()

        return run

    singles = [pycaffe.Net(CONVOLUTIONS, pycaffe.TEST) for _ in SIZES]
    for net, size in zip(singles, SIZES, strict=True):
        net.blobs["data"].reshape(1, 3, size, size)
    calls = {"turns": both(turning, SIZES), "steady": lambda: [net.forward() for net in singles]}
    seconds = _interleaved(calls, runs)
    rows = [
        _row(f"{SIZES[0]} and {SIZES[1]} pixels in turn", "8 convolutions", seconds["turns"], seconds["steady"], 1.5)
    ]
    new = []
    for size in range(33, 33 + 2 * min(runs, 8), 2):
        start = process_time()
        both(fresh, (size,))()
        new.append(process_time() - start)
    forward = _interleaved({"steady": steady.forward}, runs)["steady"]
    ours, theirs = 1e3 * statistics.median(new), 1e3 * statistics.median(forward)
    return [*rows, ("a size that is new, beside a forward", "8 convolutions", ours, theirs, ours / theirs, "-")]


def _interleaved(calls: Mapping[str, Callable[[], Any]], runs: int) -> dict[str, list[float]]:
    return interleaved(calls, runs, warm=10, clock=process_time)


def _row(what: str, net: str, ours: list[float], theirs: list[float], limit: float) -> tuple[Any, ...]:
    return what, net, 1e3 * float(np.median(ours)), 1e3 * float(np.median(theirs)), ratio(ours, theirs), f"{limit}"
