"""Which dialect of Caffe a net is read in."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from keras_caffe import load, proto
from keras_caffe.converters.definition import read_definition
from keras_caffe.errors import CaffeError, CaffeWarning, LayerError, NetError
from keras_caffe.forks.dialects import BVLC, DIALECTS, MARKS, named, taken
from keras_caffe.layers import AbsVal, BatchNorm
from tests.nets import input_layer, layer
from tests.shared_goldens import WILD, needs_wild

X = input_layer("x", 2, 3, 4, 4)
NVCAFFE = layer("bn", "BatchNorm", "x", "y", "batch_norm_param { scale_bias: true }")
SEGNET = layer("segnet", "BN", "x", "z", "bn_param { bn_mode: INFERENCE }")
PLAIN = layer("relu", "ReLU", "x", "y")


def fork_of(text: str, fork: str | None = None) -> tuple[str, str]:
    found = load(X + text, fork=fork).net.fork
    return found.name, found.reason


def test_a_net_without_marks_is_caffes_own() -> None:
    assert fork_of(PLAIN) == (BVLC, "nothing in the file points to another Caffe")


def test_the_mark_and_its_line_are_the_reason() -> None:
    line = X.count("\n") + 1
    want = f"it has batch_norm_param.scale_bias (<text>:{line}, layer 'bn' (BatchNorm))"
    assert fork_of(NVCAFFE) == ("nvcaffe", want)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_the_layers_of_the_other_phase_count(phase: str) -> None:
    data = layer("data", "ImageLabelmapData", "", "data", "include { phase: TRAIN stage: 'never' }")
    assert load(data + X + PLAIN, phase=phase).net.fork.name == "fcn"


def test_auto_crop_tells_rcf_from_hed() -> None:
    data = layer("data", "ImageLabelmapData", "", "data", "include { phase: TRAIN }")
    for before in ("", data):
        assert load(before + UP + CROP.replace("Crop", "AutoCrop")).net.fork.name == "rcf"
    assert load(UP + CROP.replace("Crop", "AutoCrop"), fork="bvlc").net.fork.name == "bvlc"


@pytest.mark.parametrize(
    ("asked", "taken"),
    [("bvlc", "bvlc"), ("SSD", "ssd"), ("HED", "fcn"), ("Fcn", "fcn"), ("NVIDIA", "nvcaffe"), ("PSPNet", "pspnet")],
)
def test_any_case_and_the_other_names(asked: str, taken: str) -> None:
    assert fork_of(PLAIN, asked) == (taken, "as asked for")


@pytest.mark.parametrize("fork", ["hedd", "", 3])
def test_an_unknown_fork_is_refused_with_the_known_ones(fork: str) -> None:
    with pytest.raises(LayerError) as refused:
        load(X + PLAIN, fork=fork)
    assert all(name in str(refused.value) for name in (*DIALECTS, "hed"))
    assert repr(fork) in str(refused.value)


def test_marks_of_two_forks_are_refused_with_both_lines() -> None:
    text = X + NVCAFFE + SEGNET
    with pytest.raises(NetError) as refused:
        load(text)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("layer")][1:]
    for what, line in zip(("batch_norm_param.scale_bias", "bn_param.bn_mode"), lines, strict=True):
        assert f"{what} (<text>:{line}" in str(refused.value)


@pytest.mark.parametrize("fork", ["bvlc", "ssd", "segnet"])
def test_a_fork_that_the_file_contradicts_is_refused(fork: str) -> None:
    with pytest.raises(NetError, match=rf"fork='{fork}'.*<text>:\d+: *|scale_bias \(<text>:\d+, layer 'bn'") as refused:
        load(X + NVCAFFE, fork=fork)
    assert "only nvcaffe knows" in str(refused.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bn_param { scale_filler { } }", "bn_param { slope_filler { } }"),
        ("bn_param { shift_filler { } }", "bn_param { bias_filler { } }"),
        ("bn_param { frozen: true }", "bn_param { decay: 0.1 }"),
        ("convolution_param { num_output: 2 kernel_size: 3 hole: 2 }", "bn_param { momentum: 0.5 }"),
        ("normalize_param { }", "norm_param { across_spatial: false }"),
    ],
)
def test_fields_of_two_forks_are_refused_with_both_lines_in_either_order(one: str, other: str) -> None:
    for pair in ((one, other), (other, one)):
        text = X + "".join(layer(f"l{i}", "AbsVal", "x", f"y{i}", param) for i, param in enumerate(pair))
        with pytest.raises(NetError, match="marks of two forks of Caffe") as refused:
            load(text)
        first = X.count("\n") + 1
        for number, param in enumerate(pair, first):
            assert re.search(rf"{param.split()[0]}[.\w]* \(<text>:{number}, layer", str(refused.value))


@pytest.mark.parametrize(("bottoms", "param"), [("x x", "l1_loss_param { plateau: 1 }"), ("x", "")])
def test_nvcaffes_l1_loss_is_not_flownets(bottoms: str, param: str) -> None:
    loss = layer("l", "L1Loss", bottoms, "z", param)
    assert fork_of(loss)[0] == BVLC
    for text, fork in ((loss, "nvcaffe"), (NVCAFFE + loss, None)):
        with pytest.raises(LayerError, match="L1Loss is FlowNet2's here, the net NVIDIA's"):
            fork_of(text, fork)


@pytest.mark.parametrize(("param", "fork"), [("", "segnet"), ("upsample_h: 8 upsample_w: 8", None)])
def test_segnets_upsample_needs_a_mask(param: str, fork: str | None) -> None:
    with pytest.raises(LayerError, match="SegNet's Upsample takes values and their mask; expected 2 bottoms"):
        load(X + layer("up", "Upsample", "x", "y", f"upsample_param {{ {param} }}"), fork=fork)


@pytest.mark.parametrize("fork", [name for mark in MARKS for name in mark.forks])
def test_marks_name_known_forks(fork: str) -> None:
    assert fork in DIALECTS


@pytest.mark.parametrize("what", [mark.what for mark in MARKS if mark.what[0].islower()])
def test_marks_name_fields(what: str) -> None:
    descriptor = proto.LayerParameter.DESCRIPTOR
    for name in what.partition("=")[0].split("."):
        assert name in descriptor.fields_by_name, what
        descriptor = descriptor.fields_by_name[name].message_type


def test_a_saved_model_keeps_its_fork(tmp_path) -> None:
    import keras

    load(X + NVCAFFE).save(tmp_path / "net.keras")
    model = keras.saving.load_model(tmp_path / "net.keras")
    assert model.net.fork.name == "nvcaffe"
    assert model.caffe_layers["bn"].statistics == "averages"


@needs_wild
def test_every_wild_net_is_of_one_fork() -> None:
    forks = set()
    for path in sorted((WILD / "prototxts").iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaffeWarning)
            try:
                definition = read_definition(path)
            except CaffeError:
                continue
        forks.add(taken(definition.message, None, definition.where).name)
    assert forks >= {"bvlc", "ssd", "rcnn", "nvcaffe", "pspnet", "fcn", "intel", "ristretto"}


def test_no_name_is_none() -> None:
    assert named(None) is None


def test_nvcaffe_without_scale_is_nvcaffes_too() -> None:
    text = X + layer("bn", "BatchNorm", "x", "y", "batch_norm_param { eps: 1e-7 use_global_stats: true }")
    bn = load(text, fork="nvcaffe").caffe_layers["bn"]
    assert (bn.statistics, bn.eps, bn.use_global_stats, len(bn.caffe_blobs)) == ("averages", 1e-5, None, 3)
    assert load(text).caffe_layers["bn"].statistics == "sums"


@pytest.mark.parametrize("affine", ["scale_bias: true", "scale_filler { value: 2 }", "bias_filler { value: 3 }"])
def test_nvcaffe_trains_scale_and_bias_alone(affine: str) -> None:
    param = f"batch_norm_param {{ {affine} }} " + "param { lr_mult: 3 } " * 3 + "param { lr_mult: 0 } "
    model = load(X + layer("bn", "BatchNorm", "x", "y", param), phase="TRAIN")
    specs = [(spec.lr_mult, spec.decay_mult) for spec in model.net.node("bn").message.param]
    assert specs == [(0, 0)] * 3 + [(1, 1)] * 2
    assert [weight.name for weight in model.trainable_weights] == ["scale", "bias"]
    assert [float(array.ravel()[0]) for array in model.get_caffe_params()["bn"][2:]] == [
        1,
        2 if "scale_filler" in affine else 1,
        3 if "bias_filler" in affine else 0,
    ]


def test_nvcaffe_averages_by_hand() -> None:
    bn = BatchNorm(statistics="averages", moving_average_fraction=0.75)
    x = np.random.default_rng(1).normal(size=(3, 8, 2)).astype("float32")
    for batch in x:
        bn(batch, training=True)
    means, variances = x.mean(1), x.var(1) + 1e-5
    np.testing.assert_allclose(bn.mean, 0.75 * means[1] + 0.25 * means[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bn.variance, 0.75 * variances[1] + 0.25 * variances[2], rtol=1e-5)
    np.testing.assert_array_equal(bn.factor, [1])


UP = (
    input_layer("x", 1, 1, 8, 8)
    + layer("conv", "Convolution", "x", "conv", "convolution_param { num_output: 1 kernel_size: 3 pad: 5 }")
    + layer("pool", "Pooling", "conv", "pool", "pooling_param { kernel_size: 2 stride: 2 }")
    + layer("up", "Deconvolution", "pool", "up", "convolution_param { num_output: 1 kernel_size: 4 stride: 2 }")
)
CROP = layer("crop", "Crop", "up x", "y")


def crop_offset(text: str, fork: str | None = None) -> tuple[int, ...]:
    return load(text, fork=fork).caffe_layers["crop"].offset


def test_crop_is_aligned_by_the_layers_between() -> None:
    assert crop_offset(UP + CROP, "fcn") == (5, 5)
    assert crop_offset(UP + CROP.replace("Crop", "AutoCrop")) == (5, 5)


def test_crop_of_height_and_width_apart() -> None:
    apart = "kernel_h: 3 kernel_w: 5 pad_h: 5 pad_w: 7"
    assert crop_offset(UP.replace("kernel_size: 3 pad: 5", apart) + CROP, "hed") == (5, 6)


def test_crop_warns_where_two_meanings_differ() -> None:
    with pytest.warns(CaffeWarning, match=r"offset 5, 5.*fork='fcn'.*fork='bvlc'"):
        assert crop_offset(UP + CROP) == (0,) * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert crop_offset(UP + CROP, "bvlc") == (0,) * 2
        assert crop_offset(UP + layer("crop", "Crop", "up x", "y", "crop_param { offset: 2 }"), "fcn") == (2, 2)


def test_crop_of_a_dialect_that_a_data_layer_told_warns_too() -> None:
    """ImageLabelmapData is HED's, and in caffe_dss, whose Crop is BVLC's."""
    data = layer("data", "ImageLabelmapData", "", "data", "include { phase: TRAIN }")
    with pytest.warns(CaffeWarning, match=r"crops at the offset 5, 5 .*; BVLC's crops at 0.*fork='bvlc'"):
        assert crop_offset(data + UP + CROP) == (5, 5)
    half = data + UP.replace("kernel_size: 4 stride: 2", "kernel_size: 3 stride: 2") + CROP
    with pytest.raises(NetError, match=r"State crop_param.*fork='bvlc' to crop at 0, as caffe_dss and RAS do"):
        load(half)
    assert crop_offset(half, "bvlc") == (0, 0)


@pytest.mark.parametrize(
    ("up", "message"),
    [
        ("convolution_param { num_output: 1 kernel_size: 4 stride: 3 }", "do not align them.*scale 3/2|scale 2/3"),
        ("convolution_param { num_output: 1 kernel_size: 3 stride: 2 }", "offset 11/2|offset 9/2"),
        ("convolution_param { num_output: 1 kernel_size: 4 stride: 2 pad: 6 }", "offset -1"),
    ],
)
def test_crop_refuses_what_no_offset_aligns(up: str, message: str) -> None:
    text = re.sub(r"convolution_param { num_output: 1 kernel_size: 4 stride: 2 }", up, UP) + CROP
    with pytest.raises(NetError, match=message):
        load(text, fork="fcn")


def test_crop_refuses_layers_that_move_values() -> None:
    text = UP + layer("flat", "Reshape", "up", "flat", "reshape_param { shape { dim: [0, 0, 0, 0] } }")
    with pytest.raises(NetError, match=r"layer 'flat' \(Reshape\)"):
        load(text + CROP.replace('"up"', '"flat"'), fork="fcn")


def test_crop_refuses_bottoms_without_a_common_ancestor() -> None:
    with pytest.raises(NetError, match="not made of one blob"):
        load(UP + input_layer("z", 1, 1, 8, 8) + layer("crop", "Crop", "up z", "y"), fork="fcn")


FLOATS = input_layer("x", 2, 3, 6, 6) + "".join(
    [
        layer("conv", "Convolution", "x", "y", "convolution_param { num_output: 4 kernel_size: 3 }"),
        layer("norm", "LRN", "y", "z", "lrn_param { local_size: 3 }"),
        layer("fc", "InnerProduct", "z", "w", "inner_product_param { num_output: 5 }"),
    ]
)


def quantized(ending: str) -> str:
    names = {"Convolution": "Convolution", "InnerProduct": "Fc"} | ({"LRN": "LRN"} if ending == "Ristretto" else {})
    return re.sub(r'type: "(\w+)"', lambda m: f'type: "{names[m[1]]}{ending}"' if m[1] in names else m[0], FLOATS)


@pytest.mark.parametrize(("ending", "fork"), [("Ristretto", "ristretto"), ("Inq", "bvlc")])
def test_quantised_types_compute_in_floats_and_say_so(ending: str, fork: str) -> None:
    with pytest.warns(
        CaffeWarning, match=rf"compute with fewer bits .*Convolution{ending}.*\n?.*here they compute in floats"
    ):
        model = load(quantized(ending))
    assert model.net.fork.name == fork
    floats = load(FLOATS)
    floats.set_caffe_params(model.get_caffe_params())
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 3)).astype("float32")
    np.testing.assert_array_equal(model(x), floats(x))


def test_a_quantised_type_of_ones_own_stays() -> None:
    text = input_layer("x", 2, 3, 6, 6) + layer("c", "ConvolutionInq", "x", "y")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load(text, custom_layers={"ConvolutionInq": AbsVal})
    assert isinstance(model.caffe_layers["c"], AbsVal)
