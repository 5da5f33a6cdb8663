"""Reading a database as a data layer does, beside a NumPy loop and beside decoding alone; images a second."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

COLUMNS = ("what", "images/s", "/ first row", "processor µs/image", "first row / it")
SIDE, CROP, BATCH = 256, 227, 64
MEAN, SCALE = (104.0, 117.0, 123.0), 0.0078125
NET = """layer {{ name: "data" type: "Data" top: "data" top: "label"
  transform_param {{ crop_size: 227 mirror: true {} scale: 0.0078125 }}
  data_param {{ source: "{}" batch_size: 64 backend: LMDB }} }}"""
AHEAD = 12  # batches that may be ready when the clock starts
REST = 0.3  # seconds in which the batches ahead are made, so that a row's processor time is its own

Batches = Iterator[Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=1024, help="in the database")
    parser.add_argument("--batches", type=int, default=48, help="that are timed in each round")
    parser.add_argument("--runs", type=int, default=7, help="rounds; the rows take turns")
    parser.add_argument("--encoded", action="store_true", help="JPEG records instead of raw ones")


def measure(args: argparse.Namespace) -> Any:
    from keras_caffe.data import write

    from .report import table

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "lmdb"
        values = [datum(number, args.encoded) for number in range(args.records)]
        write(source, ((b"%08d" % number, value) for number, value in enumerate(values)))
        made = decoders(values) if args.encoded else loops(values)
        rows = {name: batches for name, batches in [*made.items(), *readers(source).items()]}
        seconds = rounds(rows, args.batches, args.runs)
        reader = next(iter(readers(source).values()))
        grown = [memory(reader, 10 * args.records // BATCH) for _ in range(3)][-1]
    found = list(lines(seconds, args.batches * BATCH))
    kind = "JPEG" if args.encoded else "raw"
    title = f"{args.records} {kind} records 3 x {SIDE} x {SIDE}, crop {CROP}, mirror, mean, scale, batches of {BATCH}"
    return table(f"{title}; memory grows by {grown / 2**20:.0f} MiB over 10 epochs", COLUMNS, found)


def lines(seconds: dict[str, list[tuple[float, float]]], images: int) -> Iterator[tuple[Any, ...]]:
    """A row of the table for each reader, from the seconds that passed and those of the processor in each round."""
    first = [list(each) for each in zip(*next(iter(seconds.values())), strict=True)]
    for name, rounds_of_it in seconds.items():
        passed, used = (list(each) for each in zip(*rounds_of_it, strict=True))
        rate, cost = images / statistics.median(passed), 1e6 * statistics.median(used) / images
        yield name, rate, ratio(first[0], passed), cost, ratio(first[1], used)


def datum(number: int, encoded: bool) -> bytes:
    """A record: noise, or a JPEG of a smooth picture with a little noise."""
    import tensorflow as tf

    from keras_caffe import proto

    random = np.random.default_rng(number)
    if not encoded:
        pixels = random.integers(0, 256, 3 * SIDE * SIDE, dtype=np.uint8).tobytes()
        return proto.Datum(channels=3, height=SIDE, width=SIDE, label=number, data=pixels).SerializeToString()
    small = random.integers(0, 256, (24, 24, 3)).astype("float32")
    picture = tf.image.resize(small, (SIDE, SIDE), "bicubic").numpy() + random.integers(-12, 13, (SIDE, SIDE, 3))
    data = tf.io.encode_jpeg(picture.clip(0, 255).astype("uint8"), quality=90).numpy()
    return proto.Datum(label=number, data=data, encoded=True).SerializeToString()


def loops(values: list[bytes]) -> dict[str, Batches]:
    """One thread that parses each Datum and writes it, transformed, into a batch (N, C, H, W)."""
    memory = np.empty((BATCH, 3, CROP, CROP), np.float32)
    return {
        "NumPy loop, new memory each batch": loop(values, lambda: np.empty_like(memory)),
        "NumPy loop, the same memory": loop(values, lambda: memory),
    }


def loop(values: list[bytes], memory: Callable[[], np.ndarray]) -> Batches:
    from keras_caffe.data.datum import parse

    random, mean, scale = np.random.default_rng(0), np.array(MEAN, np.float32)[:, None, None], np.float32(SCALE)
    number = 0
    while True:
        batch = memory()
        for out in batch:
            image = parse(values[number % len(values)]).pixels()
            number += 1
            top, left = random.integers(0, SIDE - CROP + 1, 2)
            window = image[:, top : top + CROP, left : left + CROP]
            out[...] = window[:, :, ::-1] if random.integers(2) else window
            out -= mean
            out *= scale
        yield batch


def decoders(values: list[bytes]) -> dict[str, Batches]:
    """tf.io.decode_jpeg in parallel, and nothing else."""
    import tensorflow as tf

    from keras_caffe.data.datum import parse

    files = tf.data.Dataset.from_tensor_slices([bytes(parse(value).data) for value in values]).repeat()

    def decode(data: Any) -> Any:
        return tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE")

    decoded = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return {"tf.io.decode_jpeg, batches of uint8": iter(decoded.batch(BATCH).prefetch(4))}


def readers(source: Path) -> dict[str, Batches]:
    """The layer with three mean values, and with a mean image below central and below drawn windows."""
    from keras_caffe.data import dataset

    image = f'mean_file: "{_mean_file(source.parent)}"'
    values = " ".join(f"mean_value: {value:g}" for value in MEAN)
    kinds = {
        "mean values": (values, "TRAIN"),
        "mean image, TEST": (image, "TEST"),
        "mean image, TRAIN": (image, "TRAIN"),
    }
    return {
        f"{kind}, {data_format}": iter(dataset(NET.format(mean, source), phase, seed=0, data_format=data_format))
        for kind, (mean, phase) in kinds.items()
        for data_format in ("channels_first", "channels_last")
    }


def _mean_file(folder: Path) -> Path:
    from keras_caffe import proto

    blob = proto.BlobProto(shape={"dim": [1, 3, SIDE, SIDE]})
    blob.data.extend(np.random.default_rng(1).uniform(90, 130, 3 * SIDE * SIDE).tolist())
    file = folder / "mean.binaryproto"
    file.write_bytes(blob.SerializeToString())
    return file


def ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def rounds(rows: dict[str, Batches], count: int, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds that pass, and those of the processor, while each row gives `count` batches, in each round."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(runs):
        for name, batches in rows.items():
            time.sleep(REST)
            used = process_time()
            for _ in range(AHEAD):
                next(batches)
            start = perf_counter()
            for _ in range(count):
                next(batches)
            passed = perf_counter() - start
            time.sleep(REST)
            seconds[name].append((passed, (process_time() - used) * count / (AHEAD + count)))
    return seconds


def memory(batches: Batches, count: int) -> int:
    """By how many bytes the process's own memory grows while `count` batches are read."""
    for _ in range(AHEAD):
        next(batches)
    before = _resident()
    for _ in range(count):
        next(batches)
    return _resident() - before


def _resident() -> int:
    """The process's memory without that of mapped files."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024
