"""Names of the pycaffe of 2014, and of Intel's and Dosovitskiy's, on which GANs are trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import NetError
from keras_caffe.pycaffe import settings

NET = """
force_backward: true input: "data" input_shape { dim: 1 dim: 3 dim: 4 dim: 5 }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" }
layer { name: "sum" type: "Reduction" bottom: "ip" top: "sum" loss_weight: 1 }
"""
CHANNELS = np.float32([10, 60, 110])


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((4, 5, 3), np.float32)


def test_the_phase_of_nets_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_phase", {})
    with pytest.raises(TypeError, match="caffe.set_phase_test"):
        caffe.Net(NET)
    caffe.set_phase_test()
    net = caffe.Net(NET)
    assert net.phase == caffe.TEST
    net.set_phase_test()
    caffe.set_phase_train()
    net = caffe.Net(NET)
    assert net.phase == caffe.TRAIN and caffe.Net(NET, caffe.TEST).phase == caffe.TEST
    with pytest.raises(NetError, match=r"a net keeps its phase. Make it with caffe.TEST"):
        net.set_phase_test()


@pytest.mark.parametrize("mode", ["elementwise", "channel"])
@pytest.mark.parametrize("by_file", [False, True])
def test_a_net_preprocesses_images_itself(mode: str, by_file: bool, image: np.ndarray, tmp_path: Path) -> None:
    mean = np.broadcast_to(CHANNELS[:, None, None], (3, 9, 7))  # of another size
    np.save(tmp_path / "mean.npy", mean)
    net = caffe.Net(NET, caffe.TEST)
    net.set_mode_cpu()
    net.set_mean("data", str(tmp_path / "mean.npy") if by_file else mean, mode=mode)
    net.set_raw_scale("data", 255)
    net.set_channel_swap("data", (2, 1, 0))
    net.set_input_scale("data", 0.5)
    found = net.preprocess("data", image)
    wanted = (image[:, :, ::-1].transpose(2, 0, 1) * 255 - CHANNELS[:, None, None]) * 0.5
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(net.deprocess("data", found), image, atol=1e-6)
    net.set_mean("data", CHANNELS[:, None, None], mode="channel")
    net.blobs["data"].reshape(1, 3, 8, 10)
    assert net.preprocess("data", image).shape == (3, 8, 10)  # the size of now


def test_a_mean_is_resized_as_in_2014() -> None:
    net = caffe.Net(NET, caffe.TEST)
    ramp = np.broadcast_to(np.arange(10, dtype=np.float32) * 3 + 7, (3, 8, 10))
    net.set_mean("data", ramp)
    found = -net.preprocess("data", np.zeros((4, 5, 3), np.float32))
    centres = (np.arange(5) + 0.5) * 2 - 0.5  # of the new pixels, counted in old ones
    np.testing.assert_allclose(found, np.broadcast_to(centres * 3 + 7, (3, 4, 5)), rtol=1e-6)


def test_a_classifier_is_set_up_afterwards(image: np.ndarray) -> None:
    late = caffe.Classifier(NET, None, gpu=True)
    late.params["ip"][0].data[...] = np.random.default_rng(1).random((2, 60))
    late.set_mean("data", CHANNELS[:, None, None] * np.ones((1, 4, 5)))
    late.set_raw_scale("data", 255)
    early = caffe.Classifier(NET, None, mean=CHANNELS, raw_scale=255)
    early.share_with(late)
    np.testing.assert_allclose(late.predict([image]), early.predict([image]), rtol=1e-6)


def test_passes_without_results() -> None:
    net = caffe.Net(NET, caffe.TEST)
    net.blobs["data"].data[...] = 1
    net.params["ip"][0].data[...] = np.arange(120).reshape(2, 60)
    assert net.forward_simple() is None and net.blobs["sum"].data == np.arange(120).sum()
    assert net.backward_simple() is None
    np.testing.assert_array_equal(net.blobs["data"].diff.ravel(), np.arange(60) * 2 + 60)
    assert net._blob_loss_weights[net._blob_names_index["sum"]] == 1
    assert net._blobs[net._blob_names_index["ip"]] is net.blobs["ip"]


def test_iterations_counted_before_their_update() -> None:
    text = "train_net_param {" + NET + '} base_lr: 1 lr_policy: "step" gamma: 0.1 stepsize: 1'
    solver = caffe.SGDSolver(text)
    weights = solver.net.params["ip"][0]
    for iteration, rate in ((1, 0.1), (2, 0.01)):
        solver.increment_iter()
        assert solver.iter == iteration
        before = weights.data.copy()
        weights.diff[...] = 1
        solver.apply_update()
        np.testing.assert_allclose(before - weights.data, rate, rtol=1e-5)
        assert solver.iter == iteration
    for iteration in (3, 4):  # others count behind their updates, of which an iteration may have several
        for _ in range(2):
            weights.diff[...] = 1
            solver.apply_update()
        solver.increment_iter()
        assert solver.iter == iteration


def test_the_first_iteration_counted_behind_its_updates_is_one() -> None:
    solver = caffe.SGDSolver("train_net_param {" + NET + '} base_lr: 0.1 lr_policy: "fixed"')
    for _ in range(2):
        solver.apply_update()
    solver.increment_iter()
    assert solver.iter == 1
    solver.step(2)
    assert solver.iter == 3
    solver.increment_iter()
    assert solver.iter == 4
