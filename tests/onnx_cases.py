"""Goldens of layers, written as ONNX without a model and run by ONNX Runtime."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from keras_caffe.errors import CaffeWarning, ExportError
from keras_caffe.onnx.export import Settings, write_subject
from keras_caffe.onnx.subject import Subject, of_files
from keras_caffe.shapes import known
from tests.layers.golden_case import Golden, assert_close, cases

needs_onnx = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxruntime"))), reason="onnx and onnxruntime are not there (extra `onnx`)"
)


def golden_subject(case: Golden) -> Subject:
    """A case's net with the case's parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)  # Some cases are unusual on purpose.
        subject = of_files(case.text, None, {"phase": "TRAIN" if case.training else "TEST", "fork": case.fork})
    blobs = [list(arrays) for arrays in subject.blobs]
    for (node, index), array in zip(_slots(case, subject), case.group("param").values(), strict=True):
        blobs[node][index] = array
    by_name = {node.name: node.index for node in subject.plan.net.nodes}
    for index, array in case.group("bottom").items():
        node = by_name.get(f"in{index}", -1)
        if node in subject.plan.layers:  # a Parameter stands in for an input
            blobs[node][0] = array
    for (node, index), (owner, owned) in subject.plan.owners.items():
        blobs[node][index] = np.reshape(blobs[owner][owned], subject.plan.blobs(node)[index].shape)
    return replace(subject, blobs=blobs)


def _slots(case: Golden, subject: Subject) -> Iterator[tuple[int, int]]:
    """(node, blob) of each `param/<i>`, in order."""
    nodes, inputs = subject.plan.net.nodes, {f"in{index}" for index in case.group("bottom")}
    if "param_names" in case.arrays:
        by_name = {node.name: node.index for node in reversed(nodes)}
        pairs = (str(name).rsplit(":", 1) for name in case.arrays["param_names"])
        yield from ((by_name[layer], int(index)) for layer, index in pairs)
        return
    for node in nodes:
        if node.name not in inputs:
            yield from ((node.index, index) for index in range(len(subject.plan.blobs(node.index))))


def top_names(case: Golden, subject: Subject) -> list[str]:
    """The last layer's tops; where the case has more tops, also those of the layers before it."""
    if "tops" in case.arrays:
        return [str(name) for name in case.arrays["tops"]]
    names: list[str] = []
    for node in reversed(subject.plan.net.nodes):
        if not names or len(names) < len(case.group("top")):
            names = [*node.outputs, *names]
    return names


def run(file: Path, fed: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
    """What ONNX Runtime computes; inputs of the file that are not fed are zeros in the shape that they state."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    asked = {i.name: fed[i.name].astype("float32") for i in session.get_inputs()}
    return session.run(names, asked)


def problems(
    kind: str,
    folder: Path,
    wanted: Callable[[Golden], bool],
    *,
    opened: bool = False,
    every: int = 1,
    refusals: Sequence[str] = (),
) -> list[str]:
    """What is wrong with the cases of a kind that are wanted.

    Args:
        kind: of goldens.
        folder: the working directory.
        wanted: which cases.
        every: take each so many-th case only.
        opened: leave height and width open; cases where no size can be open are left out.
        refusals: cases that are refused in one of these words are left out.
    """
    import onnx

    found = []
    for case in (case for case in list(cases(kind))[::every] if case.compares and wanted(case)):
        for key, content in case.arrays.items():
            if key.startswith("file/"):
                (folder / key.removeprefix("file/")).write_bytes(content.tobytes())
        subject = golden_subject(case)
        names = top_names(case, subject)
        if not names or (opened and (subject := opened_images(subject)) is None):
            continue
        file = folder / "net.onnx"
        try:
            write_subject(subject, file, Settings(outputs=names))
        except ExportError as error:
            if not any(words in str(error) for words in refusals):
                raise
            continue
        onnx.checker.check_model(str(file), full_check=True)
        fed = {f"in{i}": array for i, array in case.group("bottom").items()}
        fed |= {name: np.zeros(known(shape)) for name, shape in subject.shapes.items() if name not in fed}
        tops = run(file, fed, names)
        try:
            for index, want in case.group("top").items():
                assert_close(case, tops[index], want, f"top {index}")
        except AssertionError as error:
            found.append(str(error))
    return found


def opened_images(subject: Subject) -> Subject | None:
    """The net with open sizes; None if it has none that could be, or if the caller cannot tell them."""
    after = subject.opened()
    changed = [name for name, shape in after.shapes.items() if shape != subject.shapes[name]]
    return after if changed and all(name.startswith("in") for name in changed) else None


def same_in_training(case: Golden) -> bool:
    """Whether what the case computes does not depend on its phase: an export computes as in inference."""
    if not case.training:
        return True
    stored = re.search(r"use_global_stats: true", case.text) and case.fork != "nvidia"  # which does not heed it
    statistics = "BatchNorm" in case.types and not stored
    return not statistics and not case.types & {"Dropout", "BN", "LabelSpecificAdd"} and "STOCHASTIC" not in case.text
