"""The benchmark of engines: one a process, in turn, beside peers; numbers that differ are not compared."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import pytest

from scripts.benchmarks import inference


def settings(line: str) -> Namespace:
    parser = ArgumentParser()
    inference.add_arguments(parser)
    return parser.parse_args(line.split())


def told(ms: float, outputs: Any = ((1.0, 2.0),), title: str = "") -> dict[str, Any]:
    return {
        "title": title,
        "ms": ms,
        "low": ms / 2,
        "high": 2 * ms,
        "processor": 2 * ms,
        "peak": 100.0,
        "outputs": outputs,
    }


def test_rows_are_medians_beside_the_fastest_peer() -> None:
    found = {
        ("float32", "auto"): [told(ms, title="engine('auto'): litert") for ms in (3.0, 1.0, 2.0)],
        ("float32", "OpenCV"): [told(8.0, title="OpenCV")],
        ("float32", "OpenVINO"): [told(4.0, title="OpenVINO")],
        ("int8", "openvino"): [told(1.0, [[1.0, 1.5]], "engine('openvino')")],
    }
    rows = inference.rows_of("lenet", 1, found)
    assert rows[0] == ("float32, engine('auto'): litert", "lenet", "1", 2.0, 1.0, 4.0, 4.0, 100.0, 0.5, 0.5, 0.0)
    assert [row[8] for row in rows] == [0.5, 2.0, 1.0, 0.25]
    assert rows[3][-1] == 0.25 and len(rows[0]) == len(inference.COLUMNS)


def test_other_numbers_are_not_compared() -> None:
    found = {("float32", "auto"): [told(1.0)], ("float32", "OpenCV"): [told(1.0, [[1.0, 2.1]])]}
    with pytest.raises(SystemExit, match="net: OpenCV differs by 0.05"):
        inference.rows_of("net", 1, found)


def test_lower_precisions_have_their_own_engines() -> None:
    pairs = inference.wanted(["auto", "openvino", "litert", "OpenCV"], ["float32", "bfloat16", "int8"])
    lower = [("bfloat16", "auto"), ("bfloat16", "openvino"), ("int8", "auto"), ("int8", "openvino"), ("int8", "litert")]
    assert pairs == [("float32", name) for name in ("auto", "openvino", "litert", "OpenCV")] + lower


def test_engines_run_in_processes_of_their_own() -> None:
    for package in ("onnxruntime", "openvino"):
        pytest.importorskip(package, reason="the engines of the benchmark are not all there")
    small = "--nets lenet --batches 2 --processes 1 --calls 2 --threads 1 --engines onnxruntime OpenVINO"
    made = inference.measure(settings(small))
    cells = {column.header: list(column.cells) for column in made.columns}
    assert cells["precision, engine"] == ["float32, engine('onnxruntime')", "float32, OpenVINO"]
    assert cells["/ fastest peer"][1] == "1" and all(float(ms) > 0 for ms in cells["ms"])


def test_an_engine_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"OpenVINO in float32 fails: .*image\.npy"):
        inference.in_processes(tmp_path, [("float32", "OpenVINO")], settings("--processes 1"))
