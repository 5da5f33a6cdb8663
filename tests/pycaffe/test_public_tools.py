"""The calls of Caffe's tutorials and of tools that change trained nets, on tiny nets, with their own import lines."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from keras_caffe.pycaffe import install, settings


@pytest.fixture(autouse=True)
def caffe_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    install(force=True)
    yield
    settings.use_python_layers({})
    for name in [name for name in sys.modules if name.partition(".")[0] in ("caffe", "own_layers")]:
        del sys.modules[name]


def write_points(name: str, count: int) -> None:
    """Points on a plane and on which side of a line they are, as HDF5Data reads them."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((count, 2)).astype(np.float32)
    points += np.sign(points @ [1, -1])[:, None] * np.float32([0.5, -0.5])
    with h5py.File(f"{name}.h5", "w") as file:
        file["data"], file["label"] = points, (points @ [1, -1] > 0).astype(np.float32)
    Path(f"{name}.txt").write_text(f"{name}.h5\n")


def test_brewing_logistic_regression_and_the_loop_of_learning_lenet() -> None:
    import caffe
    from caffe import layers as L
    from caffe.proto import caffe_pb2

    for name, count in (("train", 80), ("test", 40)):
        write_points(name, count)
        n = caffe.NetSpec()
        n.data, n.label = L.HDF5Data(batch_size=10, source=f"{name}.txt", ntop=2)
        n.ip1 = L.InnerProduct(n.data, num_output=2, weight_filler=dict(type="xavier"))
        n.accuracy = L.Accuracy(n.ip1, n.label)
        n.loss = L.SoftmaxWithLoss(n.ip1, n.label)
        Path(f"{name}.prototxt").write_text(str(n.to_proto()))
    s = caffe_pb2.SolverParameter()
    s.train_net = "train.prototxt"
    s.test_net.append("test.prototxt")
    s.test_interval = 500
    s.test_iter.append(4)
    s.max_iter, s.base_lr, s.lr_policy, s.gamma, s.stepsize, s.momentum = 60, 0.5, "step", 0.1, 5000, 0.9
    s.snapshot, s.snapshot_prefix, s.solver_mode = 10000, "train", caffe_pb2.SolverParameter.CPU
    Path("solver.prototxt").write_text(str(s))

    caffe.set_mode_cpu()
    solver = caffe.get_solver("solver.prototxt")
    losses, output = np.zeros(60), np.zeros((60, 8, 2))
    solver.net.forward()
    solver.test_nets[0].forward()
    first = solver.test_nets[0].blobs["data"].data.copy()
    for it in range(60):
        solver.step(1)
        losses[it] = solver.net.blobs["loss"].data
        solver.test_nets[0].forward(start="ip1")  # on the batch that it has
        output[it] = solver.test_nets[0].blobs["ip1"].data[:8]
    np.testing.assert_array_equal(solver.test_nets[0].blobs["data"].data, first)
    weights, bias = (blob.data for blob in solver.net.params["ip1"])
    np.testing.assert_allclose(output[-1], first[:8] @ weights.T + bias, rtol=1e-4, atol=1e-5)
    assert losses[-10:].mean() < losses[0] / 2
    accuracy = 0.0
    for _ in range(4):
        solver.test_nets[0].forward()
        accuracy += solver.test_nets[0].blobs["accuracy"].data / 4
    assert accuracy > 0.9


