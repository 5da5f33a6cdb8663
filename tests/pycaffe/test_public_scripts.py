"""The calls of well known scripts for pycaffe, on tiny nets, with their own import lines."""

from __future__ import annotations

import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from keras_caffe.pycaffe import install, settings


@pytest.fixture(autouse=True)
def caffe_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    install(force=True)
    yield
    settings.use_python_layers({})
    for name in [name for name in sys.modules if name.partition(".")[0] in ("caffe", "public_script_layers")]:
        del sys.modules[name]


CONVOLUTIONS = """
name: "tiny" force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


def test_deepdream_with_octaves() -> None:
    import caffe
    from google.protobuf import text_format

    model = caffe.io.caffe_pb2.NetParameter()
    text_format.Merge(CONVOLUTIONS, model)
    model.force_backward = True
    Path("tmp.prototxt").write_text(str(model))
    mean = np.float32([104.0, 116.0, 122.0])
    net = caffe.Classifier("tmp.prototxt", None, mean=mean, channel_swap=(2, 1, 0))
    pixels = np.random.default_rng(0).uniform(0, 255, (20, 24, 3)).astype(np.float32)
    base = np.float32(np.rollaxis(pixels, 2)[::-1]) - net.transformer.mean["data"]
    octaves = [base[:, ::2, ::2], base]
    source = net.blobs["data"]
    before = None
    for octave in octaves:
        source.reshape(1, 3, *octave.shape[-2:])  # 'ip' could not take these sizes
        source.data[0] = octave
        for _ in range(2):
            net.forward(end="conv")
            target = net.blobs["conv"]
            before = np.square(target.data).sum() if before is None else before
            target.diff[:] = target.data
            net.backward(start="conv")
            gradient = source.diff[0]
            source.data[:] += 1.5 / np.abs(gradient).mean() * gradient
    assert source.data.shape == (1, 3, 20, 24)
    net.forward(end="conv")
    assert np.square(net.blobs["conv"].data).sum() > before


def test_net_surgery_and_style_gradients() -> None:
    import caffe

    Path("net.prototxt").write_text(CONVOLUTIONS)
    net = caffe.Net("net.prototxt", caffe.TEST)
    weights, bias = net.params["ip"][0].data, net.params["ip"][1].data
    bias[...] = [1, 2]
    net.save("surgery.caffemodel")
    full = caffe.Net("net.prototxt", "surgery.caffemodel", caffe.TEST)
    np.testing.assert_array_equal(full.params["ip"][0].data, weights)
    net.blobs["data"].data[...] = np.random.default_rng(1).standard_normal((1, 3, 16, 16))
    net.forward()
    features = net.blobs["conv"].data[0].reshape(4, -1)
    gram = features @ features.T
    net.blobs["conv"].diff[0] = (gram @ features).reshape(net.blobs["conv"].diff[0].shape)
    net.backward(start="relu")
    expected = net.blobs["data"].diff.copy()
    net.blobs["conv"].diff[0] *= 0
    assert np.abs(expected).max() > 0 and expected.dtype == np.float32


LAYERS = """
import caffe, numpy as np
from xml.dom import minidom

class Pictures(caffe.Layer):
    "A picture of its own size for each pass, as FCN's voc_layers.py."
    def setup(self, bottom, top):
        self.params, self.index = eval(self.param_str), 0
    def reshape(self, bottom, top):
        height, width = self.params["sizes"][self.index]
        self.data = np.full((3, height, width), self.index + 1.0)
        top[0].reshape(1, *self.data.shape)
        top[1].reshape(1, 1, height, width)
    def forward(self, bottom, top):
        top[0].data[...] = self.data
        top[1].data[...] = self.index % 2
        self.index = (self.index + 1) % len(self.params["sizes"])
    def backward(self, top, propagate_down, bottom):
        pass

