"""to_code: files that build the nets again, short and clean, with the same numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.errors import ExportError
from scripts.benchmarks import nets
from tests.shared_goldens import WILD, needs_wild

RULES = ["--isolated", "--line-length", "120"]


def built(text: str) -> Any:
    code: dict[str, Any] = {"__name__": "net"}
    exec(compile(text, "net.py", "exec"), code)
    return code["build_model"]()


def is_clean(path: Path) -> bool:
    """Whether ruff finds nothing to say about a file or a folder."""
    ruff = [sys.executable, "-m", "ruff"]
    check = subprocess.run([*ruff, "check", "--select", "E,F,I,W,B,UP", *RULES, str(path)], check=False)
    layout = subprocess.run([*ruff, "format", "--check", *RULES, str(path)], check=False)
    return check.returncode == layout.returncode == 0


def with_weights_of(text: str, model: Any) -> Any:
    """What the code builds, with the weights of the model."""
    code = built(text)
    for layer in keras_caffe.to_keras(model).layers:
        if layer.weights:
            code.get_layer(layer.name).set_weights(layer.get_weights())
    return code


def random_weights(model: Any) -> None:
    """Positive ones, small enough for values to stay what they are through many layers."""
    draw = np.random.default_rng(1).random
    params = model.get_caffe_params()
    model.set_caffe_params(
        {name: [draw(x.shape) * 2 / max(x[0].size, 2) for x in arrays] for name, arrays in params.items()}
    )


def assert_same_numbers(text: str, model: Any) -> None:
    code = with_weights_of(text, model)
    shapes = {x.name: [size or 2 for size in x.shape] for x in code.inputs}
    fed: Any = {name: np.random.default_rng(0).random(shape, "float32") for name, shape in shapes.items()}
    wanted, got = model(fed), code(fed if len(fed) > 1 else next(iter(fed.values())))
    wanted, got = (x if isinstance(x, dict) else {"": x} for x in (wanted, got))
    assert wanted.keys() == got.keys()
    for name, want in wanted.items():
        np.testing.assert_allclose(got[name], want, rtol=1e-4, atol=1e-5 * np.abs(want).max(), err_msg=name)


def test_the_command_writes_code_and_weights(tmp_path: Path) -> None:
    code, weights = tmp_path / "net.py", tmp_path / "net.weights.h5"
    files = [str(samples.path(f"lenet.{suffix}")) for suffix in ("prototxt", "caffemodel")]
    assert main(["code", *files, "-o", str(code), "--weights", str(weights)]) == 0
    assert len(code.read_text().splitlines()) < 60
    assert is_clean(code)
    model, x = built(code.read_text()), np.random.default_rng(0).random((2, 28, 28, 1), "float32")
    model.load_weights(weights)
    np.testing.assert_allclose(model(x), keras_caffe.load(*files)(x), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("net", "most"), [("googlenet", 150), ("squeezenet", 80), ("resnet50", 120)])
def test_repeated_parts_are_functions(net: str, most: int, tmp_path: Path) -> None:
    model = keras_caffe.load(getattr(nets, net)())
    text = keras_caffe.to_code(model)
    assert len(text.splitlines()) < most
    (tmp_path / "net.py").write_text(text)
    assert is_clean(tmp_path / "net.py")
    names = {layer.name for layer in keras_caffe.to_keras(model).layers if layer.weights}
    assert names == {layer.name for layer in built(text).layers if layer.weights}


HOSTILE = r"""name: "\"\"\"\nimport os"
layer { name: "x\"); import os; (\"" type: "Input" top: "class" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "{__import__(0)}\\" type: "InnerProduct" bottom: "class" top: "def"
  inner_product_param { num_output: 3 } }
layer { name: "print" type: "ReLU" bottom: "def" top: "lambda" }
"""


def test_names_from_files_stay_texts(tmp_path: Path) -> None:
    model = keras_caffe.load(HOSTILE)
    for style in ("keras", "caffe"):
        text = keras_caffe.to_code(model, style)
        assert not any(line.startswith("import os") for line in text.splitlines())
        compile(text, "net.py", "exec")
    assert built(keras_caffe.to_code(model)).count_params() == 9


def repeated(name: str) -> str:
    """A net of the same three layers again and again, with a number behind their names."""
    text = 'layer { name: "data" type: "Input" top: "0" input_param { shape { dim: 1 dim: 3 dim: 2 dim: 2 } } }'
    for number in range(1, 5):
        text += f"""
layer {{ name: "{name}{number}" type: "Convolution" bottom: "{number - 1}" top: "c{number}"
  convolution_param {{ num_output: 3 kernel_size: 1 }} }}
