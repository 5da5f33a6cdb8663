"""to_keras: the goldens and trained nets hold in Keras's own layers, saved and loaded where keras_caffe is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.errors import ExportError
from keras_caffe.plain.table import CANNOT, how
from tests.backends import BACKENDS
from tests.golden_models import checker, load, variants
from tests.layers.golden_case import KINDS, Golden, Run, assert_close, cases, from_edge
from tests.plain.apart import FLAGGED, alone, at_edges, is_plain, keep, values
from tests.shared_goldens import MODELS, needs_models

# One case of each kind of golden whose layers are turned by a function of their own, or have parameters or states.
SAMPLE = [
    *("Accuracy", "BatchNorm", "Bias", "Convolution", "Deconvolution", "Embed", "InnerProduct", "LRN", "LSTM"),
    *("PReLU", "Parameter", "Pooling", "PriorBox", "Scale", "SoftmaxWithLoss", "DetectionOutput"),
    # These have gradients of their own, carry states, or put values where indices say.
    *("Accuracy_ssd", "CenterLoss", "ChannelNorm", "Lstm", "RegionLoss", "Upsample_segnet", "Yolov3"),
]
NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 8 } } }
layer { name: "a/conv" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 4 kernel_size: 3
  weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "pool" type: "Pooling" bottom: "a" top: "pool" 
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 5
  weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def plain_tops(run: Run, case: Golden) -> dict[str, np.ndarray]:
    """{blob: value} of the net's outputs, of its plain model."""
    plain = keras_caffe.to_keras(run.model)
    assert is_plain(plain)
    fed = run.fed(case.group("bottom"))
    outputs = plain(fed if len(fed) > 1 else next(iter(fed.values())), training=False)
    outputs = (
        outputs if isinstance(outputs, dict) else {run.model.net.values[run.model.plan.outputs()[0]].blob: outputs}
    )
    return {name: from_edge(top, run.data_format) for name, top in outputs.items()}


@pytest.mark.parametrize("kind", SAMPLE)
def test_goldens_hold(kind: str) -> None:
    case = next(case for case in cases(kind) if case.compares and not (case.training and kind == "BatchNorm"))
    run = Run(case, "channels_last")
    tops, compared = plain_tops(run, case), 0
    for index, top in enumerate(run.model.net.value(name).blob for name in run.top_names):
        if top in tops:
            assert_close(case, tops[top], case.group("top")[index], f"top {index}")
            compared += 1
    assert compared


def passed(folder: Path, **environment: str) -> list[str]:
    """The names of the models in a folder, which give the same in a process that cannot import keras_caffe."""
    run = alone(folder, **environment)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


ROWS_BY_VALUE = ("DetectionOutput", "Filter")  # Keras's `nonzero` is not the same on all backends.
SMALL = ("lenet_v1", "mtcnn_det1_bn", "libfacedetection_v1", "hyperlpr_segmentation")


@needs_models
def test_trained_nets_need_no_keras_caffe(tmp_path: Path) -> None:
    for name, files in variants():
        if name in SMALL:
            folder = MODELS / name
            golden = checker().Golden(folder / files["golden"]).runs[0]
            for data_format in ("channels_last", "channels_first"):
                model = load(
                    MODELS / name / files["prototxt"], MODELS / name / files["weights"], data_format, golden.inputs
                )
                keep(tmp_path, f"{name}-{data_format}", model, at_edges(golden.inputs, data_format))
    assert len(passed(tmp_path)) == 2 * len(SMALL)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_is_for_every_backend(backend: str, tmp_path: Path) -> None:
    pytest.importorskip(BACKENDS[backend].package)
    files = [samples.path(f"lenet.{suffix}") for suffix in ("prototxt", "caffemodel")]
    keep(tmp_path, "lenet", keras_caffe.load(*files), {"data": values(2, 28, 28, 1)})
    keep(tmp_path, "net", keras_caffe.load(NET), {"data": values(2, 9, 8, 3)})
    for kind in ROWS_BY_VALUE:
        case = next(case for case in cases(kind) if case.compares)
        run = Run(case, "channels_last")
        keep(tmp_path, kind, run.model, run.fed(case.group("bottom")))
    found = passed(tmp_path, KERAS_BACKEND=backend, **BACKENDS[backend].environment)
    assert found == sorted(["lenet", "net", *ROWS_BY_VALUE])


