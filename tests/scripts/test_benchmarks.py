"""The nets that are measured are the published ones, their weights real files, their tables Markdown."""

from __future__ import annotations

import io
from argparse import Namespace

import numpy as np
import pytest
from rich.console import Console

import keras_caffe
from keras_caffe import proto
from keras_caffe.converters.graph import graph
from keras_caffe.converters.infer import infer
from scripts.benchmarks import forward, load, nets, page, report, weights

LEARNED = {  # learned values, as published; statistics are not among them
    "lenet": 431_080,
    "cifar10_full": 89_578,
    "alexnet": 60_965_224,
    "caffenet": 60_965_224,
    "googlenet": 6_998_552,
    "mobilenet": 4_231_976,
    "vgg16": 138_357_544,
    "squeezenet": 1_235_496,
    "resnet50": 25_557_032,
    "resnet152": 60_192_808,
}


@pytest.mark.parametrize("name", LEARNED)
def test_nets_are_the_published_ones(name: str) -> None:
    net = nets.NETS[name](3)
    plan = infer(graph(net))
    blobs = [blob for planned in plan.layers.values() for blob in planned.blobs if blob.trainable]
    assert sum(int(np.prod(blob.shape)) for blob in blobs) == LEARNED[name]
    (output,) = plan.outputs()
    classes = 10 if name in ("lenet", "cifar10_full") else 1000
    assert plan.shapes[output][:2] == (3, classes) and np.prod(plan.shapes[output]) == 3 * classes


def test_weights_are_a_caffemodel(tmp_path) -> None:
    net = nets.lenet()
    prototxt, caffemodel = weights.write(net, tmp_path)
    message = proto.NetParameter.FromString(caffemodel.read_bytes())
    assert [layer.name for layer in message.layer] == [layer.name for layer in net.layer]
    for layer, blobs in zip(message.layer, weights.random_params(net), strict=True):
        for stored, blob in zip(layer.blobs, blobs, strict=True):
            assert tuple(stored.shape.dim) == blob.shape
            np.testing.assert_array_equal(np.array(stored.data, "float32"), blob.ravel())
    model = keras_caffe.load(prototxt, caffemodel)
    assert model.load_report.loaded == ["conv1", "conv2", "ip1", "ip2"]


def test_statistics_are_ones_that_a_net_can_have() -> None:
    net = nets.mobilenet()
    params = dict(zip([layer.name for layer in net.layer], weights.random_params(net), strict=True))
    _, variance, factor = params["conv1/bn"]
    assert factor == 1 and variance.min() > 0


def test_every_task_of_loading_runs(tmp_path) -> None:
    files = map(str, weights.write(nets.lenet(), tmp_path))
    prototxt, caffemodel = files
    for task in load.TASKS:
        times = load.child(task, "time", prototxt, caffemodel)
        assert times["first"] >= 0 and times["again"] >= 0
        assert load.child(task, "peak", prototxt, caffemodel)["peak"] > 0


def test_rounds_are_interleaved() -> None:
    calls: list[str] = []
    seconds = report.interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, runs=3, warm=1)
    assert calls == ["a", "b"] * 4
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}


def test_ratio_is_of_the_same_round() -> None:
    assert report.ratio([1, 2, 9], [2, 2, 9]) == 1


def test_tables_are_markdown() -> None:
    text = io.StringIO()
    made = report.table("Forward", forward.COLUMNS[:3], [("alexnet", "1", 12.345)])
    report.show(made, ["scripts/benchmark.py", "forward"], Console(file=text, width=160))
    assert "| alexnet |     1 |" in text.getvalue() and "12.3 |" in text.getvalue()
    assert "`scripts/benchmark.py forward` on " in text.getvalue()


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1234"), (12.345, "12.3"), (0.5, "0.5"), (16, "16"), ("-", "-")])
def test_cells(value: object, text: str) -> None:
    assert report.cell(value) == text


def test_a_page_is_made_and_opened() -> None:
    table = page.measure(Namespace(nets=["lenet"], runs=1))
    (cells,) = zip(*(column.cells for column in table.columns), strict=True)
    assert cells[:2] == ("lenet", "9")
    assert all(float(cell) > 0 for cell in cells[2:])
