"""The names that public scripts take from Caffe's modules, and what they do."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from google.protobuf import text_format

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import CaffeError, DataError
from tests.nets import input_layer

NAMES = {
    "": "Layer __version__ _caffe pycaffe init_log log Timer NCCL has_nccl solver_count set_solver_count solver_rank "
    "set_solver_rank set_multiprocess BlobVec RawBlobVec Blob layer_type_list Solver get_solver",
    "io": "caffe_pb2 load_image resize_image oversample Transformer array_to_datum",
    "net_spec": "assign_proto param_name_dict _param_names caffe_pb2 Top Function to_proto",
    "draw": "get_pooling_types_dict get_edge_label get_layer_label get_layer_lr_mult choose_color_by_layertype "
    "LAYER_STYLE_DEFAULT NEURON_LAYER_STYLE BLOB_STYLE",
    "Net": "_blobs _inputs _outputs _blob_loss_weights _batch _set_input_arrays "
    "_input_list _output_list _blobs_dict _params_dict",
    "SGDSolver": "share_weights add_callback apply_update",
}


@pytest.mark.parametrize(("place", "names"), NAMES.items())
def test_they_are_there(place: str, names: str) -> None:
    owner = getattr(caffe, place) if place else caffe
    assert not [name for name in names.split() if not hasattr(owner, name)]


def test_a_net_s_lists_are_there_under_private_names() -> None:
    net = caffe.Net(input_layer("x", 1, 2), caffe.TEST)
    assert net._input_list == net.inputs and net._output_list == net.outputs
    assert net._blobs_dict is net.blobs and net._params_dict is net.params


def test_solvers_form_caffes_hierarchy() -> None:
    methods = [getattr(caffe, f"{name}Solver") for name in ("Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")]
    assert all(method.__bases__ == (caffe.SGDSolver,) for method in methods)
    assert caffe.SGDSolver.__bases__ == (caffe.Solver,)


@pytest.mark.parametrize(
    "call",
    [
        lambda: caffe.Net("nowhere.prototxt", caffe.TEST),
        lambda: caffe.Net(input_layer("x", 1, 2), "nowhere.caffemodel", caffe.TEST),
        lambda: caffe.Net(input_layer("x", 1, 2), caffe.TEST).load_hdf5("nowhere.h5"),
        lambda: caffe.get_solver("nowhere.prototxt"),
    ],
)
def test_a_missing_file_is_a_runtime_error_as_in_caffe(call) -> None:
    with pytest.raises(RuntimeError, match="there is no such file"):
        call()


def test_a_net_without_a_phase_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"caffe\.TRAIN or caffe\.TEST"):
        caffe.Net(input_layer("x", 1, 2))


def test_what_several_gpus_need_is_refused() -> None:
    caffe.set_solver_count(1)
    caffe.set_solver_rank(0)
    for call in (lambda: caffe.set_solver_count(2), lambda: caffe.set_solver_rank(1)):
        with pytest.raises(CaffeError, match="tf.distribute"):
            call()


def test_a_script_for_several_gpus_trains_on_one() -> None:
    """As Caffe's python/train.py does with one of them."""
    caffe.set_multiprocess(True)
    param = caffe.proto.caffe_pb2.SolverParameter(base_lr=0.5, lr_policy="fixed", max_iter=9)
    text_format.Parse(
        """layer { name: "x" type: "DummyData" top: "x"
          dummy_data_param { shape { dim: 1 dim: 1 } data_filler { value: 1 } } }
        layer { name: "a" type: "InnerProduct" bottom: "x" top: "a"
          inner_product_param { num_output: 1 weight_filler { value: 5 } } }
        layer { name: "loss" type: "Reduction" bottom: "a" top: "loss" loss_weight: 1 }""",
        param.net_param,
    )
    solver = caffe.SGDSolver(param)
    uid = caffe.NCCL.new_uid()
    assert len(uid) > 1
    nccl = caffe.NCCL(solver, uid)
    nccl.bcast()
    solver.add_callback(nccl)
    solver.net.after_backward(nccl)
    solver.step(2)
    assert solver.net.params["a"][0].data == 4
    with pytest.raises(TypeError, match="two functions, or an NCCL"):
        solver.add_callback(print)


def test_a_timer_and_the_names_of_parameters() -> None:
    timer = caffe.Timer()
    timer.start()
    timer.stop()
    assert 0 <= timer.ms < 1000
    assert caffe.net_spec.param_name_dict()["InnerProduct"] == "inner_product"
    message = caffe.proto.caffe_pb2.LayerParameter()
    caffe.net_spec.assign_proto(message, "bottom", ["a", "b"])
    assert list(message.bottom) == ["a", "b"]
    message = caffe.proto.caffe_pb2.LayerParameter(type="InnerProduct", param=[dict(lr_mult=3)])
    assert caffe.draw.get_layer_lr_mult(message) == (3, 1)
    assert caffe.draw.get_pooling_types_dict()[1] == "AVE"
    assert caffe.draw.choose_color_by_layertype("Pooling") != caffe.draw.choose_color_by_layertype("LRN")


class Numbers(caffe.Layer):
    """A data layer in the manner of Fast R-CNN: the script hands its data to the object."""

    def setup(self, bottom, top):
        self.value = float(self.param_str_)

    def set_value(self, value):
        self.value = value

    def reshape(self, bottom, top):
        top[0].reshape(2, 3)

    def forward(self, bottom, top):
        top[0].data[...] = self.value

    def backward(self, top, propagate_down, bottom):
        pass


def test_the_layer_of_a_net_is_the_scripts_object(tmp_path: Path, monkeypatch) -> None:
    source = 'layer { name: "n" type: "Python" top: "n" python_param { module: "m" layer: "Numbers" param_str: "3" } }'
    net = caffe.Net(source, caffe.TEST, python_layers={"m.Numbers": Numbers})
    assert isinstance(net.layers[0], Numbers) and net.layer_dict["n"] is net.layers[0]
    assert net.layers[0].type == "Python"
    assert net.forward()["n"].tolist() == [[3, 3, 3]] * 2
    net.layers[0].set_value(7)
    assert net.forward()["n"].tolist() == [[7, 7, 7]] * 2


OUTPUT = """
layer { name: "twice" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }
layer { name: "out" type: "HDF5Output" bottom: "y" bottom: "label" hdf5_output_param { file_name: "out.h5" } }
"""


def test_hdf5_output_writes_its_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = caffe.Net(input_layer("x", 2, 3) + input_layer("label", 2) + OUTPUT, caffe.TEST)
    net.blobs["x"].data[...] = [[1, 2, 3], [4, 5, 6]]
    net.blobs["label"].data[...] = [8, 9]
    net.forward(end="twice")
    assert not Path("out.h5").exists()
    net.forward()
    with h5py.File("out.h5") as file:
        np.testing.assert_array_equal(file["data"][:, :, 0, 0], [[2, 4, 6], [8, 10, 12]])
        np.testing.assert_array_equal(np.ravel(file["label"]), [8, 9])
    Path("out.h5").write_text("somebody's")
    with pytest.raises(DataError, match="another kind"):
        net.forward()
    assert Path("out.h5").read_text() == "somebody's"
