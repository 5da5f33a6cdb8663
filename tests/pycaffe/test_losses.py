"""Losses of a pycaffe net whose layers do not name their tops: Caffe calls each of them "(automatic)"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe import pycaffe as caffe

NET = """
layer { name: "data" type: "Input" top: "x" top: "y" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param {
  num_output: 3 weight_filler { type: "constant" value: 0.5 } } }
layer { name: "far" type: "EuclideanLoss" bottom: "ip" bottom: "y" %s loss_weight: 1 }
layer { name: "near" type: "EuclideanLoss" bottom: "ip" bottom: "x" %s loss_weight: 5 }
"""
UNNAMED, NAMED = NET % ("", ""), NET % ('top: "far"', 'top: "near"')
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def run(text: str) -> caffe.Net:
    net = caffe.Net(text, caffe.TRAIN)
    net.forward(x=X, y=np.zeros((2, 3)))
    net.backward()
    return net


def test_the_last_unnamed_loss_is_a_blob_and_none_is_an_output() -> None:
    net = run(UNNAMED)
    assert list(net.blobs)[-1] == "(automatic)"
    assert net.blobs["(automatic)"].shape == ()
    assert net.outputs == []
    assert net.top_names["far"] == net.top_names["near"] == ["(automatic)"]
    assert net.blob_loss_weights["(automatic)"] == net.blobs["(automatic)"].diff == 5
    assert net.forward(end="near")["(automatic)"] == run(NAMED).blobs["near"].data


def test_each_unnamed_loss_has_its_own_weight() -> None:
    unnamed, named = run(UNNAMED), run(NAMED)
    np.testing.assert_array_equal(unnamed.params["ip"][0].diff, named.params["ip"][0].diff)
    expected = (unnamed.blobs["ip"].data + 5 * (unnamed.blobs["ip"].data - X)).T @ X / 2
    np.testing.assert_allclose(unnamed.params["ip"][0].diff, expected, rtol=1e-6)


@pytest.mark.parametrize("weight", [0, 3])
def test_a_weight_of_the_last_loss_is_not_the_firsts(weight: int) -> None:
    text = UNNAMED.replace("loss_weight: 5", f"loss_weight: {weight}")
    net = run(text)
    assert net.blob_loss_weights["(automatic)"] == weight
    np.testing.assert_array_equal(
        net.params["ip"][0].diff, run(NAMED.replace("loss_weight: 5", f"loss_weight: {weight}")).params["ip"][0].diff
    )


def test_a_new_batch_size_keeps_the_weights_apart() -> None:
    nets = [run(UNNAMED), run(NAMED)]
    for net in nets:
        net.clear_param_diffs()
        for name in net.inputs:
            net.blobs[name].reshape(4, 3)
        net.forward(x=np.tile(X, (2, 1)), y=np.zeros((4, 3)))
        net.backward()
    np.testing.assert_array_equal(*(net.params["ip"][0].diff for net in nets))


def test_what_pycaffe_leaves_in_it_is_what_a_model_computes(tmp_path: Path) -> None:
    net = run(UNNAMED)
    file = tmp_path / "reference.npz"
    np.savez(file, **{name: blob.data for name, blob in net.blobs.items()})
    compared = keras_caffe.compare(UNNAMED, None, file, phase="TRAIN")
    assert [(row.blob, row.layer, row.problem) for row in compared.rows][-1] == ("(automatic)", "near", None)
    model = keras_caffe.load(UNNAMED, phase="TRAIN")
    assert model.caffe_shapes["(automatic)"] == ()
    values = model.extract(["(automatic)", "(automatic)@far"]).predict({"x": X, "y": np.zeros((2, 3))}, verbose=0)
    assert values["(automatic)"] == net.blobs["(automatic)"].data
    assert values["(automatic)@far"] == run(NAMED).blobs["far"].data
    keras_caffe.save(model, tmp_path / "again.prototxt")
    assert list(keras_caffe.load(tmp_path / "again.prototxt", phase="TRAIN").blobs) == list(model.blobs)
    assert "automatic" not in (tmp_path / "again.prototxt").read_text()
