"""Trained networks, written in one format and run by the engines of that format beside what real Caffe computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tests.doors.cases import Outcome, Written, attempted, ran
from tests.doors.engines import Arrays, Door
from tests.golden_models import load, variants
from tests.shared_goldens import MODELS

RUNS = {"first": "", "second": "b2/"}
"""Caffe's two runs of each net, of one picture and of two, for some nets of another size; prefixes in the file"""


@dataclass(frozen=True)
class Trained:
    """One run of a trained net.

    Args:
        kind: the net.
        name: "first" or "second".
        folder, files: where its files are.
    """

    kind: str
    name: str
    folder: Path
    files: Mapping[str, str]

    @cached_property
    def arrays(self) -> Mapping[str, np.ndarray]:
        with np.load(self.folder / self.files["golden"]) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def group(self, kind: str) -> dict[str, np.ndarray]:
        """The "input" or "output" arrays of the run."""
        start = f"{RUNS[self.name]}{kind}/"
        return {name.removeprefix(start): a for name, a in self.arrays.items() if name.startswith(start)}

    def model(self, opened: bool):
        """The net for pictures of the run's size, one at a time; the first run's if sizes are open anyway."""
        asked = Trained(self.kind, "first", self.folder, self.files) if opened else self
        paths = self.folder / self.files["prototxt"], self.folder / self.files["weights"]
        return load(*paths, "channels_first", {name: a[:1] for name, a in asked.group("input").items()})


def trained(nets: Sequence[str] | None) -> Iterator[Trained]:
    """Both runs of each net, or of those named."""
    for name, files in variants():
        kind = name if files["golden"] == "golden.npz" else files["golden"].removeprefix("golden_").removesuffix(".npz")
        if not nets or kind in nets:
            yield from (Trained(kind, run, MODELS / name, files) for run in RUNS)


def outcomes(case: Trained, format: str, opened: bool, doors: Sequence[Door], folder: Path) -> dict[str, Outcome]:
    """{door: what came of the run}; all doors are for this format."""

    def run(written: Written) -> dict[str, Outcome]:
        return {door.name: ran(_each(door) if format == "tflite" else door, written) for door in doors}

    return attempted(lambda: _written(case, format, opened, folder), run, doors)


def _written(case: Trained, format: str, opened: bool, folder: Path) -> Written | None:
    """The file; None if it is that of fixed sizes, or takes single pictures where the net makes one answer of two."""
    fed, wanted = case.group("input"), case.group("output")
    if opened and (format == "tflite" or any(array.ndim != 4 for array in fed.values())):
        return None
    count = len(next(iter(fed.values())))
    if format == "tflite" and not all(len(array) == count or _are_detections(array) for array in wanted.values()):
        return None
    path = WRITERS[format](case.model(opened), folder, list(wanted), opened)
    return Written(path, fed, wanted)


def _onnx(model, folder: Path, outputs: list[str], opened: bool) -> Path:
    import keras_caffe

    return keras_caffe.to_onnx(model, folder / "net.onnx", outputs=outputs, dynamic=opened)


def _openvino(model, folder: Path, outputs: list[str], opened: bool) -> Path:
    from keras_caffe.engines.ir import write_openvino
    from keras_caffe.onnx.export import Settings

    write_openvino(model, folder / "net.xml", Settings(outputs, opened), None)
    return folder / "net.xml"


def _saved_model(model, folder: Path, outputs: list[str], opened: bool) -> Path:
    import keras_caffe

    return keras_caffe.export(model, folder / "saved", outputs=outputs, dynamic=opened, warm_up=False)


def _tflite(model, folder: Path, outputs: list[str], opened: bool) -> Path:
    from keras_caffe.serving import to_tflite

    return to_tflite(model, folder / "net.tflite", outputs=outputs)


WRITERS: Mapping[str, Callable[..., Path]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "savedmodel": _saved_model,
    "tflite": _tflite,
}


def _each(door: Door) -> Door:
    """The door for files of one picture, which takes several one after the other."""

    def run(file: Path, fed: Arrays, names: Sequence[str]) -> dict[str, np.ndarray]:
        count = len(next(iter(fed.values())))
        found = [door.run(file, {name: a[i : i + 1] for name, a in fed.items()}, names) for i in range(count)]
        return {name: _joined([one[name] for one in found]) for name in names}

    return door._replace(run=run)


def _are_detections(array: np.ndarray) -> bool:
    return array.shape[:2] == (1, 1) and array.shape[3:] == (7,)


def _joined(found: Sequence[np.ndarray]) -> np.ndarray:
    """What comes of several pictures; rows of detections, (1, 1, K, 7), begin with the picture's number."""
    if not _are_detections(found[0]):
        return np.concatenate(found)
    for number, rows in enumerate(found):
        rows[..., 0] = np.where(rows[..., 0] < 0, rows[..., 0], number)
    return np.concatenate(found, axis=2)
