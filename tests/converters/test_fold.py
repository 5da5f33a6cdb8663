"""Folding for inference: same outputs, fewer layers, and nothing folded that would not be exact."""

from __future__ import annotations

import numpy as np
import pytest

import keras_caffe
from keras_caffe.converters.fold import fold
from keras_caffe.errors import NetError

INPUT = 'name: "n" layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [%s] } } }\n'
CONV = """layer { name: "conv" type: "%s" bottom: "%s" top: "%s" convolution_param { num_output: 6 kernel_size: 3 %s
  weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" std: 1 } } }\n"""
DENSE = """layer { name: "ip" type: "InnerProduct" bottom: "%s" top: "%s" inner_product_param { num_output: 6 %s
  weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" std: 1 } } }\n"""
NORM = 'layer { name: "%s" type: "BatchNorm" bottom: "%s" top: "%s" %s }\n'
SCALE = 'layer { name: "%s" type: "Scale" bottom: "%s" top: "%s" scale_param { bias_term: %s } }\n'
BIAS = 'layer { name: "%s" type: "Bias" bottom: "%s" top: "%s" }\n'
RELU = 'layer { name: "relu" type: "ReLU" bottom: "%s" top: "%s" }\n'


def model_of(text: str, shape: str = "2, 4, 7, 6", **options) -> keras_caffe.CaffeModel:
    model = keras_caffe.load(INPUT % shape + text, **options)
    rng = np.random.default_rng(0)
    params = {}
    for name, layer in model.caffe_layers.items():
        for held in layer.caffe_blobs:
            positive = held.blob.name in ("variance", "factor")
            draw = rng.uniform(0.5, 2, held.blob.shape) if positive else rng.standard_normal(held.blob.shape)
            params.setdefault(name, []).append(draw.astype("float32"))
    model.set_caffe_params(params)
    return model


