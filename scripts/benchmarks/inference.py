"""Engines of `keras_caffe.engine` beside OpenCV, ONNX Runtime and OpenVINO on the same net, one a process."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from .load import peak
from .report import table

NETS = ("googlenet", "alexnet", "mobilenet", "resnet50", "squeezenet", "vgg16", "mobilenet_ssd")
OURS = ("auto", "openvino", "onnxruntime", "litert", "tensorflow")
PEERS = ("OpenCV", "ONNX Runtime", "OpenVINO")
LOWER = {"bfloat16": ("openvino", "tensorflow"), "int8": ("openvino", "onnxruntime", "litert")}
"""The engines that compute a lower precision"""
AGREE = 1e-3
"""Greatest difference in float32 from the first row, as a part of the largest value"""
COLUMNS = ("precision, engine", "net", "batch", "ms", "10 %", "90 %", "processor ms", "peak MB", "/ fastest peer")
COLUMNS += ("/ its processor time", "difference")
WARM = 3
Call = Callable[[], Sequence[np.ndarray]]
Found = dict[tuple[str, str], list[dict[str, Any]]]
"""{(precision, engine): what each of its processes measured}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nets", nargs="+", default=NETS, metavar="NET", help="see benchmarks/nets.py")
    parser.add_argument("--batches", nargs="+", type=int, default=(1, 16), metavar="N")
    parser.add_argument("--engines", nargs="+", default=(*OURS, *PEERS), choices=(*OURS, *PEERS), metavar="NAME")
    parser.add_argument("--precisions", nargs="+", default=("float32",), choices=("float32", *LOWER))
    parser.add_argument("--processes", type=int, default=5, help="for each engine, in turn")
    parser.add_argument("--calls", type=int, default=20, help="in each process, one after the other")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--converted",
        type=Path,
        metavar="FOLDER",
        help="folder with NET.onnx files of batch 1 that another tool made, for the peers; default: those of to_onnx",
    )


def measure(args: argparse.Namespace) -> Any:
    rows: list[tuple[Any, ...]] = []
    with TemporaryDirectory() as folder:
        for name in args.nets:
            for batch in args.batches:
                subject = Path(folder, f"{name}-{batch}")
                prepare(name, batch, subject, args.converted)
                found = in_processes(subject, wanted(args.engines, args.precisions), args)
                rows += rows_of(name, batch, found)
    title = f"Inference, {args.threads} threads, medians over {args.processes} processes of {args.calls} calls"
    return table(title, COLUMNS, sorted(rows, key=lambda row: list(("float32", *LOWER)).index(row[0].split(",")[0])))