def test_fine_tuning_on_a_list_of_images() -> None:
    import caffe
    from caffe import layers as L

    for number in range(6):
        Image.new("RGB", (10, 12), (40 * number, 90, 200 - 30 * number)).save(f"{number}.png")
    Path("list.txt").write_text("".join(f"{number}.png {number % 3}\n" for number in range(6)))
    mean = np.full((1, 3, 8, 8), 100.0)
    Path("mean.binaryproto").write_bytes(caffe.io.array_to_blobproto(mean).SerializeToString())

    def style_net(name: str, classes: int, learn_all: bool) -> str:
        learned = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]
        transform = dict(mirror=False, crop_size=8, mean_file="mean.binaryproto")
        n = caffe.NetSpec()
        n.data, n.label = L.ImageData(
            transform_param=transform, source="list.txt", batch_size=3, new_height=8, new_width=8, ntop=2
        )
        n.conv1 = L.Convolution(
            n.data,
            kernel_size=3,
            num_output=4,
            param=learned if learn_all else [dict(lr_mult=0)] * 2,
            weight_filler=dict(type="gaussian", std=0.01),
        )
        n.relu1 = L.ReLU(n.conv1, in_place=True)
        n[name] = L.InnerProduct(n.relu1, num_output=classes, param=learned, weight_filler=dict(type="xavier"))
        n.loss = L.SoftmaxWithLoss(n[name], n.label)
        Path(f"{name}.prototxt").write_text(str(n.to_proto()))
        return f"{name}.prototxt"

    caffe.Net(style_net("fc8", 9, True), caffe.TRAIN).save("weights.caffemodel")
    pretrained = caffe.Net("fc8.prototxt", "weights.caffemodel", caffe.TEST)
    changed = {}
    for learn_all in (False, True):
        text = f'train_net: "{style_net("fc8_flickr", 3, learn_all)}" base_lr: 0.001 lr_policy: "fixed"'
        Path("solver.prototxt").write_text(text)
        solver = caffe.get_solver("solver.prototxt")
        solver.net.copy_from("weights.caffemodel")
        solver.step(2)
        weights = solver.net.params["conv1"][0].data
        changed[learn_all] = not np.array_equal(weights, pretrained.params["conv1"][0].data)
        assert solver.net.blobs["label"].data.tolist() == [0, 1, 2]
    assert changed == {False: False, True: True}
    pretrained.forward()
    np.testing.assert_array_equal(pretrained.blobs["data"].data[1, :, 0, 0], [170 - 100, 90 - 100, 40 - 100])


OWN_LAYERS = """
import caffe, numpy as np

class EuclideanLossLayer(caffe.Layer):
    "pyloss.py's: two bottoms of one sign each."
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")
    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)
    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.
    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if not propagate_down[i]:
                continue
            bottom[i].diff[...] = (1 if i == 0 else -1) * self.diff / bottom[i].num

class Rebalance(caffe.Layer):
    "colorization's ClassRebalanceMultLayer: only its gradient is weighted."
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data[...]
    def backward(self, top, propagate_down, bottom):
        for i in range(len(bottom)):
            if not propagate_down[i]:
                continue
            bottom[0].diff[...] = top[0].diff[...] * bottom[1].data[...]
"""


def test_python_losses_and_weighted_gradients() -> None:
    import caffe
    from caffe import layers as L

    Path("own_layers.py").write_text(OWN_LAYERS)
    n = caffe.NetSpec()
    n.data, n.boost, n.goal = (L.Input(shape=dict(dim=[2, 3, 1, 1])) for _ in range(3))
    n.conv = L.Convolution(n.data, num_output=3, kernel_size=1, weight_filler=dict(type="xavier"))
    n.boosted = L.Python(n.conv, n.boost, module="own_layers", layer="Rebalance")
    n.loss = L.Python(n.boosted, n.goal, module="own_layers", layer="EuclideanLossLayer", loss_weight=1)
    Path("net.prototxt").write_text(str(n.to_proto()))
    net = caffe.Net("net.prototxt", caffe.TRAIN, allow_python_imports=True)
    rng = np.random.default_rng(0)
    for name in ("data", "boost", "goal"):
        net.blobs[name].data[...] = rng.standard_normal((2, 3, 1, 1))
    net.forward()
    net.backward()
    difference = net.blobs["conv"].data - net.blobs["goal"].data
    np.testing.assert_allclose(net.blobs["loss"].data, [np.sum(difference**2) / 4], rtol=1e-5)
    gradient = (difference / 2 * net.blobs["boost"].data)[:, :, 0, 0]
    np.testing.assert_allclose(net.blobs["conv"].diff[:, :, 0, 0], gradient, rtol=1e-5)
    wanted = gradient.T @ net.blobs["data"].data[:, :, 0, 0]
    np.testing.assert_allclose(net.params["conv"][0].diff[:, :, 0, 0], wanted, rtol=1e-4, atol=1e-6)


