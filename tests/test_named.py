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
from keras_caffe.errors import NetError, UnknownNameError
from keras_caffe.named import Named, unknown

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
    assert str(unknown("layer", ["x"], [])).endswith("expected nothing: there is none")
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
