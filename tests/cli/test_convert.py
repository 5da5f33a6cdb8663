"""`keras-caffe convert`."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_caffe import CaffeModel, samples
from keras_caffe.cli import main

NET, WEIGHTS = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
OTHER_HEAD = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 28 dim: 28 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 7 kernel_size: 5 weight_filler { type: "constant" value: 0.5 } } }
layer { name: "new" type: "InnerProduct" bottom: "conv1" top: "new" inner_product_param { num_output: 2 } }
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.keras"


def convert(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_the_model_reads_digits_as_caffe_did(out: Path, capsys) -> None:
    assert convert(NET, "-o", out, WEIGHTS, "--data-format", "channels_first") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("this looks like LeNet: grey 0 to 255, times 0.00390625, 28 x 28; ")
    assert [said[0], *said[2:]] == [
        "LeNet: 9 layers, 431,080 parameters",
        "4 layers loaded",
        f"wrote {out} ({out.stat().st_size:,} bytes)",
    ]
    model = keras.saving.load_model(out)
    assert isinstance(model, CaffeModel)
    images, labels = samples.digits()
    right = (model.predict(images * samples.SCALE, verbose=0).argmax(axis=1) == labels).mean()
    assert abs(right - 0.961) < 0.0015
    assert [path.name for path in out.parent.iterdir()] == ["out.keras"]


def test_what_no_file_fills_is_told(out: Path, capsys) -> None:
    assert convert(NET, "-o", out) == 0
    assert "left as filled: conv1, conv2, ip1, ip2" in capsys.readouterr().out


def test_options_reach_the_net(out: Path) -> None:
    assert convert(NET, "-o", out, "--input-shape", "data=3,1,28,28", "--data-format", "channels_last") == 0
    model = keras.saving.load_model(out)
    assert model.caffe_shapes["pool2"] == (3, 50, 4, 4)
    assert model.input_shape[1:] == (28, 28, 1)


def test_weights_that_do_not_fit(out: Path, tmp_path: Path, capsys) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(OTHER_HEAD)
    assert convert(net, WEIGHTS, "-o", out) == 1
    said = capsys.readouterr().err
    assert "expected (7, 1, 5, 5); received (20, 1, 5, 5)" in said
    assert "Pass --skip-mismatch to leave the layer as filled." in said
    assert not out.exists()
    assert convert(net, WEIGHTS, "-o", out, "--skip-mismatch") == 0
    assert "skipped conv1: " in capsys.readouterr().out
    kernel = keras.saving.load_model(out).get_caffe_params()["conv1"][0]
    np.testing.assert_array_equal(kernel, 0.5)


def test_phase_level_and_stage_choose_layers(out: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    rules = {"train": "phase: TRAIN", "deep": "min_level: 2", "special": 'stage: "s"'}
    layers = [
        f'layer {{ name: "{name}" type: "ReLU" bottom: "data" top: "{name}" include {{ {rule} }} }}'
        for name, rule in rules.items()
    ]
    net.write_text(
        "\n".join([*OTHER_HEAD.splitlines()[:2], *layers, '\nlayer { name: "z" type: "TanH" bottom: "data" }'])
    )
    net.write_text(net.read_text().replace('bottom: "data" }', 'bottom: "data" top: "z" }'))
    chosen = ["--phase", "TRAIN", "--level", "2", "--stage", "s"]
    for options, names in ((chosen, {"train", "deep", "special", "z"}), (chosen[:2], {"train", "z"}), ([], {"z"})):
        assert convert(net, "-o", out, *options) == 0
        assert set(keras.saving.load_model(out).caffe_layers) == names


def test_a_file_that_was_there_is_replaced_only_by_a_whole_one(out: Path, monkeypatch, capsys) -> None:
    def half(self: CaffeModel, file: Path) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    out.write_bytes(b"before")
    with monkeypatch.context() as patch:
        patch.setattr(CaffeModel, "save", half)
        assert convert(NET, WEIGHTS, "-o", out) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert out.read_bytes() == b"before"
    assert [path.name for path in out.parent.iterdir()] == ["out.keras"]
    assert convert(NET, WEIGHTS, "-o", out) == 0
    assert isinstance(keras.saving.load_model(out), CaffeModel)


def test_a_link_stays_a_link(out: Path) -> None:
    target = out.with_name("target.keras")
    target.touch()
    out.symlink_to(target)
    assert convert(NET, WEIGHTS, "-o", out) == 0
    assert out.is_symlink()
    assert target.stat().st_size > 1_000_000
