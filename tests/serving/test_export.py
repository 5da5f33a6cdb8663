"""Exported versions: signatures, pictures, labels, warm-up, the card; run by the C program and a fresh Python."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import samples
from keras_caffe.errors import ExportError
from keras_caffe.serving import warmup
from tests.nets import net_with
from tests.serving.runners import needs_compiler, signature_defs

DIGITS = [str(digit) for digit in range(10)]
FCN = """
name: "fcn"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 8, 6] } } }
layer { name: "block/conv" type: "Convolution" bottom: "data" top: "block/conv" convolution_param { num_output: 4
  kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "block/relu" type: "ReLU" bottom: "block/conv" top: "block/conv" }
layer { name: "pool" type: "Pooling" bottom: "block/conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
"""
DENSE = 'layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 2 } }'


@pytest.fixture(scope="module")
def lenet() -> keras_caffe.CaffeModel:
    return keras_caffe.load(
        samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"), data_format="channels_last"
    )


def signatures(path: Path) -> dict[str, Any]:
    card = json.loads((path / "model_card.json").read_text())
    assert {*card["signatures"]} == {*signature_defs(path)} - {"__saved_model_init_op"}
    return card["signatures"]


def serve(path: Path, signature: str = "serving_default", **inputs: Any) -> dict[str, np.ndarray]:
    loaded = tf.saved_model.load(str(path))
    found = loaded.signatures[signature](**{name: tf.constant(x) for name, x in inputs.items()})
    return {name: value.numpy() for name, value in found.items()}


def test_versions_count_up(lenet: Any, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "lenet"
    assert keras_caffe.export(lenet, folder) == folder / "1"
    assert keras_caffe.export(lenet, str(folder)) == folder / "2"
    assert keras_caffe.export(lenet, folder, 7) == folder / "7"
    assert keras_caffe.export(lenet, folder) == folder / "8"
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "7", "8"]


def test_the_default_signature_has_caffes_names(lenet: Any, tmp_path: Path) -> None:
    found = signatures(keras_caffe.export(lenet, tmp_path))
    assert found == {
        "serving_default": {
            "inputs": {"data": {"dtype": "float32", "shape": [None, 28, 28, 1]}},
            "outputs": {"prob": {"dtype": "float32", "shape": [None, 10]}},
        }
    }


@pytest.mark.parametrize(("type", "outputs"), [("Convolution", "num_output: 2"), ("Im2col", "")])
@pytest.mark.parametrize("window", ["kernel_size: 5 stride: 3", "kernel_size: 5 stride: 3 pad: 1 dilation: 2"])
def test_a_kernel_beyond_its_bottom_keeps_the_size(type: str, outputs: str, window: str, tmp_path: Path) -> None:
    """Caffe's division gives it a pixel, or none at all; TensorFlow's windows do not."""
    x = np.random.default_rng(0).random((2, 4, 3, 3), "float32")
    net = net_with(type, x.shape, param=f"convolution_param {{ {window} {outputs} }}")
    model = keras_caffe.load(net, data_format="channels_first")
    found = serve(keras_caffe.export(model, tmp_path), x0=x)["y"]
    assert found.shape[2:] == ((0, 0) if "dilation" in window else (1, 1))
    np.testing.assert_allclose(found, model(x), rtol=1e-6)


@pytest.mark.parametrize(("net", "size"), [(FCN, [None, None]), (FCN + DENSE, [8, 6])])
def test_height_and_width_are_open_where_the_net_allows_it(net: str, size: list[Any], tmp_path: Path) -> None:
    model = keras_caffe.load(net, data_format="channels_last")
    path = keras_caffe.export(model, tmp_path)
    assert signatures(path)["serving_default"]["inputs"]["data"]["shape"] == [None, *size, 3]
    fixed = keras_caffe.export(model, tmp_path, dynamic=False)
    assert signatures(fixed)["serving_default"]["inputs"]["data"]["shape"] == [None, 8, 6, 3]
    x = np.random.default_rng(0).standard_normal((3, 8, 6, 3), "float32")
    for version in (path, fixed):
        (found,) = serve(version, data=x).values()
        np.testing.assert_allclose(found, model(x), rtol=1e-5, atol=1e-6)
    if None in size:
        assert serve(path, data=np.zeros((1, 13, 17, 3), "float32"))["pool"].shape == (1, 4, 5, 4)


def test_data_format_is_chosen(tmp_path: Path) -> None:
    model = keras_caffe.load(FCN, data_format="channels_last")
    path = keras_caffe.export(model, tmp_path, data_format="channels_first")
    x = np.random.default_rng(0).standard_normal((1, 8, 6, 3), "float32")
    found = serve(path, data=x.transpose(0, 3, 1, 2))["pool"]
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1), model(x), rtol=1e-5, atol=1e-6)


def test_outputs_and_further_signatures(tmp_path: Path) -> None:
    model = keras_caffe.load(FCN + DENSE, data_format="channels_last")
    path = keras_caffe.export(model, tmp_path, outputs=["pool", "ip"], signatures={"features": ["block/conv", "pool"]})
    found = signatures(path)
    assert set(found["serving_default"]["outputs"]) == {"pool", "ip"}
    assert set(found["features"]["outputs"]) == {"block/conv", "pool"}
    x = np.random.default_rng(0).standard_normal((2, 8, 6, 3), "float32")
    wanted = model.extract(["block/conv", "pool"])(x)
    for name, value in serve(path, "features", data=x).items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-5, atol=1e-6)


def test_a_list_of_blobs_is_a_signature_each(tmp_path: Path) -> None:
    model = keras_caffe.load(FCN, data_format="channels_last")
    found = signatures(keras_caffe.export(model, tmp_path, signatures=["block/conv", "block/conv@block/conv"]))
    assert {name: list(tables["outputs"]) for name, tables in found.items()} == {
        "serving_default": ["pool"],
        "block/conv": ["block/conv"],
        "block/conv_block/conv": ["block/conv@block/conv"],
    }


def test_maps_of_labels_are_none_in_the_check(tmp_path: Path) -> None:
    """Random numbers are no labels; what is read as data, too, stays random."""
    inputs = "shape { dim: [1, 3, 4, 5] } shape { dim: [1, 1, 4, 5] }"
    net = f"""
    layer {{ name: "in" type: "Input" top: "data" top: "label" input_param {{ {inputs} }} }}
    layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }}
    layer {{ name: "hit" type: "Accuracy" bottom: "data" bottom: "label" top: "hit" }}
    layer {{ name: "far" type: "EuclideanLoss" bottom: "data" bottom: "data" top: "far" }}"""
    model = keras_caffe.load(net, data_format="channels_first")
    fed = {"data": np.zeros((1, 3, 4, 5), "float32"), "label": np.full((1, 1, 4, 5), 2, "float32")}
    served = serve(keras_caffe.export(model, tmp_path), **fed)
    np.testing.assert_allclose(served["loss"], np.log(3), rtol=1e-6)


def test_inputs_with_a_default_are_not_asked_for(tmp_path: Path) -> None:
    text = FCN + 'layer { name: "one" type: "DummyData" top: "one" dummy_data_param { shape { dim: [1, 4, 2, 2] } '
    text += 'data_filler { value: 3 } } } layer { name: "sum" type: "Eltwise" bottom: "pool" bottom: "one" top: "sum" }'
    model = keras_caffe.load(text, data_format="channels_last")
    x = np.random.default_rng(0).standard_normal((1, 8, 6, 3), "float32")
    wanted = np.asarray(model({"data": x}))
    np.testing.assert_allclose(serve(keras_caffe.export(model, tmp_path), data=x)["sum"], wanted, rtol=1e-5, atol=1e-6)


@needs_compiler
def test_lenet_reads_png_and_jpeg(lenet: Any, tmp_path: Path, in_c: Any, in_python: Any) -> None:
    """What docs/serving.md does: encoded digits in, names and scores out; warm-up requests are answered too."""
    images, labels = samples.digits()
    images, labels = images[:20], labels[:20]
    path = keras_caffe.export(
        lenet, tmp_path, inputs="image_bytes", preprocessing={"scale": samples.SCALE}, labels=DIGITS, top=3
    )
    pictures = np.asarray(images).reshape(-1, 28, 28, 1).astype("uint8")
    png = np.array([tf.io.encode_png(picture).numpy() for picture in pictures], object)
    jpeg = np.array([tf.io.encode_jpeg(picture, quality=100).numpy() for picture in pictures], object)
    prob = np.asarray(lenet(pictures * np.float32(samples.SCALE)))
    asked = [(name, {"image_bytes": data}) for data in (png, jpeg) for name in ("serving_default", "classify")]
    for run in (in_c, in_python):
        exact, best, near, near_best = run(path, *asked, *warmup.read(path / warmup.FILE))[:4]
        np.testing.assert_allclose(exact["prob"], prob, rtol=1e-5, atol=1e-6)
        assert best["classes"].shape == best["scores"].shape == (20, 3)
        np.testing.assert_allclose(best["scores"][:, 0], prob.max(1), rtol=1e-5)
        assert [name.decode() for name in best["classes"][:, 0]] == [str(digit) for digit in prob.argmax(1)]
        assert (near["prob"].argmax(1) == labels).mean() >= 0.95
        assert [name.decode() for name in near_best["classes"][:, 0]] == [str(n) for n in near["prob"].argmax(1)]


@needs_compiler
def test_warm_up_requests_are_answered(lenet: Any, tmp_path: Path, in_c: Any) -> None:
    fed = {"data": np.random.default_rng(0).standard_normal((4, 28, 28, 1), "float32")}
    path = keras_caffe.export(lenet, tmp_path, signatures=["ip1"], warm_up={"serving_default": fed, "ip1": fed})
    records = list(warmup.read(path / warmup.FILE))
    assert [name for name, _ in records] == ["serving_default", "ip1"]
    np.testing.assert_array_equal(records[0][1]["data"], fed["data"])
    prob, ip1 = in_c(path, *records)
    np.testing.assert_allclose(prob["prob"], lenet(fed["data"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ip1["ip1"], lenet.extract("ip1")(fed["data"])["ip1"], rtol=1e-5, atol=1e-5)


def test_warm_up_is_one_request_a_signature_or_none(lenet: Any, tmp_path: Path) -> None:
    path = keras_caffe.export(lenet, tmp_path, signatures=["ip1"])
    found = {name: inputs["data"].shape for name, inputs in warmup.read(path / warmup.FILE)}
    assert found == {"serving_default": (1, 28, 28, 1), "ip1": (1, 28, 28, 1)}
    assert not (keras_caffe.export(lenet, tmp_path, warm_up=False) / warmup.FILE).exists()


def test_warm_up_requests_get_the_signatures_types(lenet: Any, tmp_path: Path) -> None:
    path = keras_caffe.export(lenet, tmp_path, warm_up={"serving_default": {"data": np.zeros((2, 28, 28, 1))}})
    ((_, inputs),) = warmup.read(path / warmup.FILE)
    assert (inputs["data"].dtype, inputs["data"].shape) == (np.float32, (2, 28, 28, 1))


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"data": np.zeros((1, 28, 28, 1)), "bogus": np.zeros(3)}, "other inputs.*expected data; received data, bogus"),
        ({}, "other inputs"),
        ({"data": np.zeros((1, 1, 28, 28))}, "does not fit"),
        ({"data": np.full((1, 28, 28, 1), "x")}, "does not fit"),
    ],
)
def test_warm_up_requests_that_do_not_fit_are_refused(lenet: Any, tmp_path: Path, request_: Any, says: str) -> None:
    with pytest.raises(ExportError, match=says):
        keras_caffe.export(lenet, tmp_path, warm_up={"serving_default": request_})


@pytest.mark.parametrize(
    "options",
    [
        {"signatures": {"classify": ["ip1"]}, "labels": DIGITS},
        {"signatures": {"serving_default": ["ip1"]}, "outputs": ["prob"]},
        {"signatures": ["ip1", "ip1"]},
    ],
)
def test_no_signature_replaces_another(lenet: Any, tmp_path: Path, options: Any) -> None:
    with pytest.raises(ExportError, match="is taken"):
        keras_caffe.export(lenet, tmp_path, **options)


def test_warm_up_records_are_servings_messages() -> None:
    """The bytes that tensorflow-serving-api's own classes write for the same request."""
    log = warmup.prediction_log()
    log.predict_log.request.model_spec.name = "m"
    log.predict_log.request.model_spec.signature_name = "s"
    log.predict_log.request.inputs.add(key="x", value=tf.make_tensor_proto(np.float32([1])).SerializeToString())
    wanted = "321f0a1d0a060a016d1a01731213" + "0a01781" + "20e0801120412020801" + "2a04" + "0000803f"
    assert log.SerializeToString().hex() == wanted


