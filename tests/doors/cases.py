"""One golden case, written in one format and run by the engines of that format."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_caffe.errors import CaffeError
from keras_caffe.shapes import known
from tests.doors.engines import Arrays, Crash, Door
from tests.layers.golden_case import KINDS, Golden, Run, cases
from tests.onnx_cases import golden_subject, opened_images, same_in_training, top_names

TOLERANCE = 1e-4
"""Of a top's largest value, as `keras-caffe export` has it"""


class Outcome(NamedTuple):
    """What came of it: "holds", "wrong", "refused" by the export, "declined" by the engine, "crash" or "no sizes"."""

    what: str
    why: str = ""


def chosen(types: Sequence[str] | None, count: int, first: int = 0) -> Iterator[Golden]:
    """Some golden cases of each type, evenly spread from the `first` on, of those that are about numbers."""
    for kind in KINDS:
        if types and kind.partition("_")[0] not in types:
            continue
        there = [case for case in cases(kind) if case.compares and same_in_training(case)]
        yield from there[first % max(1, len(there)) :: max(1, -(-len(there) // count))]


class Written(NamedTuple):
    """A file, what it is fed, and what it should give."""

    path: Path
    fed: Arrays
    wanted: Mapping[str, np.ndarray]


def outcomes(case: Golden, format: str, opened: bool, doors: Sequence[Door], folder: Path) -> dict[str, Outcome]:
    """{door: what came of the case}; all doors are for this format."""
    for key, content in case.arrays.items():
        if key.startswith("file/"):
            (folder / key.removeprefix("file/")).write_bytes(content.tobytes())
    return attempted(
        lambda: WRITERS[format](case, opened, folder),
        lambda written: {door.name: ran(door, written) for door in doors},
        doors,
    )


def attempted(
    write: Callable[[], Written | None], run: Callable[[Written], dict[str, Outcome]], doors: Sequence[Door]
) -> dict[str, Outcome]:
    """{door: what came of it}: of the export for all of them, or of each engine's run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            written = write()
        except CaffeError as error:
            return dict.fromkeys((door.name for door in doors), Outcome("refused", _refusal(error)))
        except Exception as error:  # what an export must not raise
            return dict.fromkeys((door.name for door in doors), Outcome("crash", _line(error)))
        if written is None:
            return dict.fromkeys((door.name for door in doors), Outcome("no sizes"))
        return run(written)


def ran(door: Door, written: Written) -> Outcome:
    try:
        found = door.run(written.path, written.fed, list(written.wanted))
    except Crash as crash:
        return Outcome("crash", str(crash))
    except Exception as error:  # whatever an engine raises
        return Outcome("declined", _line(error))
    differences = [_difference(found[name], want) for name, want in written.wanted.items()]
    wrong = next(filter(None, differences), None)
    return Outcome("wrong", wrong) if wrong else Outcome("holds")


def _refusal(error: CaffeError) -> str:
    return f"{error.problem}: {error.received}" if "converter" in error.problem else error.problem


def _line(error: Exception) -> str:
    """The part of a message that says why: OpenCV's innermost error, the last line of others."""
    text = re.split(r"OpenCV\(.*?\) \S+ error: ", str(error))[-1].split("in function '")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0 if "OpenCV(" in str(error) else -1][:300]


def _difference(got: Any, want: np.ndarray) -> str | None:
    got = np.asarray(got, "float64")
    if got.size != want.size:
        return f"shape {got.shape}, Caffe has {want.shape}"
    got = got.reshape(want.shape)  # OpenCV has no arrays without axes
    finite = np.abs(want[np.isfinite(want)])
    most = TOLERANCE * max(1e-3, float(finite.max(initial=0)))
    if np.allclose(got, want, rtol=0, atol=most, equal_nan=True):
        return None
    return f"differs by {np.nanmax(np.abs(got - want)):.2g}, the largest value is {finite.max(initial=0):.2g}"


def _fed(case: Golden) -> dict[str, np.ndarray]:
    return {f"in{i}": np.array(array, "float32", order="C") for i, array in case.group("bottom").items()}


def _wanted(case: Golden, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {names[index]: array for index, array in case.group("top").items()}


def _onnx(case: Golden, opened: bool, folder: Path) -> Written | None:
    from keras_caffe.onnx.export import Settings, write_subject

    subject = golden_subject(case)
    names = top_names(case, subject)
    wanted = _wanted(case, names)
    if not wanted or (opened and (subject := opened_images(subject)) is None):
        return None
    file = folder / "net.onnx"
    write_subject(subject, file, Settings(outputs=list(wanted)))
    given = _fed(case)
    declared = {name: shape for name, shape in subject.shapes.items() if name in _inputs(file)}
    fed = {name: given[name] if name in given else np.zeros(known(s), "float32") for name, s in declared.items()}
    return Written(file, fed, wanted)


def _inputs(file: Path) -> set[str]:
    """What the file is fed: layers that look at sizes alone need no values."""
    import onnx

    return {one.name for one in onnx.load(str(file)).graph.input}


def _saved_model(case: Golden, opened: bool, folder: Path) -> Written | None:
    import keras_caffe

    run = Run(case, "channels_first")
    wanted = _wanted(case, run.top_names)
    if not wanted or (opened and not any(array.ndim == 4 for array in case.group("bottom").values())):
        return None
    path = keras_caffe.export(run.model, folder / "saved", outputs=list(wanted), dynamic=opened, warm_up=False)
    return Written(path, {name: np.array(x) for name, x in run.fed(case.group("bottom")).items()}, wanted)


def _tflite(case: Golden, opened: bool, folder: Path) -> Written | None:
    """TFLite files have a batch of 1, where the net allows that: the model says what comes of the first image."""
    if opened:
        return None
    from keras_caffe.runtimes.litert import LiteRt
    from keras_caffe.serving.tflite import to_tflite

    run = Run(case, "channels_first")
    wanted = _wanted(case, run.top_names)
    if not wanted:
        return None
    file = to_tflite(run.model, folder / "net.tflite", outputs=list(wanted))
    fed = {name: np.array(x) for name, x in run.fed(case.group("bottom")).items()}
    first = {name: fed[name][: sizes[0]] if sizes else fed[name] for name, sizes in LiteRt(file).inputs.items()}
    if any(first[name].shape != fed[name].shape for name in first):
        computed = run.model.extract(list(wanted))(first, training=False)
        wanted = {name: np.asarray(computed[name]) for name in wanted}
    return Written(file, first, wanted)


WRITERS: Mapping[str, Callable[[Golden, bool, Path], Written | None]] = {
    "onnx": _onnx,
    "savedmodel": _saved_model,
    "tflite": _tflite,
}
