"""Python data layers written for pycaffe run unchanged; images may change in size."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from keras_caffe import load_solver
from keras_caffe.data import dataset
from keras_caffe.errors import DataError, LayerError, UnknownLayerError

NET = """layer { name: "d" type: "Python" top: "data" top: "label"
  python_param { module: "voc_layers" layer: "VOCSegDataLayer" param_str: "{'seed': 1337}" } }"""
SOURCE = '''
import numpy as np
import caffe


class VOCSegDataLayer(caffe.Layer):
    """One image and its labels at a time, each of its own size, as fcn.berkeleyvision.org's layer gives them."""

    def setup(self, bottom, top):
        self.params = eval(self.param_str)
        if len(top) != 2 or len(bottom) != 0:
            raise Exception("two tops and no bottoms")
        self.idx = 0

    def reshape(self, bottom, top):
        self.data = np.full((3, 4 + self.idx, 5), self.idx, np.float32)
        self.label = np.full((1, 4 + self.idx, 5), -self.idx)
        top[0].reshape(1, *self.data.shape)
        top[1].reshape(1, *self.label.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.data
        top[1].data[...] = self.label
        self.idx += 1

    def backward(self, top, propagate_down, bottom):
        pass
'''


@pytest.fixture
def voc_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "voc_layers.py").write_text(SOURCE)
    (tmp_path / "caffe.py").write_text("class Layer:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("voc_layers", None)
    sys.modules.pop("caffe", None)


def test_a_layer_of_images_of_changing_size(voc_layers: None) -> None:
    import voc_layers as module

    given = dataset(NET, python_layers={"voc_layers.VOCSegDataLayer": module.VOCSegDataLayer})
    assert given.element_spec["data"].shape.as_list() == [None, None, None, 3]
    for number, batch in enumerate(given.take(3).as_numpy_iterator()):
        assert batch["data"].shape == (1, 4 + number, 5, 3) and batch["label"].shape == (1, 4 + number, 5, 1)
        assert np.all(batch["data"] == number) and np.all(batch["label"] == -number)


def test_modules_are_imported_only_if_the_caller_says_so(voc_layers: None) -> None:
    with pytest.raises(UnknownLayerError, match="python_layers="):
        dataset(NET)
    assert "voc_layers" not in sys.modules
    assert next(iter(dataset(NET, allow_python_imports=True)))["data"].shape == (1, 4, 5, 3)


def test_what_the_class_does_wrong_is_said() -> None:
    class Broken:
        def setup(self, bottom, top):
            if self.param_str == "setup":
                raise RuntimeError("no such thing")

        def reshape(self, bottom, top):
            for blob in top:
                blob.reshape(1)

        def forward(self, bottom, top):
            raise KeyError("image 7")

    classes = {"voc_layers.VOCSegDataLayer": Broken}
    with pytest.raises(LayerError, match="no such thing"):
        dataset(NET.replace("{'seed': 1337}", "setup"), python_layers=classes)
    with pytest.raises(DataError, match="image 7"):
        next(iter(dataset(NET, python_layers=classes)))
    with pytest.raises(DataError, match="they have no epochs"):
        dataset(NET, python_layers=classes, epochs=1)


SOLVER = """
train_net_param {
  %s
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
    num_output: 1 kernel_size: 1 bias_term: false weight_filler { type: "constant" value: 0.333333333 } } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "conv" bottom: "label" top: "loss" }
}
base_lr: 0 lr_policy: "fixed" max_iter: 3 snapshot_after_train: false
"""


@pytest.mark.parametrize("given", ["class", "import", "data"])
def test_a_solver_trains_on_images_of_changing_size(voc_layers: None, given: str) -> None:
    """Image number i holds i in 3 channels, its labels -i: the loss is half of (2 i)^2 over (4 + i) x 5 pixels."""
    import voc_layers as module

    layers = {"voc_layers.VOCSegDataLayer": module.VOCSegDataLayer}
    options = {"class": {"python_layers": layers}, "import": {"allow_python_imports": True}}.get(given)
    if options is None:
        options = {"python_layers": layers, "train_data": dataset(NET, python_layers=layers)}
    solver = load_solver(SOLVER % NET, **options)
    np.testing.assert_allclose(solver.step(3), [0, 50, 240], rtol=1e-6)


def test_the_passes_of_an_iteration_may_differ_in_size(voc_layers: None) -> None:
    import voc_layers as module

    layers = {"voc_layers.VOCSegDataLayer": module.VOCSegDataLayer}
    solver = load_solver(SOLVER % NET + "iter_size: 2", python_layers=layers)
    np.testing.assert_allclose(solver.step(2), [(0 + 50) / 2, (240 + 630) / 2], rtol=1e-6)


def test_a_solver_says_what_is_missing_for_a_python_data_layer() -> None:
    with pytest.raises(UnknownLayerError, match="VOCSegDataLayer.*python_layers.*allow_python_imports=True"):
        load_solver(SOLVER % NET)