def test_bilinear_surgery_and_scores_of_segmentation() -> None:
    import caffe
    from caffe import layers as L

    n = caffe.NetSpec()
    n.data = L.DummyData(shape=dict(dim=[1, 2, 4, 4]), data_filler=dict(type="gaussian"))
    n.label = L.DummyData(shape=dict(dim=[1, 1, 8, 8]), data_filler=dict(type="constant", value=1))
    n.upscore = L.Deconvolution(
        n.data, convolution_param=dict(num_output=2, kernel_size=4, stride=2, pad=1, bias_term=False), param=[{}]
    )
    n.loss = L.SoftmaxWithLoss(n.upscore, n.label, loss_param=dict(normalize=False, ignore_label=255))
    Path("net.prototxt").write_text(str(n.to_proto()))
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" test_iter: 1 test_interval: 99999999 base_lr: 0 lr_policy: "fixed"'
    )
    solver = caffe.SGDSolver("solver.prototxt")
    layers = [name for name in solver.net.params.keys() if "up" in name]
    tent = np.float32([0.25, 0.75, 0.75, 0.25])
    for name in layers:
        m, k, height, width = solver.net.params[name][0].data.shape
        assert (m, k, height, width) == (2, 2, 4, 4)
        solver.net.params[name][0].data[range(m), range(k), :, :] = np.outer(tent, tent)
    solver.step(1)
    test_net = solver.test_nets[0]
    test_net.share_with(solver.net)
    counts, loss = np.zeros((2, 2)), 0
    test_net.forward()
    found = test_net.blobs["upscore"].data[0]
    truth = test_net.blobs["label"].data[0, 0].flatten()
    counts += np.bincount(2 * truth.astype(int) + found.argmax(0).flatten(), minlength=4).reshape(2, 2)
    loss += test_net.blobs["loss"].data.flat[0]
    np.testing.assert_allclose(found[:, 3:5, 3:5].mean(), test_net.blobs["data"].data[0, :, 1:3, 1:3].mean(), rtol=1e-4)
    shifted = np.exp(found - found.max(0))
    assert loss == pytest.approx(-np.log(shifted[1] / shifted.sum(0)).sum(), rel=1e-4)
    assert counts[0].sum() == 0 and counts.sum() == 64