def check(model: keras_caffe.CaffeModel, *left: str, keep: tuple[str, ...] = ()) -> keras_caffe.CaffeModel:
    """The folded model has the layers of these types behind its input, and the outputs that the model has."""
    folded = fold(model, keep)
    assert [node.type for node in folded.net.nodes if node.type != "Input"] == list(left)
    x = np.random.default_rng(1).standard_normal(model.input_shape[1:], "float32")[None].repeat(2, 0)
    wanted, found = model(x), folded(x)
    wanted, found = (y if isinstance(y, dict) else {"y": y} for y in (wanted, found))
    assert list(wanted) == list(found)
    for name, value in wanted.items():
        value = np.asarray(value)
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5 * np.abs(value).max())
    names = [{m.net.values[v].blob for v in m.net.outputs} for m in (model, folded)]
    assert names[0] == names[1]
    return folded


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("bias", ["", "bias_term: false"])
@pytest.mark.parametrize("type", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("geometry", ["", "group: 2 stride: 2 pad: 1", "dilation: 2 pad: 2"])
def test_into_the_convolution_before(type: str, geometry: str, bias: str, in_place: bool) -> None:
    a, b, c, d = ("x",) * 4 if in_place else "abcd"
    text = CONV % (type, "data", a, f"{geometry} {bias}") + NORM % ("bn", a, b, "") + SCALE % ("s", b, c, "true")
    check(model_of(text + RELU % (c, d)), type, "ReLU")


@pytest.mark.parametrize("transpose", ["", "transpose: true"])
def test_into_the_inner_product_before(transpose: str) -> None:
    text = DENSE % ("data", "a", transpose) + NORM % ("bn", "a", "b", "") + BIAS % ("t", "b", "c")
    check(model_of(text), "InnerProduct")


@pytest.mark.parametrize("transpose", ["", "transpose: true"])
def test_into_the_inner_product_behind(transpose: str) -> None:
    text = NORM % ("bn", "data", "a", "") + SCALE % ("s", "a", "b", "true") + DENSE % ("b", "c", transpose)
    check(model_of(text), "InnerProduct")


@pytest.mark.parametrize("group", ["", "group: 2"])
def test_into_the_convolution_behind_without_padding(group: str) -> None:
    text = NORM % ("bn", "data", "a", "") + SCALE % ("s", "a", "b", "true") + CONV % ("Convolution", "b", "c", group)
    check(model_of(text), "Convolution")


@pytest.mark.parametrize("type", ["Convolution", "Deconvolution"])
def test_without_a_shift_padding_does_no_harm(type: str) -> None:
    text = SCALE % ("s", "data", "a", "false") + CONV % (type, "a", "b", "pad: 1 group: 2 bias_term: false")
    check(model_of(text), type)


@pytest.mark.parametrize(("type", "geometry"), [("Convolution", "pad: 1"), ("Deconvolution", "")])
def test_a_shift_does_not_pass_padding(type: str, geometry: str) -> None:
    text = NORM % ("bn", "data", "a", "") + SCALE % ("s", "a", "b", "true") + CONV % (type, "b", "c", geometry)
    check(model_of(text), "Scale", type)


def test_chains_become_one_scale() -> None:
    text = NORM % ("bn", "data", "a", "") + SCALE % ("s", "a", "b", "true") + BIAS % ("t", "b", "c") + RELU % ("c", "d")
    check(model_of(text), "Scale", "ReLU")


def test_batch_norm_of_five_blobs() -> None:
    text = NORM % ("bn", "data", "a", "batch_norm_param { scale_bias: true }") + RELU % ("a", "b")
    check(model_of(text), "Scale", "ReLU")


@pytest.mark.parametrize("fields", ["slope_filler { value: 1 }", "moving_average: true"])
def test_bn_of_the_forks(fields: str) -> None:
    text = (
        CONV % ("Convolution", "data", "a", "") + 'layer { name: "bn" type: "BN" bottom: "a" top: "b" bn_param { %s } }'
    )
    check(model_of(text % fields), "Convolution")


def test_nothing_stored_is_nothing_added() -> None:
    """Caffe's factor 0: mean and variance are 0."""
    model = model_of(NORM % ("bn", "data", "a", "") + SCALE % ("s", "a", "b", "true") + RELU % ("b", "c"))
    params = model.get_caffe_params()
    model.set_caffe_params({"bn": [*params["bn"][:2], np.zeros(1)]})
    check(model, "Scale", "ReLU")


def test_batch_statistics_stay() -> None:
    text = CONV % ("Convolution", "data", "a", "")
    text += NORM % ("bn", "a", "b", "batch_norm_param { use_global_stats: false }")
    check(model_of(text), "Convolution", "BatchNorm")


def test_a_second_reader_keeps_the_convolution() -> None:
    text = CONV % ("Convolution", "data", "a", "") + SCALE % ("s", "a", "b", "true") + RELU % ("a", "c")
    check(model_of(text), "Convolution", "Scale", "ReLU")


def test_a_scale_along_another_axis_stays() -> None:
    text = CONV % ("Convolution", "data", "a", "")
    text += 'layer { name: "s" type: "Scale" bottom: "a" top: "b" scale_param { axis: 2 } }'
    check(model_of(text), "Convolution", "Scale")


def test_an_axis_counted_from_the_end_is_the_same() -> None:
    text = CONV % ("Convolution", "data", "a", "")
    text += 'layer { name: "s" type: "Scale" bottom: "a" top: "b" scale_param { axis: -3 } }'
    check(model_of(text), "Convolution")


def test_a_scale_with_two_bottoms_stays() -> None:
    text = CONV % ("Convolution", "data", "a", "") + 'layer { name: "s" type: "Scale" bottom: "a" bottom: "a" top: "b"'
    check(model_of(text + " scale_param { axis: 0 } }"), "Convolution", "Scale")


def test_shared_weights_stay() -> None:
    first = (CONV % ("Convolution", "data", "a", "")).replace(" } }\n", ' } param { name: "w" } }\n')
    second = first.replace('"conv"', '"conv2"').replace('top: "a"', 'top: "c"')
    text = first + SCALE % ("s", "a", "b", "true") + second
    check(model_of(text), "Convolution", "Scale", "Convolution")


def test_dropout_and_split_go() -> None:
    text = CONV % ("Convolution", "data", "a", "") + 'layer { name: "d" type: "Dropout" bottom: "a" top: "b" }'
    text += 'layer { name: "sp" type: "Split" bottom: "b" top: "c" top: "d" }'
    text += RELU % ("c", "f") + 'layer { name: "t" type: "TanH" bottom: "d" top: "e" }'
    check(model_of(text), "Convolution", "ReLU", "TanH")


def test_an_output_keeps_its_name() -> None:
    text = CONV % ("Convolution", "data", "a", "") + 'layer { name: "d" type: "Dropout" bottom: "a" top: "y" }'
    folded = check(model_of(text), "Convolution")
    assert list(folded.net.blobs) == ["data", "y"]


def test_two_names_need_a_split() -> None:
    text = RELU % ("data", "a") + 'layer { name: "sp" type: "Split" bottom: "a" top: "b" top: "c" }'
    check(model_of(text), "ReLU", "Split")


def test_an_input_keeps_its_name() -> None:
    check(model_of('layer { name: "d" type: "Dropout" bottom: "data" top: "y" }'), "Dropout")


def test_kept_blobs_are_what_they_were() -> None:
    text = CONV % ("Convolution", "data", "a", "") + SCALE % ("s", "a", "b", "true") + RELU % ("b", "c")
    model = model_of(text)
    folded = check(model, "Convolution", "Scale", "ReLU", keep=("a",))
    x = np.random.default_rng(2).standard_normal((1, *model.input_shape[1:]), "float32")
    np.testing.assert_array_equal(model.extract("a")(x)["a"], folded.extract("a")(x)["a"])
    check(model, "Convolution", "ReLU")


def test_values_that_layers_overwrite_can_be_kept() -> None:
    text = CONV % ("Convolution", "data", "a", "") + SCALE % ("s", "a", "a", "true")
    folded = check(model_of(text), "Convolution")
    assert "a@s" not in folded.net.values
    assert "a@s" in check(model_of(text), "Convolution", "Scale", keep=("a@s",)).net.values


def test_the_model_is_not_changed() -> None:
    model = model_of(CONV % ("Convolution", "data", "a", "") + SCALE % ("s", "a", "b", "true"))
    before = {name: [array.copy() for array in arrays] for name, arrays in model.get_caffe_params().items()}
    folded = fold(model)
    folded.set_caffe_params({"conv": [array * 0 for array in folded.get_caffe_params()["conv"]]})
    for name, arrays in model.get_caffe_params().items():
        for a, b in zip(arrays, before[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_classes_of_others_are_not_folded() -> None:
    class Mine(keras_caffe.layers.Convolution):
        pass

    text = CONV % ("Convolution", "data", "a", "") + SCALE % ("s", "a", "b", "true")
    folded = check(model_of(text, custom_layers={"Convolution": Mine}), "Convolution", "Scale")
    assert isinstance(folded.caffe_layers["conv"], Mine)


def test_python_layers_stay_with_their_class() -> None:
    class Double:
        def setup(self, bottom, top):
            pass

        def reshape(self, bottom, top):
            top[0].reshape(*bottom[0].shape)

        def forward(self, bottom, top):
            top[0].data[...] = 2 * bottom[0].data

    text = CONV % ("Convolution", "data", "a", "") + SCALE % ("s", "a", "b", "true")
    text += 'layer { name: "p" type: "Python" bottom: "b" top: "c" python_param { module: "m" layer: "Double" } }'
    check(model_of(text, python_layers={"m.Double": Double}), "Convolution", "Python")


def test_inner_products_are_stored_for_batches() -> None:
    model = model_of(DENSE % ("data", "a", ""))
    folded = check(model, "InnerProduct")
    assert folded.net.node("ip").message.inner_product_param.transpose
    np.testing.assert_array_equal(folded.get_caffe_params()["ip"][0], model.get_caffe_params()["ip"][0].T)


def test_an_unknown_blob_is_named() -> None:
    with pytest.raises(NetError, match="'nope'"):
        fold(model_of(RELU % ("data", "a")), keep=["nope"])


def test_a_folded_model_saves_and_folds_again(tmp_path) -> None:
    import keras

    model = model_of(
        CONV % ("Convolution", "data", "a", "") + NORM % ("bn", "a", "b", "") + SCALE % ("s", "b", "c", "true")
    )
    folded = check(model, "Convolution")
    folded.save(tmp_path / "folded.keras")
    again = keras.saving.load_model(tmp_path / "folded.keras")
    x = np.ones((1, *model.input_shape[1:]), "float32")
    np.testing.assert_array_equal(again(x), folded(x))
    assert len(fold(folded).net.nodes) == len(folded.net.nodes)


@pytest.mark.parametrize(
    "layer", ['type: "Dropout" bottom: "a" top: "b"', 'type: "Split" bottom: "a" top: "b" top: "c"']
)
@pytest.mark.parametrize("inside", ["", 'layer { name: "i" type: "Dropout" bottom: "a" top: "a" }\n'])
def test_an_output_that_others_read_under_another_name_stays(layer: str, inside: str) -> None:
    """Without its Dropout or Split it would be no output any more."""
    text = 'layer { name: "p" type: "Power" bottom: "data" top: "a" power_param { shift: 1 } }\n' + inside
    other = 'layer { name: "q" type: "Power" bottom: "a" top: "q" power_param { scale: 2 } }\n'
    identity = f"layer {{ name: 'd' {layer} }}\n"
    reader = 'layer { name: "r" type: "Power" bottom: "c" top: "r" }\n' if "Split" in layer else other
    folded = check(model_of(text + identity + reader), "Power", layer.split('"')[1], "Power")
    assert "b" in {folded.net.values[value].blob for value in folded.net.outputs}


def test_what_a_pass_overwrites_stays() -> None:
    """Weights that each pass normalises would lose a scale that was multiplied into them."""
    normalized = "normalize: true"
    text = SCALE % ("s", "data", "a", "true") + DENSE % ("a", "y", normalized)
    check(model_of(text, "2, 5"), "Scale", "InnerProduct")
    text = DENSE % ("data", "a", normalized) + SCALE % ("s", "a", "y", "true")
    check(model_of(text, "2, 5"), "InnerProduct", "Scale")


def test_a_hole_is_a_dilation() -> None:
    scale = SCALE % ("s", "data", "a", "true")
    check(model_of(scale + CONV % ("Convolution", "a", "y", "hole: 2")), "Convolution")
    check(model_of(scale + CONV % ("Convolution", "a", "y", "hole_h: 2 hole_w: 2")), "Convolution")
    # A kernel of 7 does not fit into 6 columns: some taps see nothing.
    check(model_of(scale + CONV % ("Convolution", "a", "y", "hole: 3 stride: 2")), "Scale", "Convolution")