def test_names_and_weights_are_kept() -> None:
    model = keras_caffe.load(NET)
    plain = keras_caffe.to_keras(model)
    assert {"data", "a_conv", "relu", "pool", "fc", "prob"} <= {operation.name for operation in plain.operations}
    kernel, bias = plain.get_layer("a_conv").get_weights()
    np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), model.get_caffe_params()["a/conv"][0])
    assert bias.tolist() == pytest.approx([0.1] * 4)


SQUARES = [  # Terms as long as an axis that they do not lie along, which Keras's `add` takes for a bias there.
    ('type: "Bias" bias_param { axis: 0 num_axes: 2 filler { type: "gaussian" } }', (3, 1, 3)),
    ('type: "Bias" bias_param { axis: 1 filler { type: "gaussian" } }', (2, 3, 3)),
    ('type: "Scale" scale_param { axis: 1 bias_term: true bias_filler { type: "gaussian" } }', (2, 3, 3)),
    ('type: "Scale" scale_param { axis: 2 bias_term: true bias_filler { type: "gaussian" } }', (1, 3, 3, 3)),
    ('type: "ReLU6" relu6_param { negative_slope: 0.5 }', (2, 5)),
]


@pytest.mark.parametrize(("layer", "shape"), SQUARES)
def test_terms_are_added_where_they_belong(layer: str, shape: tuple[int, ...]) -> None:
    dims = " ".join(f"dim: {size}" for size in shape)
    model = keras_caffe.load(
        f"""layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}
        layer {{ name: "layer" bottom: "data" top: "top" {layer} }}""",
        data_format="channels_first",
    )
    x = values(*shape)
    np.testing.assert_allclose(keras_caffe.to_keras(model)(x), model(x), rtol=1e-6, atol=1e-6)


SHARING = {
    "padded": 'type: "Convolution" convolution_param { num_output: 3 kernel_size: 5 stride: 2 pad: 2 %s }',
    "cropped": 'type: "Deconvolution" convolution_param { num_output: 3 kernel_size: 4 stride: 2 pad: 1 %s }',
    "flattened": 'type: "InnerProduct" inner_product_param { num_output: 3 %s }',
    "turned": 'type: "InnerProduct" inner_product_param { num_output: 3 axis: 3 %s }',
    "looked up": 'type: "Embed" embed_param { num_output: 3 input_dim: 9 %s }',
}


@pytest.mark.parametrize("layer", SHARING.values(), ids=SHARING)
def test_layers_that_share_all_blobs_do_all_that_the_first_does(layer: str) -> None:
    net = ""
    for side in ("left", "right"):
        net += f"""
layer {{ name: "{side}" type: "Input" top: "{side}" input_param {{ shape {{ dim: 2 dim: 2 dim: 12 dim: 11 }} }} }}
layer {{ name: "{side}/top" bottom: "{side}" top: "{side}/top" param {{ name: "w" }} param {{ name: "b" }}
  {layer % 'weight_filler { type: "uniform" } bias_filler { type: "uniform" }'} }}"""
    model = keras_caffe.load(net)
    fed = {side: np.random.default_rng(seed).integers(0, 9, (2, 12, 11, 2)) for seed, side in enumerate(model.input)}
    plain = keras_caffe.to_keras(model)
    wanted, got = model(fed), plain(fed)
    for name, want in wanted.items():
        np.testing.assert_allclose(got[name], want, rtol=1e-5, atol=1e-5)
    assert len(plain.trainable_variables) == 2


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_batches_normalised_by_themselves_are_so_in_inference(data_format: str) -> None:
    model = keras_caffe.load(
        """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 5 dim: 2 } } }
        layer { name: "norm" type: "BatchNorm" bottom: "data" top: "norm" 
        batch_norm_param { use_global_stats: false } }""",
        data_format=data_format,
    )
    x = values(*(4 if size is None else size for size in model.input.shape))
    plain = keras_caffe.to_keras(model)
    for training in (False, None, True):
        np.testing.assert_allclose(plain(x, training=training), model(x), rtol=1e-5, atol=1e-6)


