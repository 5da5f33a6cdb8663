"""Exported models beside OpenCV's importer, ONNX Runtime and OpenVINO, on the same net in the same run."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table

from .report import ratio, table

NETS = ("googlenet", "alexnet", "mobilenet", "resnet50", "squeezenet", "vgg16", "mobilenet_ssd")
ENGINES = {"ours": "SavedModel", "opencv": "OpenCV", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
AGREE = 1e-3
PAUSE = 0.02  # Seconds in which an engine's threads, which wait for more work for a while, come to rest.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nets", nargs="+", default=NETS, metavar="NET", help="see benchmarks/nets.py")
    parser.add_argument("--batches", nargs="+", type=int, default=(1, 16), metavar="N")
    parser.add_argument(
        "--runs", type=int, default=15, help="rounds; each engine's turn in a round is two calls, the second counts"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dynamic", action="store_true", help="export with open height and width")


def measure(args: argparse.Namespace) -> Table:
    set_threads(args.threads)
    rows = []
    for name in args.nets:
        for batch in args.batches:
            with TemporaryDirectory() as folder:
                rows.append(row(name, batch, args, Path(folder)))
    columns = ("net", "batch", *(f"{title} ms" for title in ENGINES.values()), "SavedModel / fastest", "transposes")
    return table(f"Inference, {args.threads} threads, medians of {args.runs} interleaved rounds", columns, rows)


def set_threads(count: int) -> None:
    import cv2
    import tensorflow as tf

    cv2.setNumThreads(count)
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def row(name: str, batch: int, args: argparse.Namespace, folder: Path) -> tuple[Any, ...]:
    calls, transposes = engines(name, batch, args, folder)
    check(name, {engine: call() for engine, call in calls.items()})
    seconds = in_turn(calls, args.runs)
    medians = [1e3 * statistics.median(seconds[engine]) for engine in ENGINES]
    fastest = min((engine for engine in ENGINES if engine != "ours"), key=lambda e: statistics.median(seconds[e]))
    return name, str(batch), *medians, ratio(seconds["ours"], seconds[fastest]), str(transposes)


def engines(
    name: str, batch: int, args: argparse.Namespace, folder: Path
) -> tuple[dict[str, Callable[[], list[np.ndarray]]], int]:
    """What is timed, each with NumPy arrays in its own order of axes; and our number of transposes."""
    import keras_caffe
    from keras_caffe.serving import export, to_onnx

    from . import nets, weights

    files = weights.write(nets.NETS[name](batch), folder)
    model = keras_caffe.load(*files, data_format="channels_last")
    image = np.random.default_rng(0).standard_normal(model.caffe_shapes["data"], "float32")
    path = export(model, folder / "net", dynamic=args.dynamic, warm_up=False)
    onnx = to_onnx(model, folder / "net.onnx", data_format="channels_first")
    outputs = [model.net.values[value].blob for value in model.net.outputs]
    calls = {
        "ours": _saved_model(path, image),
        "opencv": _opencv(files, image, outputs),
        "onnxruntime": _onnxruntime(onnx, image, args.threads),
        "openvino": _openvino(onnx, image, args.threads),
    }
    return calls, _transposes(path)


def _saved_model(path: Path, image: np.ndarray) -> Callable[[], list[np.ndarray]]:
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    fed = np.ascontiguousarray(image.transpose(0, 2, 3, 1))

    def call() -> list[np.ndarray]:
        found = serve(data=tf.constant(fed))
        return [found[name].numpy() for name in sorted(found)]

    return call


def _opencv(files: Sequence[Path], image: np.ndarray, outputs: Sequence[str]) -> Callable[[], list[np.ndarray]]:
    import cv2

    net = cv2.dnn.readNetFromCaffe(*map(str, files))

    def call() -> list[np.ndarray]:
        net.setInput(image)
        return list(net.forward(sorted(outputs)))

    return call


def _onnxruntime(file: Path, image: np.ndarray, threads: int) -> Callable[[], list[np.ndarray]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = sorted(output.name for output in session.get_outputs())
    return lambda: session.run(names, {"data": image})


def _openvino(file: Path, image: np.ndarray, threads: int) -> Callable[[], list[np.ndarray]]:
    import openvino

    core = openvino.Core()
    net = core.read_model(str(file))
    net.reshape(list(image.shape))
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(net, "CPU", settings)
    outputs = sorted(compiled.outputs, key=lambda output: output.get_any_name())

    def call() -> list[np.ndarray]:
        found = compiled([image])
        return [np.array(found[output]) for output in outputs]

    return call


def _transposes(path: Path) -> int:
    import json

    card = json.loads((path / "model_card.json").read_text())
    return int(card["operations"]["serving_default"].get("Transpose", 0))


def check(name: str, outputs: Mapping[str, Sequence[np.ndarray]]) -> None:
    """All engines must give the same numbers; ours come last channel last, which softmax's sums do not change."""
    for engine, found in outputs.items():
        for mine, theirs in zip(outputs["ours"], found, strict=True):
            difference = np.abs(mine.ravel() - theirs.ravel()).max() / np.abs(mine).max()
            if difference > AGREE:
                raise SystemExit(f"{name}: {engine} differs by {difference:.2g} of the greatest; nothing to compare.")


def in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each engine, round by round: a rest, one call to come up to speed, and one that counts."""
    seconds: dict[str, list[float]] = {engine: [] for engine in calls}
    for _ in range(rounds):
        for engine, times in turns(calls):
            seconds[engine].append(times)
    return seconds


def turns(calls: Mapping[str, Callable[[], Any]]) -> Iterator[tuple[str, float]]:
    for engine, call in calls.items():
        time.sleep(PAUSE)
        call()
        start = time.perf_counter()
        call()
        yield engine, time.perf_counter() - start