class RoIData(caffe.Layer):
    "Blobs by name from a roidb that the script hands over, as Fast R-CNN's RoIDataLayer."
    def set_roidb(self, roidb):
        self._roidb, self._next = roidb, 0
    def setup(self, bottom, top):
        self._name_to_top_map = {"data": 0, "rois": 1, "labels": 2}
        self._num_classes = int(self.param_str_)
        top[0].reshape(1, 3, 16, 16)
        top[1].reshape(1, 5)
        top[2].reshape(1)
    def forward(self, bottom, top):
        entry = self._roidb[self._next % len(self._roidb)]
        self._next += 1
        for name, blob in entry.items():
            top[self._name_to_top_map[name]].reshape(*blob.shape)
            top[self._name_to_top_map[name]].data[...] = blob.astype(np.float32)
    def backward(self, top, propagate_down, bottom):
        pass
    def reshape(self, bottom, top):
        pass

class Multilabel(caffe.Layer):
    "Pictures with any number of labels, as pascal_multilabel_datalayers.py: read from a folder, flipped at random."
    def setup(self, bottom, top):
        self.top_names = ["data", "label"]
        params = eval(self.param_str)
        assert {"split", "batch_size", "root", "im_shape"} <= params.keys()
        self.batch_size, self.root, self.shape = params["batch_size"], params["root"], params["im_shape"]
        with open(f"{self.root}/{params['split']}.txt") as file:
            self.names, self.current = file.read().split(), 0
        top[0].reshape(self.batch_size, 3, *self.shape)
        top[1].reshape(self.batch_size, 20)
    def load_next_image(self):
        if self.current == len(self.names):
            self.current = 0
            np.random.shuffle(self.names)
        name = self.names[self.current]
        self.current += 1
        image = caffe.io.resize_image(caffe.io.load_image(f"{self.root}/{name}.png"), self.shape)
        multilabel = np.zeros(20).astype(np.float32)
        for element in minidom.parse(f"{self.root}/{name}.xml").getElementsByTagName("label"):
            multilabel[int(element.childNodes[0].data)] = 1
        return image[:, :: np.random.choice(2) * 2 - 1].transpose(2, 0, 1) - 0.5, multilabel
    def forward(self, bottom, top):
        for item in range(self.batch_size):
            top[0].data[item, ...], top[1].data[item, ...] = self.load_next_image()
    def reshape(self, bottom, top):
        pass
    def backward(self, top, propagate_down, bottom):
        pass
