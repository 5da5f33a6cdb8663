"""Scripts of cv2.dnn on `keras_caffe.cv_dnn`: names, numbers and shapes are those of OpenCV 4.14."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import cv_dnn, samples
from keras_caffe.errors import (
    ExportError,
    NetError,
    ReadError,
    ShapeError,
    UnknownNameError,
    WeightsError,
)
from tests.golden_models import variants
from tests.nets import input_layer, layer, net_with
from tests.onnx_cases import needs_onnx
from tests.shared_goldens import MODELS, ROOT, needs_models

FILES = [str(samples.path(name)) for name in ("lenet.prototxt", "lenet.caffemodel")]
LAYERS = ("conv1", "pool1", "conv2", "pool2", "ip1", "relu1", "ip2", "prob")
CONV = "convolution_param { num_output: 2 kernel_size: 3 pad: 1 weight_filler { type: 'constant' value: 0.1 } }"
CONVOLUTIONAL = (
    input_layer("data", 1, 3, 8, 8)
    + layer("conv", "Convolution", "data", "conv", CONV)
    + layer("relu", "ReLU", "conv", "conv")
    + layer("pool", "Pooling", "conv", "pool", "pooling_param { kernel_size: 3 stride: 2 }")
)
TWO = (
    input_layer("left", 1, 4)
    + input_layer("right", 1, 4)
    + layer("cut", "Slice", "left", "a b", "slice_param { axis: 1 }")
    + layer("same", "Power", "right", "c")
    + layer("same", "Power", "c", "d", "power_param { shift: 1 }")
)
COUNTED = {  # layer of a blob (2, 6, 8, 10): what OpenCV 4.14 counts
    "ReLU": 960,
    "PReLU": 960,
    "ELU": 1920,
    "ReLU6": 1920,
    "Sigmoid": 2880,
    "TanH": 960,
    "AbsVal": 960,
    "BNLL": 4800,
    "Exp": 2880,
    "Swish": 2880,
    "Mish": 2880,
    "Softmax": 3840,
    "Power": 1920,
    "Power power_param { power: 2 }": 9600,
    "Scale scale_param { bias_term: true }": 1920,
    "BatchNorm": 2880,
    "Flatten": 0,
    "Dropout": 0,
    "LRN lrn_param { local_size: 3 }": 4880,
    "LRN lrn_param { local_size: 13 }": 5760,
    "LRN lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }": 19200,
    "MVN": 5796,
    "MVN mvn_param { normalize_variance: false }": 5766,
    "Pooling pooling_param { kernel_size: 3 stride: 2 }": 2160,
    "Pooling pooling_param { kernel_size: 3 stride: 2 pool: AVE pad: 1 }": 3600,
    "Pooling pooling_param { pool: AVE global_pooling: true }": 24,
    "Eltwise bottom: 'x0'": 1920,
    "Convolution convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 }": 17440,
    "Convolution convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 group: 2 }": 31536,
    "Deconvolution convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 }": 184320,
    "Deconvolution convolution_param { num_output: 6 kernel_size: 3 group: 6 }": 103680,
    "InnerProduct inner_product_param { num_output: 5 }": 14400,
    "InnerProduct inner_product_param { num_output: 5 axis: 3 }": 14400,
}
WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None  # Whoever imports it fails.
from keras_caffe import cv_dnn, samples
net = cv_dnn.readNetFromCaffe(str(samples.path("lenet.prototxt")), str(samples.path("lenet.caffemodel")))
digits, labels = samples.digits()
net.setInput(digits[:1].reshape(1, 1, 28, 28), scalefactor=samples.SCALE)
print(net.forward().argmax() == labels[0])
"""

pytestmark = needs_onnx


@pytest.fixture
def lenet() -> cv_dnn.Net:
    return cv_dnn.readNetFromCaffe(*FILES)


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, "float32")


def text_net(text: str) -> cv_dnn.Net:
    return cv_dnn.readNetFromCaffe(text.encode())