CALLED_AS_PARTS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 3 kernel_size: 3
  stride: 2 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "conv_pad" type: "Power" bottom: "conv" top: "conv_pad" power_param { power: 2 scale: 3 shift: 1 } }
layer { name: "conv_pad_1" type: "Convolution" bottom: "conv_pad" top: "c" convolution_param { num_output: 2
  kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "transpose" type: "TanH" bottom: "c" top: "t" }
"""


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_layers_called_as_the_parts_of_others_keep_their_names(data_format: str, tmp_path: Path) -> None:
    model = keras_caffe.load(CALLED_AS_PARTS, data_format=data_format)
    keras_caffe.to_keras(model).save(tmp_path / "net.keras")
    plain = keras.saving.load_model(tmp_path / "net.keras")
    assert isinstance(plain.get_layer("conv_pad_1"), keras.layers.Conv2D)
    x = values(2, 8, 8, 3) if data_format == "channels_last" else values(2, 3, 8, 8)
    np.testing.assert_allclose(plain(x), model(x), rtol=1e-5, atol=1e-5)


NAMESAKES = (
    (FLAGGED % ("LSTM", "recurrent_param"))
    + """
layer { name: "memory_input" type: "InnerProduct" bottom: "memory" top: "y" param { lr_mult: 1 } param { lr_mult: 2 }
  inner_product_param { axis: 2 num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "memory/hidden" type: "InnerProduct" bottom: "y" top: "y" inner_product_param { axis: 2 num_output: 4
  weight_filler { type: "xavier" } } }
layer { name: "bias" type: "Bias" bottom: "y" top: "z" bias_param { axis: 1 num_axes: 2 } }
layer { name: "bias_blob_0" type: "InnerProduct" bottom: "z" top: "z" inner_product_param { axis: 2 num_output: 4 } }
layer { name: "reshape_1" type: "PReLU" bottom: "z" top: "z" }
"""
)


def siamese() -> str:
    text = ""
    for side, twin in (("a", ""), ("b", "_p")):
        text += f"""
layer {{ name: "{side}" type: "Input" top: "{side}" input_param {{ shape {{ dim: 2 dim: 3 dim: 6 dim: 6 }} }} }}
layer {{ name: "up{twin}" type: "Deconvolution" bottom: "{side}" top: "u{twin}" param {{ name: "w" }}
  convolution_param {{ num_output: 2 kernel_size: 4 stride: 2 pad: 1 bias_term: false }} }}
layer {{ name: "slope{twin}" type: "PReLU" bottom: "u{twin}" top: "u{twin}" param {{ name: "s" }} }}
layer {{ name: "bias{twin}" type: "Bias" bottom: "u{twin}" top: "u{twin}" param {{ name: "b" }} }}
layer {{ name: "scale{twin}" type: "Scale" bottom: "u{twin}" top: "u{twin}" }}"""
    return text


@pytest.mark.parametrize(("net", "count"), [(NAMESAKES, 11), (siamese(), 5)], ids=["namesakes", "siamese"])
def test_each_variable_has_a_path_of_its_own(net: str, count: int, tmp_path: Path) -> None:
    model = keras_caffe.load(net)
    keras_caffe.to_keras(model).save(tmp_path / "net.keras")
    code: dict[str, Any] = {"__name__": "net"}
    exec(keras_caffe.to_code(model), code)
    for plain in (keras_caffe.to_keras(model), keras.saving.load_model(tmp_path / "net.keras"), code["build_model"]()):
        paths = [variable.path for variable in plain.variables]
        assert len(set(paths)) == len(paths) == count
        assert all(variable.path.startswith(f"{layer.name}/") for layer in plain.layers for variable in layer.variables)


def test_multipliers_are_for_one_variable_alone() -> None:
    tf = pytest.importorskip("tensorflow")
    plain = keras_caffe.to_keras(keras_caffe.load(NAMESAKES))
    bias = plain.get_layer("memory_input").bias
    optimizer = keras_caffe.optimizers.SGD(0.5, multipliers={bias.path: (2, 1)})
    before = [np.array(variable) for variable in plain.trainable_variables]
    optimizer.apply([tf.ones(variable.shape) for variable in plain.trainable_variables], plain.trainable_variables)
    for variable, old in zip(plain.trainable_variables, before, strict=True):
        np.testing.assert_allclose(old - variable, 1.0 if variable is bias else 0.5, atol=1e-6)


def test_folded() -> None:
    net, weights = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
    model, x = keras_caffe.load(net, weights), values(2, 28, 28, 1)
    np.testing.assert_allclose(keras_caffe.to_keras(model, fold=True)(x), model(x), rtol=1e-4, atol=1e-6)


def test_trains_with_fit() -> None:
    plain = keras_caffe.to_keras(keras_caffe.load(NET))
    plain.compile("sgd", "sparse_categorical_crossentropy")
    before = plain.get_layer("fc").get_weights()[0]
    plain.fit(values(8, 9, 8, 3), np.arange(8) % 5, epochs=1, verbose=0)
    assert not np.array_equal(before, plain.get_layer("fc").get_weights()[0])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_red_first(data_format: str) -> None:
    model, x = keras_caffe.load(NET, data_format=data_format), values(2, 3, 9, 8)
    axis = 3 if data_format == "channels_last" else 1
    x = x.transpose(0, 2, 3, 1) if axis == 3 else x
    plain = keras_caffe.to_keras(model, rgb=True)
    assert "flip" not in {operation.name for operation in plain.operations}  # The weights are turned instead.
    np.testing.assert_allclose(plain(np.flip(x, axis)), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rgb", [False, True])
@pytest.mark.parametrize("bgr", [False, True])
def test_pictures(rgb: bool, bgr: bool) -> None:
    model, pictures = keras_caffe.load(NET), np.random.default_rng(0).integers(0, 256, (2, 9, 8, 3)).astype("float32")
    how = {"mean": [104.0, 117.0, 123.0], "scale": 0.017, "bgr": bgr}
    plain = keras_caffe.to_keras(model, rgb=rgb, preprocessing=how)
    taken = (pictures[..., ::-1] if bgr else pictures) - np.float32([104, 117, 123])
    np.testing.assert_allclose(plain(pictures), model(taken * np.float32(0.017)), rtol=1e-4, atol=1e-6)


def test_all_layers_that_cannot_be_said_are_named() -> None:
    roi = 'type: "ROIPooling" bottom: "a" bottom: "rois" roi_pooling_param { pooled_h: 1 pooled_w: 1 }'
    rois = 'layer { name: "rois" type: "Input" top: "rois" input_param { shape { dim: 1 dim: 5 } } }'
    model = keras_caffe.load(NET + rois + "".join(f'layer {{ name: "{n}" top: "{n}" {roi} }}' for n in "pq"))
    with pytest.raises(ExportError) as refused:
        keras_caffe.to_keras(model)
    assert all(f"'{name}' (ROIPooling): {CANNOT['ROIPooling']}" in str(refused.value) for name in "pq")
    kept = keras_caffe.to_keras(model, allow=["p", "q"])
    assert not is_plain(kept)
    with pytest.raises(ExportError, match="no layer has this name"):
        keras_caffe.to_keras(model, allow="r")


def test_the_table_says_how_each_type_goes() -> None:
    assert how("Convolution") == "layers"
    assert how("LRN") == "operations"
    assert how("CTCLoss") == CANNOT["CTCLoss"]


def test_kinds_of_the_sample_exist() -> None:
    assert set(SAMPLE) <= set(KINDS)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, weights, out = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"), tmp_path / "net.keras"
    assert main(["convert", str(net), str(weights), "-o", str(out), "--plain"]) == 0
    assert is_plain(keras.saving.load_model(out))
    with pytest.raises(SystemExit, match="2"):
        main(["convert", str(net), str(weights), "-o", str(out), "--fold"])
    assert "--fold: only with --plain" in capsys.readouterr().err


def test_the_page_is_up_to_date() -> None:
    from scripts import generate_plain_docs as docs

    assert docs.page() == docs.PAGE.read_text(), "run scripts/generate_plain_docs.py"
