"""Nets written in Python."""

from __future__ import annotations

import re

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import NetError, NotATopError
from keras_caffe.pycaffe import NetSpec, to_proto
from keras_caffe.pycaffe import layers as L
from keras_caffe.pycaffe import params as P


def lenet() -> NetSpec:
    n = NetSpec()
    n.data, n.label = L.DummyData(
        shape=[{"dim": [4, 1, 12, 12]}, {"dim": [4]}], data_filler=[{"type": "gaussian"}, {"type": "constant"}], ntop=2
    )
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=3, weight_filler={"type": "xavier"})
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.relu1 = L.ReLU(n.pool1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=5, param=[{"lr_mult": 1}, {"lr_mult": 2}])
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_weight=2)
    return n


def test_a_net_as_caffes_examples_write_it() -> None:
    proto = lenet().to_proto()
    layers = {layer.name: layer for layer in proto.layer}
    assert [(x.name, x.type) for x in proto.layer] == [
        ("data", "DummyData"),
        ("conv1", "Convolution"),
        ("pool1", "Pooling"),
        ("relu1", "ReLU"),
        ("score", "InnerProduct"),
        ("loss", "SoftmaxWithLoss"),
    ]
    assert list(layers["data"].top) == ["data", "label"]
    assert (list(layers["relu1"].bottom), list(layers["relu1"].top)) == (["pool1"], ["pool1"])
    assert list(layers["score"].bottom) == ["pool1"]
    assert list(layers["conv1"].convolution_param.kernel_size) == [5]
    assert layers["conv1"].convolution_param.weight_filler.type == "xavier"
    assert layers["pool1"].pooling_param.pool == P.Pooling.MAX
    assert [spec.lr_mult for spec in layers["score"].param] == [1, 2]
    assert list(layers["loss"].loss_weight) == [2]


def test_its_text_is_a_net() -> None:
    net = caffe.Net(str(lenet().to_proto()), caffe.TRAIN)
    net.forward()
    assert net.blobs["loss"].data == pytest.approx(np.log(5), rel=1e-5)
    net.backward()
    assert net.params["score"][1].diff.any()


def test_names_of_tops_without_an_attribute() -> None:
    data = L.Input(shape={"dim": [1, 2]})
    proto = to_proto(L.ReLU(L.ReLU(data)), L.Silence(data, ntop=0))
    assert [layer.name for layer in proto.layer] == ["Input1", "ReLU1", "ReLU2", "Silence1"]
    assert list(proto.layer[2].bottom) == ["ReLU1"]
    assert not proto.layer[3].top


def test_spec_by_item_and_deletion() -> None:
    n = NetSpec()
    n["in/x"] = L.Input(shape={"dim": [1]})
    n.y = L.ReLU(n["in/x"])
    n.quiet = L.Silence(n.y, ntop=0)
    assert [layer.name for layer in n.to_proto().layer] == ["in/x", "y", "quiet"]
    del n.quiet
    assert len(n.to_proto().layer) == 2
    with pytest.raises(AttributeError, match="no top 'nope'"):
        _ = n.nope


def test_what_cannot_be_is_refused() -> None:
    data = L.Input(shape={"dim": [1]})
    for wrong, reason in (
        (L.ReLU(data, nope=1), "no field 'nope'"),
        (L.Convolution(data, num_output="many"), "num_output cannot be 'many'"),
        (L.Convolution(data, pad=2.0), "pad cannot be 2.0.*Write //"),
    ):
        with pytest.raises(NetError, match=reason):
            to_proto(wrong)


def test_only_tops_are_bottoms() -> None:
    both = L.DummyData(ntop=2)
    for wrong, kind in ((both, "tuple"), ("data", "str"), (L.Silence(*both, ntop=0), "Function")):
        with pytest.raises(NotATopError) as raised:
            L.Eltwise(both[0], wrong)
        assert isinstance(raised.value, TypeError)
        assert re.fullmatch(rf"Eltwise input 1 is not a Top \(type is <class '.*{kind}'>\)", str(raised.value))