def test_layers_have_opencvs_names_and_numbers(lenet: cv_dnn.Net) -> None:
    assert lenet.getLayerNames() == LAYERS
    assert [lenet.getLayerId(name) for name in ("conv1", "prob", "data", "nope")] == [1, 8, -1, -1]
    assert lenet.getUnconnectedOutLayersNames() == ("prob",)
    assert lenet.getUnconnectedOutLayers().tolist() == [8]
    assert not lenet.empty()
    assert [lenet.getLayer(1).name, lenet.getLayer("prob").type, lenet.getLayer(0).name] == [
        "conv1",
        "Softmax",
        "_input",
    ]
    assert lenet.getLayer(0).outputNameToIndex("data") == 0
    assert lenet.getLayer(0).outputNameToIndex("im_info") == -1


def test_shapes_of_layers_are_those_of_opencv(lenet: cv_dnn.Net) -> None:
    numbers, bottoms, tops = lenet.getLayersShapes([2, 1, 28, 28])
    assert numbers.tolist() == list(range(9))
    assert [shape.tolist() for (shape,) in bottoms[:3]] == [[2, 1, 28, 28], [2, 1, 28, 28], [2, 20, 24, 24]]
    assert [shape.tolist() for (shape,) in tops[-4:]] == [[2, 500], [2, 500], [2, 10], [2, 10]]
    assert repr(lenet.getLayersShapes([[2, 1, 28, 28]])) == repr((numbers, bottoms, tops))


def test_every_layer_gives_what_the_model_computes(lenet: cv_dnn.Net) -> None:
    x = images(2, 1, 28, 28)
    lenet.setInput(x)
    found = lenet.forward(list(LAYERS))
    values = ["conv1", "pool1", "conv2", "pool2", "ip1@ip1", "ip1@relu1", "ip2", "prob"]
    part = keras_caffe.load(*FILES, data_format="channels_first").extract(values)
    wanted = part(x)
    for value, array in zip(values, found, strict=True):
        # Sums of 500 products of about 1, in another order.
        np.testing.assert_allclose(array, np.asarray(wanted[value]), rtol=1e-5, atol=5e-6)
    assert isinstance(found, tuple)
    assert found[4].min() < 0  # before the ReLU that works in place
    np.testing.assert_allclose(lenet.forward(), found[-1], rtol=1e-5)
    nanoseconds, _ = lenet.getPerfProfile()
    assert nanoseconds > 0


def test_an_input_is_scaled_as_opencv_scales_it(lenet: cv_dnn.Net) -> None:
    pixels = (images(1, 1, 28, 28) * 255).astype("uint8")
    lenet.setInput(pixels, "data", 1 / 256, (30, 40, 50))
    scaled = lenet.forward()
    lenet.setInput((pixels.astype("float32") - 30) / 256)
    np.testing.assert_array_equal(scaled, lenet.forward())
    two = text_net(TWO)
    two.setInput([[1, 2, 3, 4]], "right", 2)
    np.testing.assert_array_equal(two.forward(), [[3, 5, 7, 9]])


@pytest.mark.parametrize(
    ("shape", "mean", "wanted"),
    [
        ((2, 3), (1, 1, 1, 1), [9] * 6),
        ((3,), (1, 2, 3), [9] * 3),
        ((1, 3, 2), (1, 2), [9, 9, 8, 8, 10, 10]),
        ((1, 2, 1, 1, 2), 1, [9, 9, 10, 10]),
        ((1, 5), (0, 0, 0, 0), [10] * 5),
    ],
)
def test_a_mean_is_subtracted_of_blobs_of_any_rank(shape: tuple[int, ...], mean: Any, wanted: list[int]) -> None:
    net = text_net(input_layer("data", *shape) + layer("same", "Power", "data", "same"))
    net.setInput(np.full(shape, 10), mean=mean)
    assert net.forward().ravel().tolist() == wanted


@pytest.mark.parametrize(("shape", "mean"), [((2, 3), (1, 2, 3)), ((1, 5, 1, 1), (1,)), ((1, 3), [0] * 5)])
def test_a_mean_that_opencv_refuses_is_refused(shape: tuple[int, ...], mean: Any) -> None:
    net = text_net(input_layer("data", *shape) + layer("same", "Power", "data", "same"))
    with pytest.raises(ShapeError, match="mean"):
        net.setInput(np.zeros(shape), mean=mean)


