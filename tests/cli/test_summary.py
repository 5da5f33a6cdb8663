"""`keras-caffe summary`."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.cli.summary import HEADINGS
from keras_caffe.converters.costs import flops
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.graph import graph
from keras_caffe.converters.infer import infer
from keras_caffe.layers.base import CaffeLayer

NET = samples.path("lenet.prototxt")
CONV1 = ["conv1", "Convolution", "conv1", "1x20x24x24", "1x24x24x20", "520", f"{(2 * 25 + 1) * 20 * 576:,}"]


def rows(text: str) -> list[list[str]]:
    """The table's cells, line by line."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]


def planned(text: str):
    return infer(graph(read_definition(text).select().message), custom_layers={"Mine": CaffeLayer})


def test_lenet(capsys) -> None:
    assert main(["summary", str(NET), "--data-format", "channels_last"]) == 0
    said = capsys.readouterr().out
    assert "LeNet (TEST)" in said
    assert "a multiplication and an addition are 2" in said
    assert rows(said)[1:4] == [
        CONV1,
        ["pool1", "Pooling", "pool1", "1x20x12x12", "1x12x12x20", "", f"{4 * 20 * 144:,}"],
        ["conv2", "Convolution", "conv2", "1x50x8x8", "1x8x8x50", "25,050", f"{(2 * 500 + 1) * 50 * 64:,}"],
    ]
    assert "Memory in float32: 1,724,320 bytes of parameters, 80,816 bytes of blobs\n" in said
    assert rows(said)[-1] == ["9 layers", "", "", "", "", "431,080", "4,616,500"]


def test_channels_first_and_another_batch(capsys) -> None:
    assert main(["summary", str(NET), "--data-format", "channels_first", "--input-shape", "data=2,1,28,28"]) == 0
    said = rows(capsys.readouterr().out)
    assert said[1][3:5] == ["2x20x24x24"] * 2
    assert said[-1][-2:] == ["431,080", f"{2 * 4_616_500:,}"]


def test_names_are_printed_as_they_are(tmp_path: Path, capsys) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text("""
layer { name: "in" type: "Input" top: "a" input_param { shape { dim: 2 } } }
layer { name: "[red]b[/c]" type: "ReLU" bottom: "a" top: ":smile:" }
""")
    assert main(["summary", str(net)]) == 0
    assert rows(capsys.readouterr().out)[1][:3] == ["[red]b[/c]", "ReLU", ":smile:"]


def test_a_loss_without_a_top_shows_caffes_name_for_it(tmp_path: Path, capsys) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text("""
layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "b" }
""")
    assert main(["summary", str(net)]) == 0
    assert rows(capsys.readouterr().out)[2][:4] == ["loss", "EuclideanLoss", "(automatic)", "scalar"]


def test_weights_are_matched(capsys) -> None:
    assert main(["summary", str(NET), str(samples.path("lenet.caffemodel"))]) == 0
    assert capsys.readouterr().out.endswith("\n4 layers loaded\n")


def test_huge_parameters_take_no_memory(tmp_path: Path, capsys) -> None:
    net = tmp_path / "net.prototxt"
    layers = ['layer { name: "in" type: "Input" top: "t" input_param { shape { dim: 1 dim: 20000 } } }']
    layers += [
        f'layer {{ name: "ip{n}" type: "InnerProduct" bottom: "{"t" if n == 0 else n}" top: "{n + 1}"'
        " inner_product_param { num_output: 20000 bias_term: false } }"
        for n in range(1000)
    ]
    net.write_text("\n".join(layers))
    assert main(["summary", str(net)]) == 0  # 1.6 TB
    assert rows(capsys.readouterr().out)[-1][-2:] == ["400,000,000,000", "800,000,000,000"]


def test_several_tops_shared_parameters_and_unknown_operations(tmp_path: Path, capsys) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text("""
layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 6 } } }
layer { name: "p" type: "InnerProduct" bottom: "a" top: "p" param { name: "w" }
  inner_product_param { num_output: 4 bias_term: false } }
layer { name: "q" type: "InnerProduct" bottom: "b" top: "q" param { name: "w" }
  inner_product_param { num_output: 4 bias_term: false } }
layer { name: "s" type: "Silence" bottom: "q" }
layer { name: "boxes" type: "Input" top: "d" top: "t" input_param {
  shape { dim: 1 dim: 1 dim: 3 dim: 7 } shape { dim: 1 dim: 1 dim: 2 dim: 8 } } }
layer { name: "e" type: "DetectionEvaluate" bottom: "d" bottom: "t" top: "e"
  detection_evaluate_param { num_classes: 3 } }
""")
    assert main(["summary", str(net)]) == 0
    said = capsys.readouterr().out
    assert rows(said)[:4] == [
        ["in", "Input", "a", "2x6", "2x6", "", ""],
        ["", "", "b", "2x6", "2x6", "", ""],
        ["p", "InnerProduct", "p", "2x4", "2x4", "24", "96"],
        ["q", "InnerProduct", "q", "2x4", "2x4", "", "96"],
    ]
    assert rows(said)[4] == ["s", "Silence", "", "", "", "", ""]
    assert rows(said)[7][-1] == "?"
    assert rows(said)[-1][-2:] == ["24", "over 192"]
    assert said.endswith("FLOPs are not known for DetectionEvaluate\n")