"""


@pytest.fixture
def own_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    from keras_caffe.pycaffe.script_classes import ScriptClasses

    (tmp_path / "public_script_layers.py").write_text(LAYERS)
    monkeypatch.syspath_prepend(tmp_path)
    settings.use_python_layers(ScriptClasses())
    return "public_script_layers"


SOLVER = 'base_lr: 0.01 lr_policy: "fixed" max_iter: 4 random_seed: 1 train_net: "train.prototxt"\n'


def test_fcn_trains_on_pictures_of_different_sizes(own_layers: str) -> None:
    import caffe
    from caffe import layers as L
    from caffe.coord_map import crop

    n = caffe.NetSpec()
    sizes = str({"sizes": [(12, 12), (16, 20), (12, 12)]})
    n.data, n.label = L.Python(module=own_layers, layer="Pictures", ntop=2, param_str=sizes)
    n.conv = L.Convolution(n.data, num_output=4, kernel_size=3, stride=2, pad=8, weight_filler=dict(type="xavier"))
    n.up = L.Deconvolution(
        n.conv, convolution_param=dict(num_output=2, kernel_size=3, stride=2, weight_filler=dict(type="xavier"))
    )
    n.score = crop(n.up, n.data)
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param=dict(normalize=False, ignore_label=255))
    Path("train.prototxt").write_text(str(n.to_proto()))
    Path("solver.prototxt").write_text(SOLVER)
    solver = caffe.SGDSolver("solver.prototxt")
    shapes = []
    for _ in range(3):
        solver.step(1)
        shapes.append(solver.net.blobs["score"].data.shape)
    assert shapes == [(1, 2, 12, 12), (1, 2, 16, 20), (1, 2, 12, 12)]


def test_faster_rcnn_hands_its_roidb_to_the_layer(own_layers: str) -> None:
    import caffe
    from caffe import layers as L

    n = caffe.NetSpec()
    n.data, n.rois, n.labels = L.Python(module=own_layers, layer="RoIData", ntop=3, param_str="2")
    n.conv = L.Convolution(n.data, num_output=4, kernel_size=3, pad=1, weight_filler=dict(type="xavier"))
    n.pool = L.ROIPooling(n.conv, n.rois, roi_pooling_param=dict(pooled_w=2, pooled_h=2, spatial_scale=1.0))
    n.score = L.InnerProduct(n.pool, num_output=2, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.score, n.labels)
    Path("train.prototxt").write_text(str(n.to_proto()))
    Path("solver.prototxt").write_text(SOLVER)
    solver = caffe.SGDSolver("solver.prototxt")
    rng = np.random.default_rng(0)
    solver.net.layers[0].set_roidb(
        [
            {
                "data": rng.standard_normal((1, 3, height, 16)),
                "rois": np.array([[0, 1, 1, 9, 9]] * count),
                "labels": np.arange(count) % 2,
            }
            for height, count in ((16, 3), (20, 5))
        ]
    )
    solver.step(1)
    assert solver.net.blobs["score"].data.shape == (3, 2)
    solver.step(1)
    assert solver.net.blobs["score"].data.shape == (5, 2)


def test_ssd_s_generator() -> None:
    import caffe
    from caffe import layers as L
    from caffe import params as P
    from caffe.proto import caffe_pb2

    net = caffe.NetSpec()
    net.data = L.DummyData(shape=dict(dim=[1, 3, 32, 32]))
    net.conv4_3 = L.Convolution(net.data, num_output=8, kernel_size=3, pad=1, weight_filler=dict(type="xavier"))
    name = net.keys()[-1]
    net["norm"] = L.Normalize(net[name], scale_filler=dict(type="constant", value=20), across_spatial=False)
    net.prior = L.PriorBox(net["norm"], net.data, min_size=10.0)
    net.update("prior", {"aspect_ratio": [2.0], "flip": True})
    phase = caffe_pb2.Phase.Value("TEST")
    net.pool = L.Pooling(net["norm"], pool=P.Pooling.AVE, global_pooling=True, include={"phase": phase})
    assert net.vals()[-1] is net.pool
    Path("ssd.prototxt").write_text("name: 'SSD'\n" + str(net.to_proto()))
    loaded = caffe.Net("ssd.prototxt", caffe.TEST)
    loaded.forward()
    assert loaded.blobs["prior"].data.shape[1] == 2 and loaded.blobs["pool"].data.shape == (1, 8, 1, 1)


def test_create_lmdb_then_a_multilabel_solver_reads_it() -> None:
    import caffe
    from caffe import layers as L
    from caffe import params as P
    from caffe.proto import caffe_pb2

    with lmdb.open("train_lmdb", map_size=1 << 24) as env, env.begin(write=True) as txn:
        for index in range(6):
            pixels = np.full((3, 6, 6), 40 * index, np.uint8)
            datum = caffe_pb2.Datum(channels=3, height=6, width=6, label=index % 2, data=pixels.tobytes())
            txn.put(f"{index:05d}".encode("ascii"), datum.SerializeToString())
    n = caffe.NetSpec()
    n.data, n.label = L.Data(batch_size=3, source="train_lmdb", backend=P.Data.LMDB, ntop=2)
    n.score = L.InnerProduct(n.data, num_output=1, weight_filler=dict(type="xavier"))
    n.loss = L.SigmoidCrossEntropyLoss(n.score, n.label)
    Path("train.prototxt").write_text(str(n.to_proto()))
    Path("solver.prototxt").write_text(SOLVER.replace("0.01", "1e-6"))
    solver = caffe.get_solver("solver.prototxt")
    solver.solve()
    assert solver.iter == 4
    assert solver.net.blobs["label"].data.tolist() == [1, 0, 1]


def test_a_multilabel_net_with_its_own_data_layer(own_layers: str) -> None:
    import caffe
    from caffe import layers as L
    from caffe import params as P

    lines = {"train": [], "val": []}
    for number in range(8):
        labels = [number % 2, 5 + number % 2, 19]  # bright pictures have 1, 6 and 19, dark ones 0, 5 and 19
        pixels = np.full((12, 10, 3), 40 + 150 * (number % 2), np.uint8)
        Image.fromarray(pixels).save(f"{number}.png")
        tags = "".join(f"<label>{label}</label>" for label in labels)
        Path(f"{number}.xml").write_text(f"<annotation>{tags}</annotation>")
        lines["train" if number < 4 else "val"].append(str(number))
    for split, names in lines.items():
        Path(f"{split}.txt").write_text("\n".join(names))
        n = caffe.NetSpec()
        params = dict(batch_size=4, im_shape=[8, 8], split=split, root=".")
        n.data, n.label = L.Python(module=own_layers, layer="Multilabel", ntop=2, param_str=str(params))
        n.pool = L.Pooling(n.data, pool=P.Pooling.MAX, kernel_size=4, stride=4)
        n.fc, n.relu = (lambda fc: (fc, L.ReLU(fc, in_place=True)))(L.InnerProduct(n.pool, num_output=8))
        n.drop = L.Dropout(n.relu, in_place=True)
        n.score = L.InnerProduct(n.drop, num_output=20)
        n.loss = L.SigmoidCrossEntropyLoss(n.score, n.label)
        Path(f"{split}.prototxt").write_text(str(n.to_proto()))
    values = dict(base_lr="0.02", momentum="0.9", test_iter="1", test_interval="250", display="25", snapshot="2500")
    values |= dict(snapshot_prefix='"snapshot"', lr_policy='"fixed"', gamma="0.1", weight_decay="0.0005", iter_size="1")
    values |= dict(max_iter="100000", test_initialization="false", average_loss="25", random_seed="1")
    values |= dict(train_net='"train.prototxt"', test_net='"val.prototxt"')
    Path("solver.prototxt").write_text("".join(f"{key}: {value}\n" for key, value in sorted(values.items())))

    solver = caffe.SGDSolver("solver.prototxt")
    rng = np.random.default_rng(0)
    for name in ("fc", "score"):
        solver.net.params[name][0].data[...] = rng.normal(0, 0.1, solver.net.params[name][0].data.shape)
    solver.net.save("pretrained.caffemodel")
    solver.net.copy_from("pretrained.caffemodel")
    solver.test_nets[0].share_with(solver.net)
    solver.step(80)
    test_net = solver.test_nets[0]
    test_net.forward()
    truth, found = test_net.blobs["label"].data, test_net.blobs["score"].data > 0
    equal = [sum(g == e for g, e in zip(gt, est, strict=True)) / 20 for gt, est in zip(truth, found, strict=True)]
    assert np.mean(equal) > 0.95  # without any label it would be 0.85
    assert np.where(truth[1].astype(int))[0].tolist() == [1, 6, 19]
    assert solver.net.blobs["data"].data[0, ...].transpose(1, 2, 0).shape == (8, 8, 3)


def test_siamese_twins_share_their_weights() -> None:
    import caffe
    from caffe import layers as L

    n = caffe.NetSpec()
    shared = dict(num_output=2, param=[dict(name="w"), dict(name="b")], weight_filler=dict(type="xavier"))
    n.data, n.data_p = (L.Input(shape=dict(dim=[4, 3])) for _ in range(2))
    n.sim = L.Input(shape=dict(dim=[4]))
    n.feat, n.feat_p = L.InnerProduct(n.data, **shared), L.InnerProduct(n.data_p, **shared)
    n.loss = L.ContrastiveLoss(n.feat, n.feat_p, n.sim, contrastive_loss_param=dict(margin=1))
    Path("siamese.prototxt").write_text(str(n.to_proto()))
    net = caffe.Net("siamese.prototxt", caffe.TEST)
    images = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    out = net.forward_all(data=images, data_p=images, sim=np.ones(7), blobs=["feat", "feat_p"])
    np.testing.assert_array_equal(out["feat"], out["feat_p"])
    net.params["feat"][0].data[...] = 1
    assert (net.params["feat_p"][0].data == 1).all()
    net.blobs["sim"].data[...] = 1  # the last batch was filled up
    assert net.forward()["loss"] == 0