WITH_NORMS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 bias_term: false weight_filler { type: "msra" } } }
layer { name: "conv/bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "conv/scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""


def test_norms_are_merged_into_convolutions() -> None:
    import caffe
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    Path("net.prototxt").write_text(WITH_NORMS)
    net = caffe.Net("net.prototxt", caffe.TEST)
    rng = np.random.default_rng(0)
    for blob in (*net.params["conv/bn"], *net.params["conv/scale"]):
        blob.data[...] = rng.uniform(0.5, 2, blob.data.shape)
    net.save("net.caffemodel")
    net = caffe.Net("net.prototxt", "net.caffemodel", caffe.TEST)

    whole, merged = caffe_pb2.NetParameter(), caffe_pb2.NetParameter()
    text_format.Merge(Path("net.prototxt").read_text(), whole)
    merged.MergeFrom(whole)
    for index in range(len(merged.layer) - 1, -1, -1):
        if merged.layer[index].type in ("BatchNorm", "Scale"):
            del merged.layer[index]
        elif merged.layer[index].type == "Convolution":
            merged.layer[index].convolution_param.bias_term = True
            merged.layer[index].convolution_param.engine = dict(caffe_pb2.ConvolutionParameter.Engine.items())["CAFFE"]
    Path("merged.prototxt").write_text(f"{merged}")
    plain = caffe.Net("merged.prototxt", caffe.TEST)
    for name in plain.params.keys():
        assert type(plain.params[name]) is caffe._caffe.BlobVec
        for blob, source in zip(plain.params[name], net.params[name], strict=False):
            blob.data[...] = source.data
    mean, variance, factor = (blob.data for blob in net.params["conv/bn"])
    scale, shift = (blob.data for blob in net.params["conv/scale"])
    alpha = scale / np.sqrt(variance / factor + 1e-5)
    plain.params["conv"][0].data[...] *= alpha[:, None, None, None]
    plain.params["conv"][1].data[...] = shift - mean / factor * alpha
    plain.save("merged.caffemodel")
    image = rng.standard_normal((1, 3, 9, 9))
    again = caffe.Net("merged.prototxt", "merged.caffemodel", caffe.TEST)
    np.testing.assert_allclose(again.forward(data=image)["fc"], net.forward(data=image)["fc"], rtol=1e-3, atol=1e-4)


def test_pictures_of_their_own_sizes_find_their_boxes() -> None:
    import caffe

    Path("net.prototxt").write_text(
        """
        input: "data" input_shape { dim: 1 dim: 3 dim: 16 dim: 16 } input: "im_info" input_shape { dim: 1 dim: 3 }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
          num_output: 54 kernel_size: 3 pad: 1 stride: 16 weight_filler { type: "gaussian" std: 0.01 } } }
        layer { name: "parts" type: "Slice" bottom: "conv" top: "scores" top: "deltas"
          slice_param { slice_point: 18 } }
        layer { name: "pairs" type: "Reshape" bottom: "scores" top: "pairs"
          reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } } }
        layer { name: "prob" type: "Softmax" bottom: "pairs" top: "prob" }
        layer { name: "back" type: "Reshape" bottom: "prob" top: "back"
          reshape_param { shape { dim: 0 dim: 18 dim: -1 dim: 0 } } }
        layer { name: "proposal" type: "Python" bottom: "back" bottom: "deltas" bottom: "im_info" top: "rois"
          python_param { module: "rpn.proposal_layer" layer: "ProposalLayer" param_str: "'feat_stride': 16" } }
        layer { name: "pool" type: "ROIPooling" bottom: "conv" bottom: "rois" top: "pool"
          roi_pooling_param { pooled_w: 2 pooled_h: 2 spatial_scale: 0.0625 } }
        """
    )
    net = caffe.Net("net.prototxt", caffe.TEST)
    for height, width in ((96, 128), (160, 80), (96, 128)):
        blobs = {"data": np.random.default_rng(0).standard_normal((1, 3, height, width))}
        blobs["im_info"] = np.array([[height, width, 1.5]], dtype=np.float32)
        net.blobs["data"].reshape(*blobs["data"].shape)
        net.blobs["im_info"].reshape(*blobs["im_info"].shape)
        kwargs = {name: array.astype(np.float32, copy=False) for name, array in blobs.items()}
        out = net.forward(**kwargs)
        rois = net.blobs["rois"].data.copy()
        assert (rois[:, 0] == 0).all() and (rois[:, 1:3] >= 0).all()
        assert rois[:, 3].max() < width and rois[:, 4].max() < height
        assert out["pool"].shape == (len(rois), 54, 2, 2)


def test_a_summary_of_a_net_reads_its_message() -> None:
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    net = caffe_pb2.NetParameter()
    text_format.Merge(WITH_NORMS, net)
    rows = []
    for layer in net.layer:
        params = [p for p in dir(layer) if p.endswith("_param") and layer.HasField(p)]
        rows.append((layer.name, layer.type, *params, len(layer.include), len(layer.param)))
    assert rows[1] == ("conv", "Convolution", "convolution_param", 0, 0)
    assert [row[0] for row in rows] == ["data", "conv", "conv/bn", "conv/scale", "relu", "fc"]
    assert caffe_pb2.PoolingParameter.PoolMethod.Name(net.layer[0].pooling_param.pool) == "MAX"
    assert list(net.layer[1].convolution_param.kernel_size) == [3]