def test_a_size_that_values_decide_is_a_question_mark(tmp_path: Path, capsys) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text("""
layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 3 dim: 2 } shape { dim: 3 } } }
layer { name: "f" type: "Filter" bottom: "a" bottom: "b" top: "f" }
layer { name: "r" type: "ReLU" bottom: "f" top: "r" }
""")
    assert main(["summary", str(net)]) == 0
    said = capsys.readouterr().out
    assert rows(said)[2][:4] == ["f", "Filter", "f", "?x2"]
    assert [row[-1] for row in rows(said)[2:]] == ["", "?", "over 0"]
    assert "over 36 bytes of blobs" in said
    assert said.endswith("FLOPs are not known for ReLU\n")


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (
            'type: "Convolution" convolution_param { num_output: 6 kernel_size: 3 group: 2 }',
            2 * 6 * 3 * 9 * 40 + 6 * 40,
        ),
        ('type: "Convolution" convolution_param { num_output: 6 kernel_size: 3 bias_term: false }', 2 * 6 * 54 * 40),
        (
            'type: "Deconvolution" convolution_param { num_output: 4 kernel_size: 2 stride: 2 bias_term: false }',
            2 * 6 * 4 * 4 * 70,  # each value of the bottom goes into 4 channels of 4 pixels
        ),
        ('type: "InnerProduct" inner_product_param { num_output: 5 }', 5 * (2 * 420 + 1)),
        ('type: "InnerProduct" inner_product_param { num_output: 5 axis: 2 transpose: true }', 6 * 5 * (2 * 70 + 1)),
        ('type: "Pooling" pooling_param { kernel_h: 2 kernel_w: 3 }', 6 * 6 * 6 * 8),
        ('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', 420),
        ('type: "LRN" lrn_param { local_size: 3 }', 7 * 420),
        ('type: "LRN" lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }', 13 * 420),
        ('type: "ReLU"', 420),
        ('type: "BatchNorm"', 2 * 420),
        ('type: "Scale"', 420),
        ('type: "Scale" scale_param { bias_term: true }', 2 * 420),
        ('type: "Softmax"', 5 * 420),
        ('type: "Reduction"', 420),
        ('type: "Eltwise" bottom: "x"', 420),
        ('type: "Eltwise" bottom: "x" eltwise_param { coeff: 1 coeff: -1 }', 2 * 420),
        ('type: "Concat" bottom: "x"', 0),
        ('type: "Flatten"', 0),
        ('type: "MVN"', 5 * 420),
        ('type: "MVN" mvn_param { normalize_variance: false }', 2 * 420),
        ('type: "Maxout" maxout_param { chgroup_sz: 3 }', 2 * 140),
        ('type: "SPP" spp_param { pyramid_height: 2 }', 6 * (7 * 10 + (4 * 5) * (2 * 2))),
        ('type: "Interp" interp_param { height: 2 width: 3 }', 7 * 6 * 6),
        ('type: "EuclideanLoss" bottom: "x"', 3 * 420),
        ('type: "SmoothL1Loss" bottom: "x" bottom: "x"', 7 * 420),
        ('type: "Mine"', None),  # a class of the caller's that does not say
        # At each of 6 steps 4 gates of 3 cells from 70 values and 3 states, biases, and what one cell does.
        (
            'type: "LSTM" bottom: "cont" recurrent_param { num_output: 3 }',
            6 * (12 * (2 * 70 + 1) + 12 * 2 * 3 + 11 * 3),
        ),
        (
            'type: "LSTM" bottom: "cont" bottom: "static" recurrent_param { num_output: 3 }',
            6 * (12 * (2 * 70 + 1) + 12 * 2 * 3 + 11 * 3) + 6 * 12 * 2 * 5,
        ),
        (
            'type: "RNN" bottom: "cont" recurrent_param { num_output: 3 }',
            6 * (3 * (2 * 70 + 1) + 3 * 2 * 3 + 3 * (2 * 3 + 1) + 3 * 3),
        ),
    ],
)
def test_operations(layer: str, expected: int | None) -> None:
    plan = planned(f"""
layer {{ name: "x" type: "Input" top: "x" top: "cont" top: "static" input_param {{
  shape {{ dim: 1 dim: 6 dim: 7 dim: 10 }} shape {{ dim: 1 dim: 6 }} shape {{ dim: 6 dim: 5 }} }} }}
layer {{ name: "y" bottom: "x" top: "y" {layer} }}""")
    assert flops(plan, plan.layers[1]) == expected


WIDTHS = [(100, []), (80, ["Keras"]), (65, ["Keras", "type"]), (55, ["Keras", "type", "blob"])]


@pytest.mark.parametrize(("width", "gone"), WIDTHS)
def test_a_narrow_terminal_breaks_no_cell(width: int, gone: list[str], monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["summary", str(NET), "--data-format", "channels_last"]) == 0
    said = capsys.readouterr().out
    whole = dict(zip(HEADINGS, CONV1, strict=True))
    assert rows(said)[1] == [cell for heading, cell in whole.items() if heading not in gone]
    assert all(len(line) <= width for line in said.splitlines() if "│" in line)
    assert (f"too narrow for: {', '.join(gone)}" in said) == bool(gone)