def test_outputs_are_asked_for_in_opencvs_ways(lenet: cv_dnn.Net) -> None:
    lenet.setInput(images(1, 1, 28, 28))
    last = lenet.forward("prob")
    np.testing.assert_array_equal(lenet.forward(None), last)
    for found in (lenet.forward([]), lenet.forward(outBlobNames=["prob"])):
        assert isinstance(found, tuple)
        np.testing.assert_array_equal(found, [last])


def test_a_layer_without_tops_gives_what_it_reads() -> None:
    net = text_net(TWO + layer("end", "Silence", "a"))
    assert net.getUnconnectedOutLayersNames() == ("same_1", "end")
    net.setInput([[1, 2, 3, 4]])
    np.testing.assert_array_equal(net.forward(), [[1, 2]])


def test_counts_of_lenet_are_those_of_opencv(lenet: cv_dnn.Net) -> None:
    types = ("Convolution", "InnerProduct", "Pooling", "ReLU", "Softmax", "__NetInputLayer__")
    assert lenet.getLayerTypes() == types
    assert [lenet.getLayersCount(type) for type in (*types, "Nope")] == [2, 2, 2, 1, 1, 1, 0]
    assert lenet.getMemoryConsumption([1, 1, 28, 28]) == (1724320, 80816)
    assert lenet.getMemoryConsumption(1, [[1, 1, 28, 28]]) == (2080, 46080)
    assert [lenet.getLayerId("_input"), lenet.getLayer("_input").type] == [0, ""]
    assert '\t"conv1" -> "pool1"' in lenet.dump()


@pytest.mark.parametrize("kind", COUNTED)
def test_operations_are_counted_as_opencv_counts_them(kind: str) -> None:
    type, _, param = kind.partition(" ")
    net = text_net(net_with(type, (2, 6, 8, 10), param=param))
    assert net.getFLOPS([2, 6, 8, 10]) == COUNTED[kind]


def test_operations_of_boxes_and_regions_are_counted_as_opencv_counts_them() -> None:
    priors = "prior_box_param { min_size: 8 max_size: 16 aspect_ratio: 2 variance: 0.1 }"
    net = text_net(net_with("PriorBox", (2, 6, 8, 10), (2, 3, 33, 41), param=priors))
    assert net.getFLOPS([[2, 6, 8, 10], [2, 3, 33, 41]]) == 22928
    regions = "roi_pooling_param { pooled_w: 2 pooled_h: 2 spatial_scale: 1 }"
    net = text_net(net_with("ROIPooling", (2, 6, 8, 10), (3, 5), param=regions))
    assert net.getFLOPS([[2, 6, 8, 10], [3, 5]]) == 144


def test_operations_of_lenet_are_counted_for_the_batch_that_is_asked_for(lenet: cv_dnn.Net) -> None:
    assert lenet.getFLOPS([2, 1, 28, 28]) == lenet.getFLOPS([[2, 1, 28, 28]]) == 10041960
    assert [lenet.getFLOPS(number, [2, 1, 28, 28]) for number in (0, 1, 2, 5, 6, 8)] == [
        0,
        1175040,
        23040,
        2400000,
        1000,
        80,
    ]