def test_the_card_says_where_it_comes_from(lenet: Any, tmp_path: Path) -> None:
    card = json.loads((keras_caffe.export(lenet, tmp_path) / "model_card.json").read_text())
    files = [samples.path(name) for name in ("lenet.prototxt", "lenet.caffemodel")]
    assert card["sources"] == [
        {"file": file.name, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest()} for file in map(Path, files)
    ]
    assert card["versions"]["keras_caffe"] == keras_caffe.__version__
    assert card["versions"]["tensorflow"] == tf.__version__
    assert card["operations"]["serving_default"]["Transpose"] == 1  # pool2 to ip1, which flattens in Caffe's order


def test_weights_are_variables(lenet: Any, tmp_path: Path) -> None:
    path = keras_caffe.export(lenet, tmp_path)
    count = sum(array.size for arrays in lenet.get_caffe_params().values() for array in arrays)
    assert (path / "variables" / "variables.data-00000-of-00001").stat().st_size >= 4 * count
    assert (path / "saved_model.pb").stat().st_size < 200_000


def test_a_folded_net_has_no_transpose_that_it_does_not_need(tmp_path: Path) -> None:
    text = FCN.replace('"block/relu" type: "ReLU"', '"block/relu" type: "ELU"')
    text += 'layer { name: "p" type: "Permute" bottom: "pool" top: "p" permute_param { order: [0, 2, 3, 1] } } '
    text += 'layer { name: "f" type: "Flatten" bottom: "p" top: "f" }'
    path = keras_caffe.export(keras_caffe.load(text, data_format="channels_last"), tmp_path)
    card = json.loads((path / "model_card.json").read_text())
    assert "Transpose" not in card["operations"]["serving_default"]
