"""Fillers against Caffe's: the exact ones by value, the random ones by their distribution; drawn by loading a net."""

from __future__ import annotations

import json
import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import fillers, proto
from keras_caffe.errors import LayerError
from tests.layers.golden_case import cases
from tests.nets import input_layer, layer
from tests.shared_goldens import GOLDENS

RANDOM = json.loads((GOLDENS / "net" / "fillers_random.json").read_text())
FORMATS = ("channels_last", "channels_first")


def net(shape: list[int], filler: str) -> str:
    """A net whose layer "f" has a first blob of this shape."""
    weights = f"filler {{ {filler} }}"
    if len(shape) == 1:
        dims, type, param = [1, shape[0]], "Scale", f"scale_param {{ {weights} }}"
    elif len(shape) == 2:
        dims = [1, shape[1]]
        type, param = "InnerProduct", f"inner_product_param {{ num_output: {shape[0]} weight_{weights} }}"
    else:
        dims, sizes = [1, *shape[1:]], f"num_output: {shape[0]} kernel_h: {shape[2]} kernel_w: {shape[3]}"
        type, param = "Convolution", f"convolution_param {{ {sizes} weight_{weights} }}"
    return input_layer("x", *dims) + layer("f", type, "x", "y", param)


def drawn(shape: list[int], filler: str, data_format: str = "channels_last") -> np.ndarray:
    model = keras_caffe.load(net(shape, filler), data_format=data_format)
    return model.get_caffe_params()["f"][0]


def exact() -> list[Any]:
    with np.load(GOLDENS / "net" / "fillers_exact.npz") as file:
        meta = json.loads(str(file["meta"]))
        return [(m["shape"], m["filler"], file[str(m["index"])]) for m in meta]


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("shape", "filler", "want"), exact())
def test_exact(shape: list[int], filler: str, want: np.ndarray, data_format: str) -> None:
    np.testing.assert_allclose(drawn(shape, filler, data_format), want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case", RANDOM, ids=lambda c: f"{c['filler']} {c['shape']}")
def test_distribution(case: dict[str, Any]) -> None:
    keras.utils.set_random_seed(7)
    values = drawn(case["shape"], case["filler"])
    want = dict(zip(case["columns"], case["mean"], strict=True))
    spread = want["std"]
    assert values.mean() == pytest.approx(want["mean"], abs=0.02 * spread)
    assert values.std() == pytest.approx(spread, rel=0.02)
    assert (values == 0).mean() == pytest.approx(want["zero_fraction"], abs=0.005)
    for name in (n for n in case["columns"] if n.startswith("q")):
        assert np.quantile(values, int(name[1:]) / 100) == pytest.approx(want[name], abs=0.1 * spread), name
    if "uniform" in case["filler"] or "xavier" in case["filler"]:  # the others have no hard bounds
        assert values.min() >= want["min"] - 0.01 * spread
        assert values.max() <= want["max"] + 0.01 * spread


@pytest.mark.parametrize("case", list(cases("Fillers")), ids=str)
def test_goldens(case: Any) -> None:
    """Small blobs: exact ones by value, the others within what so few values can tell."""
    keras.utils.set_random_seed(7)
    params = keras_caffe.load(case.text).get_caffe_params()["layer"]
    for index, want in case.group("param").items():
        got = params[index]
        if case.note.startswith("exact") or index:
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
            continue
        error = 5 * float(want.std()) / math.sqrt(want.size)
        assert got.mean() == pytest.approx(float(want.mean()), abs=2 * error)
        assert got.std() == pytest.approx(float(want.std()), abs=2 * error)
        assert (got == 0).mean() == pytest.approx(float((want == 0).mean()), abs=0.1)


def test_rows_of_positive_unitball_add_up_to_one() -> None:
    rows = drawn([50, 80], 'type: "positive_unitball"')
    assert (rows > 0).all()
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)


def test_the_global_seed_decides() -> None:
    draws = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        draws.append(drawn([20, 30], 'type: "gaussian" std: 0.1'))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_two_layers_of_one_net_draw_different_numbers() -> None:
    two = net([20, 30], 'type: "xavier"')
    two += two.splitlines()[1].replace('"f"', '"g"').replace('"y"', '"z"')
    params = keras_caffe.load(two).get_caffe_params()
    assert (params["f"][0] != params["g"][0]).any()


@pytest.mark.parametrize(
    ("shape", "filler", "reason"),
    [
        ([3, 4], 'type: "nope"', "unknown filler"),
        ([3, 4], 'type: "bilinear"', "bilinear"),
        ([2, 1, 3, 4], 'type: "bilinear"', "bilinear"),
        ([3, 4], 'type: "uniform" min: 1 max: -1', "min"),
        ([3, 4], 'type: "xavier" sparse: 2', "sparse"),
        ([3, 4], 'type: "gaussian" std: 0', "std"),
    ],
)
def test_refused(shape: list[int], filler: str, reason: str) -> None:
    with pytest.raises(LayerError, match=f"'f'.*{reason}"):
        drawn(shape, filler)


def test_defaults_are_the_messages() -> None:
    message = proto.FillerParameter(type="uniform")
    filler = fillers.get(fillers.from_caffe(message))
    assert (filler.min, filler.max, filler.std) == (message.min, message.max, message.std)


def test_random_fillers_draw_in_a_graph_and_follow_the_global_seed() -> None:
    def made() -> np.ndarray:
        keras.utils.set_random_seed(3)
        layer = keras_caffe.layers.InnerProduct(4, weight_filler={"type": "gaussian", "std": 1.0})
        tf.function(layer)(tf.ones((2, 5)))
        return layer.caffe_blobs[0].get()

    first = made()
    assert first.std() > 0
    np.testing.assert_array_equal(made(), first)