def test_the_dump_is_written_to_a_file(lenet: cv_dnn.Net, tmp_path: Path) -> None:
    lenet.dumpToFile(tmp_path / "net.dot")
    assert (tmp_path / "net.dot").read_text("utf-8") == lenet.dump()
    lenet.setHalideScheduler("")


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda net: net.addLayer("a", "ReLU", 5, {}), "no addLayer: a net is what its prototxt says. Change"),
        (lambda net: net.addLayerToPrev("a", "ReLU", 5, {}), "no addLayerToPrev"),
        (lambda net: net.connect("conv1.0", "prob.0"), "no connect"),
        (lambda net: net.registerOutput("out", 1, 0), "no registerOutput"),
        (lambda net: net.quantize([], 1, 5, perChannel=True), "no quantize: nets compute in float32. keras_caffe.eng"),
        (lambda net: net.getInputDetails(), "no getInputDetails"),
        (lambda net: net.getOutputDetails(), "no getOutputDetails"),
        (lambda net: net.forwardAsync(), "no forwardAsync"),
        (lambda net: net.dumpToPbtxt("net.pbtxt"), "no dumpToPbtxt"),
        (lambda net: cv_dnn.Net.readFromModelOptimizer("net.xml", "net.bin"), "no readFromModelOptimizer"),
    ],
)
def test_what_only_opencv_has_is_refused_by_name(lenet: cv_dnn.Net, use: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(NetError, match=says):
        use(lenet)


def test_learned_values_are_known_by_number(lenet: cv_dnn.Net) -> None:
    lenet.setInput(images(1, 1, 28, 28))
    assert lenet.getParam(1).shape == (20, 1, 5, 5)
    lenet.setParam("ip2", 0, np.zeros((10, 500)))
    lenet.setParam("ip2", 1, np.zeros(10))
    np.testing.assert_allclose(lenet.forward(), np.full((1, 10), 0.1), rtol=1e-6)


def test_inputs_may_have_other_names_and_sizes() -> None:
    net = text_net(TWO)
    net.setInputsNames(["x", "y"])
    net.setInputShape("x", [3, 4])  # not needed for what y alone gives
    net.setInput([[1, 2, 3, 4]] * 3, "y")
    np.testing.assert_array_equal(net.forward(), [[2, 3, 4, 5]] * 3)
    assert net.getLayer(0).outputNameToIndex("y") == 1
    net.enableFusion(False)
    net.enableWinograd(False)


def test_opencvs_other_names_of_readers_and_buffers(lenet: cv_dnn.Net) -> None:
    proto, model = (Path(file).read_bytes() for file in FILES)
    for net in (
        cv_dnn.readNetFromCaffe(bufferProto=proto, bufferModel=model),
        cv_dnn.readNet(FILES[1], FILES[0]),
        cv_dnn.readNet(FILES[0], FILES[1], "caffe"),
        cv_dnn.readNet("caffe", model, proto),
        cv_dnn.readNet("Caffe", bufferModel=model, bufferConfig=proto),
    ):
        np.testing.assert_array_equal(net.getParam("ip2"), lenet.getParam("ip2"))


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda content: np.frombuffer(content, "uint8")])
def test_buffers_are_read_as_files_are(lenet: cv_dnn.Net, kind: Callable[[bytes], Any]) -> None:
    net = cv_dnn.readNetFromCaffe(*(kind(Path(file).read_bytes()) for file in FILES))
    for one in (net, lenet):
        one.setInput(images(1, 1, 28, 28))
    np.testing.assert_array_equal(net.forward(), lenet.forward())


def test_sizes_may_change_from_call_to_call(tmp_path: Path) -> None:
    net = text_net(CONVOLUTIONAL)
    for shape in ((1, 3, 8, 8), (2, 3, 8, 8), (1, 3, 13, 6), (1, 3, 8, 8)):
        net.setInput(images(*shape))
        model = keras_caffe.load(CONVOLUTIONAL, input_shapes={"data": shape}, data_format="channels_first")
        wanted = np.asarray(model(images(*shape)))
        assert net.forward().shape == wanted.shape
        np.testing.assert_allclose(net.forward(), wanted, rtol=1e-5)


def test_several_tops_and_layers_of_one_name() -> None:
    net = text_net(TWO)
    assert net.getLayerNames() == ("cut", "same", "same_1")
    assert net.getUnconnectedOutLayersNames() == ("cut", "same_1")
    net.setInput([[1, 2, 3, 4]])  # the first input
    np.testing.assert_array_equal(net.forward("cut"), [[1, 2]])
    ((a, b),) = net.forwardAndRetrieve(["cut"])
    np.testing.assert_array_equal(np.concatenate([a, b], 1), [[1, 2, 3, 4]])


def test_learned_values_can_be_set_and_a_bias_left_out(lenet: cv_dnn.Net) -> None:
    lenet.setInput(images(1, 1, 28, 28))
    before = lenet.forward()
    layer = lenet.getLayer("ip2")
    kernel, bias = layer.blobs
    assert kernel.shape == (10, 500)
    layer.blobs = [np.zeros((10, 500))]
    np.testing.assert_allclose(lenet.forward(), np.full((1, 10), 0.1), rtol=1e-6)
    layer.blobs = [kernel, bias.reshape(1, 10)]
    np.testing.assert_array_equal(lenet.forward(), before)


