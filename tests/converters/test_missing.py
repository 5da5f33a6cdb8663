"""Inputs that no layer states, nets whose rules leave layers out, caffemodels alone, nets without layers."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe import pycaffe
from keras_caffe.cli import main
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.missing import declare_inputs
from keras_caffe.errors import NetError, ShapeError

CONV = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 3 } }'
)
DIGITS = f"""layer {{ name: "train-data" type: "Data" top: "data" top: "label" include {{ stage: "train" }} }}
layer {{ name: "val-data" type: "Data" top: "data" top: "label" include {{ stage: "val" }} }}
{CONV}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" exclude {{ stage: "deploy" }} }}
"""
SHAPE = {"data": (1, 3, 8, 8)}
GIVE = "Pass input_shapes={'data': (N, C, H, W)} with numbers for the letters"


def refused(text: str | Path, **options: object) -> str:
    with pytest.raises(NetError) as caught:
        keras_caffe.load(text, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f'input: "data"\n{CONV}', {}),
        (CONV, {}),
        (CONV.replace("layer", 'layers { name: "r" type: RELU bottom: "data" top: "data" } layers', 1)
         .replace('"Convolution"', "CONVOLUTION"), {}),
        (DIGITS, {"stages": ("deploy",)}),
        (f'layer {{ name: "i" type: "Input" top: "data" }}\n{CONV}', {}),
    ],
    ids=["without a shape", "not declared", "not declared, read in place", "left out", "an Input without a shape"],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (None, 3, None, None)])
def test_input_shapes_state_the_inputs_that_the_file_does_not(
    text: str, options: dict, shape: tuple, tmp_path: Path
) -> None:
    model = keras_caffe.load(text, input_shapes={"data": shape}, data_format="channels_first", **options)
    whole = keras_caffe.load(
        f'input: "data" input_shape {{ dim: 1 dim: 3 dim: 8 dim: 8 }} {CONV}',
        data_format="channels_first",
    )
    model.set_caffe_params(whole.get_caffe_params())
    x = np.linspace(-1, 1, 192, dtype="float32").reshape(1, 3, 8, 8)
    expected = np.asarray(whole(np.maximum(x, 0) if "RELU" in text else x))
    assert model.net.inputs == ("data@i",) if 'name: "i"' in text else ("data@input",)
    np.testing.assert_array_equal(model(x), expected)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), expected)
    if None not in shape:
        net = pycaffe.Net(text, pycaffe.TEST, input_shapes={"data": shape}, **options)
        assert (net.inputs, net.blobs["data"].shape) == (["data"], shape)


def test_several_inputs_come_in_the_order_in_which_layers_read_them() -> None:
    text = 'layer { name: "e" type: "Eltwise" bottom: "b" bottom: "a" bottom: "b" top: "e" }'
    net = read_definition(text).select().message
    (inputs, _) = declare_inputs(net, {"a": (2,), "b": (2,), "e": (2,)}).layer
    assert (inputs.type, list(inputs.top), len(net.layer)) == ("Input", ["b", "a"], 1)
    model = keras_caffe.load(text, input_shapes={"a": (2,), "b": (2,)})
    assert np.asarray(model([np.float32([1, 2]), np.float32([10, 20])])).tolist() == [12, 24]


@pytest.mark.parametrize("text", [f'input: "data"\n{CONV}', CONV])
def test_an_input_without_a_shape_is_refused_with_the_way_to_give_it(text: str) -> None:
    said = refused(text)
    assert "layer 'c' (Convolution): bottom 'data' is not the top of any layer" in said
    assert said.endswith(f"{GIVE} to make it an input of the net.")


@pytest.mark.parametrize("between", ["", 'layer { name: "r" type: "ReLU" bottom: "data" top: "data" }'])
def test_a_layer_that_refuses_an_input_without_a_shape_says_so(between: str) -> None:
    text = f'layer {{ name: "i" type: "Input" top: "data" }}\n{between}{CONV}'
    with pytest.raises(ShapeError, match="layer 'c' .Convolution.: the shape of input 'data' is not known") as caught:
        keras_caffe.load(text)
    assert str(caught.value).endswith(f"{GIVE}.")
    assert refused(text, input_shapes={"dta": (1, 3, 8, 8)}).endswith("not an input: 'dta'. Did you mean 'data'?")


def test_a_layer_that_rules_leave_out_is_named_with_its_rule_and_the_stages_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(DIGITS)
    assert refused(tmp_path / "net.prototxt", stages=("deploy",)) == (
        f"{tmp_path}/net.prototxt:3: layer 'c' (Convolution): bottom 'data' is not the top of any layer; expected the "
        f"top of a layer higher up in the file. Layer 'train-data' ({tmp_path}/net.prototxt:1) makes it; "
        "include { stage: \"train\" } leaves it out in phase TEST with stage 'deploy'. Stages in the file: 'train', "
        f"'val', 'deploy'. Pass stages=['train'] to keep the layer. {GIVE} to make it an input of the net."
    ).replace("keep the layer", "keep one of these layers")


def test_the_shell_is_told_its_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.prototxt").write_text(DIGITS)
    assert main(["summary", str(tmp_path / "net.prototxt")]) == 1
    said = capsys.readouterr().err
    assert "leaves it out in phase TEST without a stage" in said
    assert "Pass --stage train to keep" in said
    assert "Pass --input-shape data=N,C,H,W with numbers for the letters" in said


RULES = {
    'include { stage: "val" }': "TEST without a stage; .*Stages in the file: 'val'. Pass stages=\\['val'\\] to keep",
    "include { phase: TRAIN }": "TEST; .*out. Pass phase='TRAIN' to keep",
    'include { phase: TRAIN stage: "a" }': "TEST without a .*Pass stages=\\['a'\\] .*Pass phase='TRAIN'",
    "exclude { phase: TEST }": "TEST; expected include and exclude rules that keep a layer",
    "include { min_level: 2 }": "TEST; expected include and exclude rules that keep a layer",
    'include { not_stage: "s" phase: TRAIN }': "TEST without a stage; .*Stages in the file: 's'. Pass phase='TRAIN'",
}


@pytest.mark.parametrize("rule", RULES)
def test_a_net_whose_layers_are_all_left_out_is_refused_by_phase_and_stage(rule: str) -> None:
    text = f'layer {{ name: "d" type: "DummyData" top: "d" {rule} }}'
    with pytest.raises(NetError, match=f"^<text>: the net has no layers in phase {RULES[rule]}"):
        keras_caffe.load(text)
    with pytest.raises(NetError, match="the net has no layers in phase TEST"):
        pycaffe.Net(text, pycaffe.TEST)


def test_a_caffemodel_alone_is_said_to_hold_the_training_net(tmp_path: Path) -> None:
    trained = keras_caffe.load_solver(
        'train_net_param { layer { name: "data" type: "DummyData" top: "data" include { phase: TRAIN } '
        f"dummy_data_param {{ shape {{ dim: 1 dim: 3 dim: 8 dim: 8 }} }} }} {CONV} "
        'layer { name: "l" type: "EuclideanLoss" bottom: "c" bottom: "c" top: "l" } } base_lr: 0.1 lr_policy: "fixed"'
    )
    net = trained.model.net.message
    net.layer[0].include.add(phase=0)
    (tmp_path / "n.caffemodel").write_bytes(net.SerializeToString())
    said = refused(tmp_path / "n.caffemodel")
    assert f"{tmp_path}/n.caffemodel: layer 'c' (Convolution): bottom 'data' is not the top of any layer" in said
    assert "A caffemodel holds the net that was trained: give the prototxt of the net to load, and this file" in said
    assert "A caffemodel" not in refused(CONV)


@pytest.mark.parametrize("text", ['name: "empty"', "# nothing but a comment\n"])
def test_a_net_without_layers_is_empty_as_in_caffe(text: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    model = keras_caffe.load(path)
    assert (len(model.net.nodes), dict(model.blobs), model.caffe_layers, model.weights) == (0, {}, {}, [])
    assert model({}).shape == (1,)
    model.save(tmp_path / "model.keras")
    assert not keras.models.load_model(tmp_path / "model.keras").net.nodes
    keras_caffe.save(model, tmp_path / "saved.prototxt", tmp_path / "saved.caffemodel")
    assert "layer" not in (tmp_path / "saved.prototxt").read_text()
    net = pycaffe.Net(str(path), pycaffe.TEST)
    net.reshape()
    assert (net.blobs, net.params, net.forward(), net.backward(), net.inputs, net.outputs) == ({}, {}, {}, {}, [], [])
    assert main(["summary", str(path)]) == 0
    assert "0 layers" in capsys.readouterr().out