layer {{ name: "relu{number}" type: "ReLU" bottom: "c{number}" top: "c{number}" }}
layer {{ name: "tanh{number}" type: "TanH" bottom: "c{number}" top: "{number}" }}"""
    return text


@pytest.mark.parametrize("name", ["conv", "np.", "{keras}", r"\"{print(1)}", r"\\{x}"])
def test_names_of_repeated_parts_stay_texts(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = keras_caffe.load(repeated(name))
    text = keras_caffe.to_code(model)
    assert "for number in range(" in text
    (tmp_path / "net.py").write_text(text)
    assert is_clean(tmp_path)
    assert_same_numbers(text, model)
    assert not capsys.readouterr().out.startswith("1\n")


SEVERAL = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 dim: 9 dim: 8 } } }
layer { name: "slice" type: "Slice" bottom: "data" top: "a" top: "b" top: "c" slice_param { slice_point: [1, 3] } }
layer { name: "pool" type: "Pooling" bottom: "b" top: "pool" top: "mask"
  pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "mean" type: "Pooling" bottom: "c" top: "mean" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "in/side" type: "ReLU" bottom: "mean" top: "mean" relu_param { negative_slope: 0.1 } }
layer { name: "also" type: "Concat" bottom: "mean" bottom: "mean" top: "two" concat_param { axis: -1 } }
layer { name: "norm" type: "BatchNorm" bottom: "a" top: "norm" batch_norm_param { use_global_stats: false } }
layer { name: "end" type: "Silence" bottom: "norm" }
"""
SSD = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: "loc" type: "Convolution" bottom: "data" top: "loc" convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "conf" type: "Convolution" bottom: "data" top: "conf" convolution_param { num_output: 6 kernel_size: 3 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc" top: "loc_flat" }
layer { name: "conf_flat" type: "Flatten" bottom: "conf" top: "conf_flat" }
layer { name: "priors" type: "PriorBox" bottom: "loc" bottom: "data" top: "priors"
  prior_box_param { min_size: 2 max_size: 4 variance: 0.1 } }
layer { name: "out" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_flat" bottom: "priors" top: "out"
  detection_output_param { num_classes: 3 nms_param { nms_threshold: 0.4 top_k: 10 } keep_top_k: 8 } }
"""


SHARED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: "p" type: "PReLU" bottom: "data" top: "p" param { name: "slope" } }
layer { name: "p2" type: "PReLU" bottom: "p" top: "p2" param { name: "slope" } }
layer { name: "c" type: "Convolution" bottom: "p" top: "c" param { name: "w" } param { name: "b" }
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }
layer { name: "c2" type: "Convolution" bottom: "p2" top: "c2" param { name: "w" } param { name: "b" }
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }
"""


PARTLY_SHARED = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 } } }' + "".join(
    f"""layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" param {{ name: "w" }}
      param {{ name: "{bias}" }} inner_product_param {{ num_output: 6 }} }}"""
    for name, bottom, bias in (("a", "data", "b"), ("b", "a", "b"), ("c", "b", "b2"))
)
UNEVEN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "up" type: "Deconvolution" bottom: "data" top: "up" convolution_param { num_output: 2
  kernel_size: 2 stride: 3 } }
layer { name: "small" type: "Convolution" bottom: "data" top: "small" convolution_param { num_output: 2
  kernel_size: 8 } }
layer { name: "down" type: "Convolution" bottom: "small" top: "down" convolution_param { num_output: 2
  kernel_size: 3 stride: 2 pad: 1 } }
