"""What a backward pass reads: what the blobs hold when it runs, as in Caffe."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import ShapeError

INNER = """force_backward: true
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "a" top: "b"
  inner_product_param { num_output: 1 weight_filler { value: 3 } } }"""


def test_without_a_forward() -> None:
    net = caffe.Net(INNER, caffe.TEST)
    net.blobs["b"].diff[...] = [[1], [2]]
    net.blobs["a"].data[...] = [[5], [7]]
    assert net.backward()["a"].tolist() == [[3], [6]]
    assert net.params["ip"][0].diff.tolist() == [[5 + 2 * 7]]
    assert net.params["ip"][1].diff.tolist() == [3]


def test_a_bottom_that_is_written_after_forward() -> None:
    net = caffe.Net(INNER, caffe.TEST)
    net.forward(a=np.array([[5], [5]]))
    net.blobs["a"].data[0] = 7
    net.blobs["b"].diff[...] = 1
    net.backward()
    assert net.params["ip"][0].diff.tolist() == [[12]]
    net.clear_param_diffs()
    net.forward()
    net.backward()
    assert net.params["ip"][0].diff.tolist() == [[12]]


def test_a_blob_in_the_middle_that_is_written_after_forward() -> None:
    text = INNER.replace('bottom: "a" top: "b"', 'bottom: "h" top: "b"').replace(
        'layer { name: "ip"',
        """layer { name: "h" type: "Power" bottom: "a" top: "h" power_param { scale: 2 } }
        layer { name: "relu" type: "ReLU" bottom: "h" top: "h" }
        layer { name: "ip" """,
    )
    net = caffe.Net(text, caffe.TEST)
    net.forward(a=np.ones((2, 1)))
    net.blobs["b"].diff[...] = 1
    assert net.backward()["a"].tolist() == [[6], [6]]
    net.blobs["h"].data[...] = [[-1], [4]]  # the in-place ReLU reads it, too
    assert net.backward()["a"].tolist() == [[0], [6]]
    assert net.params["ip"][0].diff.tolist() == [[4 + 3]]


def test_what_an_in_place_layer_overwrote_counts_where_nothing_was_written() -> None:
    """The gradient of a layer below an in-place layer is right, whether the script has looked at the blob or not."""
    text = """force_backward: true
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 } } }
        layer { name: "h" type: "Power" bottom: "x" top: "h" }
        layer { name: "log" type: "BNLL" bottom: "h" top: "h" }"""
    net = caffe.Net(text, caffe.TEST)
    net.blobs["h"].data, net.blobs["x"].data  # noqa: B018
    x = np.float32([-1, 0, 2])
    net.forward(x=x)
    np.testing.assert_allclose(net.blobs["h"].data, np.log1p(np.exp(x)), rtol=1e-6)
    np.testing.assert_allclose(net.backward(h=np.ones(3))["x"], 1 / (1 + np.exp(-x)), rtol=1e-6)


def test_memory_that_a_split_and_a_flatten_share() -> None:
    text = """force_backward: true
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 2 } } }
        layer { name: "flat" type: "Flatten" bottom: "x" top: "flat" flatten_param { axis: 0 } }
        layer { name: "square" type: "Power" bottom: "flat" top: "square" power_param { power: 2 } }
        layer { name: "relu" type: "ReLU" bottom: "x" top: "relu" }"""
    net = caffe.Net(text, caffe.TEST)
    net.forward(x=np.ones((2, 2)))
    net.blobs["x"].data[...] = [[1, 2], [3, -4]]
    found = net.backward(square=np.ones(4), relu=np.ones((2, 2)))
    np.testing.assert_allclose(found["x"], [[3, 5], [7, -8]])


class Ten:
    def setup(self, bottom, top) -> None:
        pass

    def reshape(self, bottom, top) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top) -> None:
        top[0].data[...] = 10 * bottom[0].data

    def backward(self, top, propagate_down, bottom) -> None:
        bottom[0].diff[...] = 10 * top[0].diff + bottom[0].data - top[0].data


def test_python_layers_read_the_blobs_too() -> None:
    layers = "".join(
        f"layer {{ name: '{t}' type: 'Python' bottom: '{b}' top: '{t}' python_param {{ module: 'm' layer: 'Ten' }} }}"
        for b, t in ["xa", "ab", "bc"]
    )
    data = "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 2 } } }"
    net = caffe.Net("force_backward: true " + data + layers, caffe.TEST, python_layers={"m.Ten": Ten})
    net.blobs["c"].diff[...] = 7
    assert net.backward()["x"].tolist() == [7000, 7000]  # all data are 0
    net.forward(x=np.ones(2))
    assert net.backward(start="a")["x"].tolist() == [10 * 700 - 9] * 2
    net.blobs["x"].data[...] = [2, 3]
    net.blobs["a"].data[0] = 20
    assert net.backward(start="a")["x"].tolist() == [7000 + 2 - 20, 7000 + 3 - 10]


def test_shapes_that_no_layer_has_seen() -> None:
    net = caffe.Net(INNER, caffe.TEST)
    net.forward(a=np.ones((2, 1)))
    net.blobs["a"].reshape(3, 1)
    with pytest.raises(ShapeError, match=r"'a' has another shape .* expected \(2, 1\); received \(3, 1\).*reshape"):
        net.backward()
    net.reshape()
    net.blobs["a"].data[...] = 2
    net.blobs["b"].diff[...] = 1
    assert net.backward()["a"].tolist() == [[3], [3], [3]]
    assert net.params["ip"][0].diff.tolist() == [[6]]


def one_layer(type: str, fields: str = "", labels: bool = False) -> caffe.Net:
    bottoms = 'bottom: "x" bottom: "t"' if labels else 'bottom: "x"'
    return caffe.Net(
        f"""layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 }} }} }}
        layer {{ name: "t" type: "Input" top: "t" input_param {{ shape {{ dim: 2 dim: {1 if labels else 3} }} }} }}
        layer {{ name: "y" type: "{type}" {bottoms} top: "y" {fields} loss_weight: 1 propagate_down: true
          {"propagate_down: false" if labels else ""} }} force_backward: true""",
        caffe.TEST,
    )


X = np.float32([[0.5, -1, 2], [1, 3, -0.5]])
Y = np.float32([[0.1, 0.2, 0.7], [0.9, 0.6, 0.3]])
D = np.float32([[1, 2, 3], [-1, 0.5, 2]])
SIGMOID = 1 / (1 + np.exp(-2 * X))
FROM_TOPS = {  # src/caffe/layers: with y as the script has left it, x as forward has seen it
    "Sigmoid": ("", D * Y * (1 - Y)),
    "TanH": ("", D * (1 - Y * Y)),
    "Softmax": ("", Y * (D - (D * Y).sum(1, keepdims=True))),
    "Exp": ("exp_param { base: 2 scale: 3 }", D * Y * 3 * np.log(2)),
    "ELU": ("elu_param { alpha: 0.5 }", D * np.where(X > 0, 1, Y + 0.5)),
    "Power": ("power_param { power: 3 scale: 2 shift: 4 }", D * 6 * Y / (2 * X + 4)),
    "Swish": ("swish_param { beta: 2 }", D * (2 * Y + SIGMOID * (1 - 2 * Y))),
}


@pytest.mark.parametrize("type", FROM_TOPS)
def test_a_top_that_is_written_after_forward(type: str) -> None:
    fields, want = FROM_TOPS[type]
    net = one_layer(type, fields)
    net.forward(x=X, t=X)
    plain = net.backward(y=D, t=X)["x"].copy()
    top = net.blobs["y"].data.copy()
    net.blobs["y"].data[...] = Y
    np.testing.assert_allclose(net.backward(y=D, t=X)["x"], want, rtol=2e-6)
    net.blobs["y"].data[...] = top
    np.testing.assert_allclose(net.backward(y=D, t=X)["x"], plain, rtol=1e-6)
    step = [net.forward(x=X + e, t=X)["y"].astype("float64") for e in (1e-2, -1e-2)]  # the plain one is a gradient
    if type != "Softmax":
        np.testing.assert_allclose(plain, D * (step[0] - step[1]) / 2e-2, rtol=3e-2)


def test_a_top_that_a_script_writes_without_a_forward() -> None:
    net = one_layer("Sigmoid")
    net.blobs["y"].data[...] = Y
    np.testing.assert_allclose(net.backward(y=D, t=X)["x"], D * Y * (1 - Y), rtol=1e-6)


KEEP = {  # Caffe's backward of these takes what forward kept of the bottom, and labels as they are then
    "BatchNorm": "",
    "Pooling": "pooling_param { kernel_size: 2 }",
    "MVN": "",
    "SoftmaxWithLoss": "",
    "Sigmoid": "",
}


@pytest.mark.parametrize("type", KEEP)
def test_what_forward_has_kept(type: str) -> None:
    labels = 'bottom: "t"' if "Loss" in type else ""
    text = f"""force_backward: true
        layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 dim: 4 dim: 4 }} }} }}
        layer {{ name: "t" type: "Input" top: "t" input_param {{ shape {{ dim: 2 dim: 1 dim: 4 dim: 4 }} }} }}
        layer {{ name: "y" type: "{type}" bottom: "x" {labels} top: "y" {KEEP[type]} }}"""
    net = caffe.Net(text, caffe.TRAIN)
    draw = np.random.default_rng(0)
    net.forward(x=draw.normal(size=(2, 3, 4, 4)), t=np.zeros((2, 1, 4, 4)))
    if not labels:
        net.blobs["y"].diff[...] = draw.normal(size=net.blobs["y"].shape)
    want = net.backward()["x"].copy()
    assert want.any()
    net.blobs["x"].data[...] = draw.normal(size=(2, 3, 4, 4))
    np.testing.assert_allclose(net.backward()["x"], want, rtol=1e-6)
    net.forward()
    assert np.abs(net.backward()["x"] - want).max() > 1e-3


def test_labels_that_are_written_after_forward() -> None:
    net = one_layer("SoftmaxWithLoss", labels=True)
    net.forward(x=X, t=np.zeros((2, 1)))
    chances = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    net.blobs["t"].data[...] = [[1], [2]]
    np.testing.assert_allclose(net.backward()["x"], (chances - [[0, 1, 0], [0, 0, 1]]) / 2, rtol=1e-5)


def test_the_greatest_of_several_bottoms_is_the_one_that_forward_found() -> None:
    for operation, want in {"MAX": [[1, 0], [0, 1]], "PROD": [[9, 8], [7, 6]]}.items():
        net = caffe.Net(
            f"""force_backward: true
            layer {{ name: "x" type: "Input" top: "a" top: "b" input_param {{ shape {{ dim: 2 }} }} }}
            layer {{ name: "y" type: "Eltwise" bottom: "a" bottom: "b" top: "y"
              eltwise_param {{ operation: {operation} }} }}""",
            caffe.TEST,
        )
        net.forward(a=np.array([2, 0]), b=np.array([1, 1]))
        net.blobs["a"].data[...] = [7, 6]
        net.blobs["b"].data[...] = [9, 8]
        found = net.backward(y=np.ones(2))
        assert [found["a"].tolist(), found["b"].tolist()] == want


@pytest.mark.parametrize(("type", "slope", "weight"), [("Scale", 3, 5), ("PReLU", 1, 0)])
def test_a_copy_that_forward_keeps_of_what_it_overwrites(type: str, slope: float, weight: float) -> None:
    """Scale and PReLU in place go by the copy; beside each other with their top, by what the bottom holds."""
    fields = "scale_param { filler { value: 3 } }" if type == "Scale" else ""
    for top in ("h", "y"):
        net = caffe.Net(
            f"""force_backward: true
            layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 dim: 1 }} }} }}
            layer {{ name: "h" type: "Power" bottom: "x" top: "h" }}
            layer {{ name: "y" type: "{type}" bottom: "h" top: "{top}" {fields} }}""",
            caffe.TEST,
        )
        net.forward(x=np.array([[5]]))
        net.blobs["h"].data[...] = -7
        assert net.backward(**{top: np.ones((1, 1))})["x"] == (slope if top == "h" or type == "Scale" else 0.25)
        assert net.params["y"][0].diff == (weight if top == "h" else -7)