def test_backends_and_targets_are_taken(lenet: cv_dnn.Net) -> None:
    lenet.setPreferableBackend(3)
    lenet.setPreferableTarget(1)
    lenet.setInput(images(1, 1, 28, 28))
    assert lenet.forward().shape == (1, 10)


@pytest.mark.parametrize(
    ("use", "error", "says"),
    [
        (lambda net: net.forward("conv9"), UnknownNameError, "no layer 'conv9'. Did you mean"),
        (lambda net: net.getLayer(9), UnknownNameError, "no layer 9; expected 0 to 8"),
        (lambda net: net.setInput(images(1), "date"), UnknownNameError, "no input 'date'"),
        (lambda net: net.forward(), NetError, "input 'data' is not set. Call setInput"),
        (lambda net: _fed(net, 1, 1, 30, 30), ShapeError, r"'ip1' \(InnerProduct\): the inputs' sizes"),
        (lambda net: _fed(net, 28, 28), ShapeError, "Pooling needs a bottom with 4 axes"),
        (lambda net: _set_blobs(net, 1, [3]), WeightsError, "do not fit layer 'conv1'"),
        (lambda net: _set_blobs(net, 2, [3]), WeightsError, "do not fit layer 'pool1'"),
        (lambda net: _set_blobs(net, 0, [3]), WeightsError, "layer 0"),
        (lambda net: net.getLayersShapes([[1, 1, 28, 28]] * 2), NetError, "one shape for each input"),
        (lambda net: cv_dnn.readNetFromCaffe("nowhere.prototxt"), ReadError, "nowhere.prototxt"),
        (lambda net: cv_dnn.readNetFromCaffe(b"layer {"), ReadError, "buffer.prototxt:2:1: the text ends"),
        (lambda net: cv_dnn.readNetFromCaffe(None), NetError, "no net to read"),
        (lambda net: cv_dnn.readNet(FILES[1]), NetError, "no net to read"),
        (lambda net: cv_dnn.readNet("net.pb", "net.pbtxt", "tensorflow"), NetError, "not one of Caffe's"),
        (lambda net: net.getParam("pool1"), WeightsError, "has no blob 0"),
        (lambda net: net.setParam("conv1", 2, [3]), WeightsError, "has no blob 2"),
        (lambda net: net.setInputsNames(["a", "b"]), NetError, "more names than inputs"),
        (lambda net: net.setInputShape("date", [1]), UnknownNameError, "no input 'date'"),
        (lambda net: cv_dnn.readNetFromCaffe(np.zeros(3)), TypeError, "array of uint8"),
    ],
)
def test_faults_are_named(lenet: cv_dnn.Net, use: Callable[[Any], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        use(lenet)


def _fed(net: cv_dnn.Net, *shape: int) -> Any:
    net.setInput(images(*shape))
    return net.forward()


def _set_blobs(net: cv_dnn.Net, layer: int, blobs: list[Any]) -> None:
    net.getLayer(layer).blobs = blobs


def test_without_onnx_runtime_reading_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match="pip install 'keras-caffe\\[onnx\\]'"):
        cv_dnn.readNetFromCaffe(*FILES)


@needs_models
@pytest.mark.parametrize("folder", ["hyperlpr_mininet_ssd", "libfacedetection_v1", "mtcnn_det1"])
def test_trained_nets_give_caffes_outputs(folder: str) -> None:
    files = dict(variants())[folder]
    arrays = np.load(MODELS / folder / files["golden"])
    net = cv_dnn.readNetFromCaffe(MODELS / folder / files["prototxt"], MODELS / folder / files["weights"])
    net.setInput(arrays["input/data"])
    names = net.getUnconnectedOutLayersNames()
    assert names
    for name, found in zip(names, net.forward(names), strict=True):
        wanted = arrays[f"output/{name}"]
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_it_needs_no_tensorflow() -> None:
    environment = {"KERAS_BACKEND": "numpy", "PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