"""
CASES = {"several": SEVERAL, "ssd": SSD, "shared": SHARED, "partly shared": PARTLY_SHARED, "uneven": UNEVEN}


@pytest.mark.parametrize("net", CASES.values(), ids=CASES)
def test_layers_of_several_values_and_of_many_operations(net: str, tmp_path: Path) -> None:
    model = keras_caffe.load(net)
    random_weights(model)
    for style in ("keras", "caffe"):
        (tmp_path / f"{style}.py").write_text(keras_caffe.to_code(model, style))
    assert is_clean(tmp_path)
    assert_same_numbers(keras_caffe.to_code(model), model)


STEPS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 9 dim: 2 dim: 3 dim: 2 } } }
layer { name: "go_on" type: "Input" top: "go_on" input_param { shape { dim: 9 dim: 2 } } }
layer { name: "still" type: "Input" top: "still" input_param { shape { dim: 2 dim: 5 } } }
layer { name: "caffe_lstm" type: "%s" bottom: "data" %s top: "caffe_lstm" %s { num_output: 4
  weight_filler { type: "xavier" } bias_filler { type: "uniform" } } }
layer { name: "again" type: "%s" bottom: "caffe_lstm" %s top: "again" %s { num_output: 3
  weight_filler { type: "xavier" } } }
"""
RECURRENT = {
    "LSTM": ('bottom: "go_on"', "recurrent_param"),
    "LSTM with a still input": ('bottom: "go_on" bottom: "still"', "recurrent_param"),
    "RNN": ('bottom: "go_on"', "recurrent_param"),
    "RNN with a still input": ('bottom: "go_on" bottom: "still"', "recurrent_param"),
    "Lstm": ('bottom: "go_on"', "lstm_param"),
    "Lstm without flags": ("", "lstm_param"),
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_layers_are_loops(kind: str, tmp_path: Path) -> None:
    layer = (kind.split()[0], *RECURRENT[kind])
    model = keras_caffe.load(STEPS % (*layer, *layer))
    text = keras_caffe.to_code(model)
    assert text.count("for step in range(") == (0 if "without" in kind else 1)
    assert len(text.splitlines()) <= 60
    (tmp_path / "net.py").write_text(text)
    assert is_clean(tmp_path)
    assert_same_numbers(text, model)


EXPOSED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 9 dim: 2 dim: 3 } } }
layer { name: "go_on" type: "Input" top: "go_on" input_param { shape { dim: 9 dim: 2 } } }
layer { name: "h" type: "Input" top: "h" input_param { shape { dim: 1 dim: 2 dim: 4 } } }
layer { name: "memory" type: "RNN" bottom: "data" bottom: "go_on" bottom: "h" top: "memory" top: "last"
  recurrent_param { num_output: 4 expose_hidden: true weight_filler { type: "xavier" } } }
"""


def test_steps_of_other_layers_are_calls_of_a_function(tmp_path: Path) -> None:
    model = keras_caffe.load(EXPOSED)
    text = keras_caffe.to_code(model)
    assert text.count("memory_step(") >= 8
    (tmp_path / "net.py").write_text(text)
    assert is_clean(tmp_path)
    assert_same_numbers(text, model)


WILD_NETS = [
    "*MTCNN1__det1",
    "Jack-CV*PCN-2",
    "luoyetx__mini*1_F",
    "ydwen*mnist_deploy",
    "*wgan__g",
    "*dcgan__generator",
    "Linzaer*slim-320",
    "lltc*1e77442f*srcnn",
    "*lstm_lm.deploy",
    "NVIDIA__caffe__classification__model__deploy",
]


@needs_wild
def test_wild_nets(tmp_path: Path) -> None:
    for name in WILD_NETS:
        (file,) = (WILD / "prototxts").glob(f"{name}.prototxt")
        model = keras_caffe.load(file)
        random_weights(model)
        text = keras_caffe.to_code(model)
        assert_same_numbers(text, model)
        (tmp_path / f"{model.name}_{len(text)}.py").write_text(text)
        (tmp_path / f"{model.name}_{len(text)}_caffe.py").write_text(keras_caffe.to_code(model, "caffe"))
    assert is_clean(tmp_path)


@pytest.mark.parametrize("net", [nets.squeezenet(), repeated("conv"), SEVERAL, HOSTILE, SSD])
def test_netspec_writes_the_same_net(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras_caffe.load(net)
    monkeypatch.setitem(sys.modules, "caffe", keras_caffe.pycaffe)
    code: dict[str, Any] = {"__name__": "net"}
    exec(compile(keras_caffe.to_code(model, "caffe"), "net.py", "exec"), code)
    again = keras_caffe.load(code["build_net"]()).net.message
    assert list(again.layer) == list(model.net.message.layer)
    assert again.name == model.net.message.name


def test_netspec_reads_as_people_write_it() -> None:
    text = keras_caffe.to_code(keras_caffe.load(SEVERAL), "caffe")
    assert 'n.a, n.b, n.c = L.Slice(n.data, name="slice", ntop=3, slice_point=[1, 3])' in text
    assert "n.mean = L.Pooling(n.c, pool=P.Pooling.AVE, kernel_size=3, stride=2)" in text
    assert 'n["in/side"] = L.ReLU(n.mean, in_place=True, negative_slope=0.1)' in text


def test_unknown_styles_are_refused() -> None:
    with pytest.raises(ExportError, match="no such style"):
        keras_caffe.to_code(keras_caffe.load(samples.path("lenet.prototxt")), "torch")
