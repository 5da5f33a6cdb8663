"""What the pages of the documents tell a reader to run, and a folder with the files that they name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_caffe import load, samples, save
from keras_caffe.data import write
from keras_caffe.pycaffe import io
from tests.shared_goldens import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$|^    (?:\$ )?(keras-caffe [^\n]*)$", re.MULTILINE | re.DOTALL)
USAGE = re.compile(r"[A-Z]{2,}|\[|\.\.\.|\|")  # the command stands for many

LAYERS = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc7" type: "InnerProduct" bottom: "pool2" top: "fc7"
  inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "fc8" type: "InnerProduct" bottom: "fc7" top: "fc8"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
"""
DEPLOY = f"""force_backward: true
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: [2, 3, 227, 227] }} }} }}
{LAYERS}
layer {{ name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }}
"""
TRAIN_VAL = f"""
layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ scale: 0.01 crop_size: 28 }}
  data_param {{ source: "train_lmdb" batch_size: 4 backend: LMDB }} }}
{LAYERS}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
"""
SOLVER = """net: "train_val.prototxt" test_net: "train_val.prototxt" test_iter: 1
base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 8 test_iter: 1
test_interval: 4 snapshot_prefix: "snapshot"
"""


class Item(NamedTuple):
    """A block of code or a command of a page.

    Args:
        language: of a block; "command" of a command, "usage" of a pattern of commands.
        text: its text.
        line: where it stands.
    """

    language: str
    text: str
    line: int


def items(page: str) -> list[Item]:
    """The blocks and commands of a page, in its order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        language, block, command = match.groups()
        kind = language or ("usage" if USAGE.search(command.partition(" #")[0]) else "command")
        found.append(Item(kind, block or command, text[: match.start()].count("\n") + 1))
    return found


def pages() -> list[str]:
    """The pages that tell a reader to run something, but tutorials, which scripts/generate_tutorials.py runs."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    names = [str(path.relative_to(ROOT)) for path in paths]
    return [name for name in names if {item.language for item in items(name)} & {"python", "command", "usage"}]


def write_files(folder: Path, database: bool) -> None:
    """The files that the pages name, small; with the database that `train_val.prototxt` reads, or without."""
    from PIL import Image

    for name in ("lenet.prototxt", "lenet.caffemodel"):
        shutil.copy(samples.path(name), folder)
    for name in ("deploy", "net", "a", "b"):
        (folder / f"{name}.prototxt").write_text(DEPLOY)
    (folder / "theirs").mkdir()
    for name in ("train_val.prototxt", "theirs/train_val.prototxt"):
        (folder / name).write_text(TRAIN_VAL)
    for name in ("solver.prototxt", "lenet_solver.prototxt", "theirs/solver.prototxt"):
        (folder / name).write_text(SOLVER)
    for name in ("a", "net", "weights", "trained", "old", "new"):
        save(load(DEPLOY), caffemodel=folder / f"{name}.caffemodel")
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (8, 40, 40, 3), "uint8")
    for number, picture in enumerate(pictures):
        for place in (f"photos/{'ab'[number % 2]}/{number}.jpg", f"pictures/{number}.jpg"):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / place)
    shutil.copy(folder / "pictures" / "0.jpg", folder / "cat.jpg")
    (folder / "train.txt").write_text("".join(f"{'ab'[n % 2]}/{n}.jpg {n % 2}\n" for n in range(8)))
    (folder / "synset_words.txt").write_text("".join(f"n{n} thing {n}\n" for n in range(5)))
    (folder / "digits.txt").write_text("".join(f"{n}\n" for n in range(10)))
    for name in ("first", "second"):
        (folder / f"{name}.log").write_text("Iteration 0, loss = 2\nIteration 10, loss = 1\n")
    np.save(folder / "inputs.npy", random.uniform(-100, 100, (4, 227, 227, 3)).astype("float32"))
    np.savez(folder / "mnist_test.npz", **dict(zip(("images", "labels"), samples.digits(), strict=True)))
    np.savez(folder / "blobs.npz", data=np.zeros((2, 3, 227, 227), "float32"), prob=np.full((2, 5), 0.2, "float32"))
    if database:
        data = [io.array_to_datum(picture.transpose(2, 0, 1), n % 2) for n, picture in enumerate(pictures)]
        write(folder / "train_lmdb", [(b"%08d" % n, datum.SerializeToString()) for n, datum in enumerate(data)])
        shutil.copytree(folder / "train_lmdb", folder / "theirs" / "train_lmdb")
