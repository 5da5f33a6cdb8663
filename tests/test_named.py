"""Unknown names of blobs and layers: one error, which is a KeyError too and tells the nearest known names."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import keras_caffe
from keras_caffe import pycaffe as caffe
from keras_caffe import samples
from keras_caffe.errors import NetError, UnknownAttributeError, UnknownNameError, instead, nearest
from keras_caffe.named import Named, unknown
from keras_caffe.solver.definition import read_solver
from keras_caffe.solver.scores import Scores
from tests.nets import input_layer, layer

NET = samples.path("lenet.prototxt")


@pytest.fixture(scope="module")
def model() -> Any:
    return keras_caffe.load(NET)


@pytest.fixture(scope="module")
def net() -> Any:
    return caffe.Net(str(NET), caffe.TEST)


MODEL: list[Callable[[Any, str], Any]] = [
    lambda model, name: model.blobs[name],
    lambda model, name: model.caffe_layers[name],
    lambda model, name: model.caffe_shapes[name],
    lambda model, name: model.get_caffe_params()[name],
    lambda model, name: model.extract([name]),
    lambda model, name: model.net.value(name),
    lambda model, name: model.net.node(name),
    lambda model, name: model.net.producer(name),
    lambda model, name: keras_caffe.fold(model, keep=[name]),
]
NETS: list[Callable[[Any, str], Any]] = [
    lambda net, name: net.blobs[name],
    lambda net, name: net.params[name],
    lambda net, name: net.layer_dict[name],
    lambda net, name: net.bottom_names[name],
    lambda net, name: net.blob_loss_weights[name],
    lambda net, name: net.forward(end=name),
    lambda net, name: net.forward(blobs=[name]),
]


def check(ask: Callable[[str], Any]) -> None:
    with pytest.raises(UnknownNameError) as error:
        ask("cnov1")
    assert isinstance(error.value, KeyError) and isinstance(error.value, NetError)
    assert str(error.value).startswith("the net has no ") and "'cnov1'. Did you mean 'conv1'" in str(error.value)


@pytest.mark.parametrize("ask", MODEL)
def test_of_a_model(ask: Callable[[Any, str], Any], model: Any) -> None:
    check(lambda name: ask(model, name))


@pytest.mark.parametrize("ask", NETS)
def test_of_a_pycaffe_net(ask: Callable[[Any, str], Any], net: Any) -> None:
    check(lambda name: ask(net, name))


def test_they_are_dicts_otherwise(model: Any, net: Any) -> None:
    for names in (model.blobs, model.caffe_layers, model.caffe_shapes, net.blobs, net.params):
        assert "conv1" in names and "cnov1" not in names and 1 not in names
        assert names.get("cnov1") is None and names.get("cnov1", 3) == 3
        assert {**names}.keys() == names.keys() == set(names)
    assert isinstance(model.caffe_layers, dict) and isinstance(net.blobs, dict)


def test_values_are_named_by_blob_and_layer(model: Any) -> None:
    assert "ip1@ip1" in model.blobs and "ip1@ip9" not in model.blobs
    with pytest.raises(UnknownNameError, match="no blob 'ip1@realu1'. Did you mean 'ip1@relu1'"):
        model.extract(["ip1", "ip1@realu1"])


def test_all_wrong_names_at_once(model: Any) -> None:
    with pytest.raises(UnknownNameError, match="no blob 'poool1', 'ip3'. Did you mean 'pool1' or .*'ip"):
        model.extract(["poool1", "conv1", "ip3"])


def test_where_nothing_is_near_the_known_names_are_listed() -> None:
    assert str(unknown("layer", ["x"], ["conv", "pool"])) == "the net has no layer 'x'; expected one of conv, pool"
    assert str(unknown("layer", ["x"], [])) == "the net has no layer 'x'"
    many = str(unknown("layer", ["x"], [f"conv{n}" for n in range(30)]))
    assert "conv19, ... (30 in all)" in many and "conv20" not in many


def test_numbers_are_no_names(model: Any) -> None:
    with pytest.raises(UnknownNameError, match="no blob 0"):
        model.blobs[0]


def test_copies() -> None:
    names = Named("blob", {"conv": 1})
    for other in (copy.copy(names), copy.deepcopy(names), pickle.loads(pickle.dumps(names))):
        assert other == {"conv": 1}
        with pytest.raises(UnknownNameError, match="no blob 'cnov'. Did you mean 'conv'"):
            other["cnov"]


def test_tops_of_a_net_spec_are_attributes_and_items() -> None:
    spec = caffe.NetSpec()
    spec.conv1 = caffe.layers.Input(shape={"dim": [1, 3]})
    for ask in (lambda name: getattr(spec, name), lambda name: spec[name], lambda name: delattr(spec, name)):
        check(ask)
        with pytest.raises(AttributeError) as error:
            ask("cnov1")
        assert type(error.value) is UnknownAttributeError
    assert hasattr(spec, "conv1") and not hasattr(spec, "cnov1") and getattr(spec, "cnov1", None) is None
    assert list(copy.copy(spec).tops) == ["conv1"]


def test_fields_of_a_net_spec_have_near_matches_in_the_layers_own_message() -> None:
    net = caffe.layers.Convolution(num_outputs=2)
    with pytest.raises(
        AttributeError, match="a Convolution layer has no field 'num_outputs'. Did you mean 'num_output'"
    ):
        net.to_proto()
    net = caffe.layers.Input(input_param={"shape": {"dims": [1]}})
    with pytest.raises(UnknownAttributeError, match="BlobShape has no field 'dims'. Did you mean 'dim'"):
        net.to_proto()


def test_scores_are_named() -> None:
    scores = Scores([{"accuracy": 1.0}, {"loss": 2.0}])
    assert scores["loss"] == 2.0
    with pytest.raises(UnknownNameError, match="the net has no score 'acuracy'. Did you mean 'accuracy'"):
        scores["acuracy"]


INPUT = input_layer("a", 2, 3)
POOL = INPUT + layer("p", "Pooling", "a", "t", "pooling_param { pool: max kernel_size: 1 }")
FILLED = INPUT + layer("l", "Bias", "a", "t", 'bias_param { filler { type: "%s" } }')


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (lambda: keras_caffe.load(FILLED % "Xavier"), "unknown filler type 'Xavier'. Did you mean 'xavier'?"),
        (lambda: keras_caffe.load("layers { type: INNERPRODUCT }"), "did you mean InnerProduct?"),
        (lambda: keras_caffe.load(INPUT + 'layer { type: "INNERPRODUCT" }'), "did you mean InnerProduct?"),
        (lambda: keras_caffe.load(POOL), "received max. Did you mean 'MAX'?"),
        (lambda: keras_caffe.load(INPUT, phase="test"), "received 'test'. Did you mean 'TEST'?"),
        (lambda: keras_caffe.load(INPUT, input_shapes={"A": (2, 3)}), "not an input: 'A'. Did you mean 'a'?"),
        (lambda: read_solver('type: "sgd"'), "unknown type 'sgd'. Did you mean 'SGD'?"),
        (lambda: read_solver('lr_policy: "Step"'), "unknown lr_policy 'Step'. Did you mean 'step'?"),
        (lambda: read_solver('base_lr: 1 lr_policy: "fixed" weight_decay: 1 regularization_type: "l1"'), "mean 'L1'?"),
        (lambda: read_solver("base_lr: 1 solver_mode: gpu"), "received gpu. Did you mean 'GPU'?"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_differs_in_case_only_is_near_and_the_others_are_not_listed(attempt: Any, said: str) -> None:
    with pytest.raises(ValueError) as error:
        attempt()
    assert said in str(error.value) and "one of" not in str(error.value)


def test_the_nearest_ignore_case_and_one_that_differs_in_nothing_else_is_the_only_one() -> None:
    assert nearest("relu", ["ReLU6", "ReLU"]) == ["ReLU"]
    assert nearest("data", ["DATA", "Data", "dataa"]) == ["DATA", "Data"]
    assert nearest("xyz", ["conv"]) == []


def test_a_long_list_of_known_names_is_cut() -> None:
    said = instead(["x"], [f"conv{number}" for number in range(89)])
    assert said == {"expected": f"one of {', '.join(f'conv{number}' for number in range(20))}, ... (89 in all)"}
    assert instead(["x"], []) == {}