def wanted(engines: Sequence[str], precisions: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of precision and engine that there are."""
    return [(p, e) for p in precisions for e in engines if p == "float32" or e in (*LOWER[p], "auto")]


def prepare(name: str, batch: int, folder: Path, converted: Path | None) -> None:
    """Writes what all engines read: net.prototxt, net.caffemodel, net.onnx, image.npy."""
    import keras_caffe

    from . import nets, weights

    folder.mkdir()
    net = nets.NETS[name](batch)
    net.name = "net"
    files = weights.write(net, folder)
    other = converted / f"{name}.onnx" if converted and batch == 1 else None
    if other and other.is_file():
        shutil.copy(other, folder / "net.onnx")
    else:
        keras_caffe.to_onnx(*files, folder / "net.onnx", data_format="channels_first")
    shape = tuple(net.layer[0].input_param.shape[0].dim)
    np.save(folder / "image.npy", np.random.default_rng(0).standard_normal(shape, "float32"))


def in_processes(folder: Path, pairs: Sequence[tuple[str, str]], args: argparse.Namespace) -> Found:
    """Runs each engine in processes of its own, in turn, so that what else the machine does meets all of them."""
    found: Found = {pair: [] for pair in pairs}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    for _ in range(args.processes):
        for precision, engine in pairs:
            command = [
                sys.executable,
                "-m",
                "benchmarks.inference",
                folder,
                precision,
                engine,
                args.threads,
                args.calls,
            ]
            done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                said = (done.stderr.strip() or "nothing").splitlines()[-1]
                raise SystemExit(f"{folder.name}: {engine} in {precision} fails: {said}")
            found[precision, engine].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def rows_of(name: str, batch: int, found: Found) -> list[tuple[Any, ...]]:
    """Lines of the table. Raises SystemExit if an engine computes something else in float32."""
    peers = {engine: of(runs, "ms") for (_, engine), runs in found.items() if engine in PEERS}
    fastest = min(peers, key=peers.__getitem__, default=None)
    base = found["float32", fastest] if fastest else None
    reference = next(iter(found.values()))[0]["outputs"]
    rows = []
    for (precision, engine), runs in found.items():
        different = difference(reference, runs[0]["outputs"])
        if precision == "float32" and different > AGREE:
            raise SystemExit(f"{name}: {engine} differs by {different:.2g} of the greatest; nothing to compare.")
        said = f"{precision}, {runs[0]['title']}"
        measured = [of(runs, key) for key in ("ms", "low", "high", "processor", "peak")]
        ratios = [of(runs, key) / of(base, key) if base else "-" for key in ("ms", "processor")]
        rows.append((said, name, str(batch), *measured, *ratios, different))
    return rows


def of(runs: Sequence[Mapping[str, Any]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def difference(wanted: Sequence[Sequence[float]], found: Sequence[Sequence[float]]) -> float:
    """The greatest, as a part of the largest value; the orders of axes may differ where a row of values is one axis."""
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(wanted, found, strict=True)]
    return float(max(np.abs(a - b).max() / np.abs(a).max() for a, b in pairs))


def child(folder: Path, precision: str, engine: str, threads: int, calls: int) -> dict[str, Any]:
    """One process: milliseconds of a call with their quantiles, processor time, memory, and what it computes."""
    image = np.load(folder / "image.npy")
    if engine in PEERS:
        peer = {"OpenCV": _opencv, "ONNX Runtime": _onnxruntime, "OpenVINO": _openvino}[engine]
        call, title = peer(folder, image, threads), engine
    else:
        call, title = _ours(folder, image, precision, engine, threads)
    for _ in range(WARM):
        outputs = call()
    wall, processor = [], []
    for _ in range(calls):
        start = time.perf_counter(), time.process_time()
        call()
        wall.append(1e3 * (time.perf_counter() - start[0]))
        processor.append(1e3 * (time.process_time() - start[1]))
    low, middle, high = np.quantile(wall, (0.1, 0.5, 0.9))
    return {
        "title": title,
        "ms": middle,
        "low": low,
        "high": high,
        "processor": statistics.median(processor),
        "peak": peak() / 2**20,
        "outputs": [one.ravel()[:1000].tolist() for one in outputs],
    }


def _ours(folder: Path, image: np.ndarray, precision: str, engine: str, threads: int) -> tuple[Call, str]:
    import tensorflow as tf

    import keras_caffe

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras_caffe.load(folder / "net.prototxt", folder / "net.caffemodel", data_format="channels_last")
    x = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
    calibration = x[:1] if precision == "int8" else None
    names = sorted(model.net.values[value].blob for value in model.net.outputs)
    made = keras_caffe.engine(
        model, engine, precision=precision, threads=threads, calibration=calibration, outputs=names, cache=False
    )
    title = f"engine({engine!r})" + (f": {made.name}" if engine == "auto" else "")
    return lambda: list(made(x).values()), title


def _opencv(folder: Path, image: np.ndarray, threads: int) -> Call:
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromCaffe(str(folder / "net.prototxt"), str(folder / "net.caffemodel"))
    names = sorted(net.getUnconnectedOutLayersNames())

    def call() -> list[np.ndarray]:
        net.setInput(image)
        return list(net.forward(names))

    return call


def _onnxruntime(folder: Path, image: np.ndarray, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(folder / "net.onnx"), options, providers=["CPUExecutionProvider"])
    names, given = sorted(output.name for output in session.get_outputs()), session.get_inputs()[0].name
    return lambda: session.run(names, {given: image})


def _openvino(folder: Path, image: np.ndarray, threads: int) -> Call:
    import openvino

    core = openvino.Core()
    net = core.read_model(str(folder / "net.onnx"))
    net.reshape(list(image.shape))
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(net, "CPU", settings)
    outputs = sorted(compiled.outputs, key=lambda output: output.get_any_name())

    def call() -> list[np.ndarray]:
        found = compiled([image])
        return [found[output] for output in outputs]

    return call


if __name__ == "__main__":
    folder, precision, engine, threads, calls = sys.argv[1:]
    print(json.dumps(child(Path(folder), precision, engine, int(threads), int(calls))))
