"""Every layer that can be written as ONNX operations against real Caffe's arrays, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import ExportError
from keras_caffe.layers.source import SourceLayer
from keras_caffe.onnx import writer_of
from keras_caffe.registry import registered
from tests.golden_models import checker, variants
from tests.layers.cases import declared
from tests.layers.golden_case import KINDS, Golden
from tests.onnx_cases import needs_onnx, problems, run, same_in_training
from tests.shared_goldens import MODELS, needs_models
from tests.zoo import inputs

pytestmark = needs_onnx

REFUSED = {
    "CTCLoss": "for training",
    "CtcLoss": "for training",
    "DetectionEvaluate": "for training",
    "MultiBoxLoss": "for training",
    "MultiStageMeanfield": "filters in a lattice",
    "Proposal": "regions come of one image at a time",
    "Python": "runs Python code",
    "RegionLoss": "for training",
    "WarpCTCLoss": "for training",
    "Yolov3": "for training",
}
"""{type: what the error says of it}"""
IN_PART = {
    "CTCGreedyDecoder": "with labels it measures",
    "DataAugmentation": "it estimates the mean",
    "LargeMarginInnerProduct": "its margin changes with each run",
    "MarginInnerProduct": "its margin changes with each run",
    "SegAccuracy": "it counts the pixels of all batches",
}
"""{type: what some cases of it say}"""
NEEDS_SIZES = {
    "Accum": "the size of the images must be known",
    "Downsample": "the size of the images must be known",
    "Correlation": "the size of the images must be known",
    "Correlation1D": "the size of the images must be known",
    "DataAugmentation": "the size of the images must be known",  # where it crops
    "Im2col": "the number of channels must be known",  # of windows along the channels
    "Resample": "the size of the images must be known",
}
"""{type: what some cases of it say with open sizes}"""


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: Any) -> None:
    """Cases may name files in the working directory."""
    monkeypatch.chdir(tmp_path)


def writable(case: Golden) -> bool:
    return same_in_training(case) and not case.types & set(REFUSED)


def words(table: dict[str, str], kind: str) -> list[str]:
    return [table[kind]] if kind in table else []


def has_writer(kind: str) -> bool:
    cls = registered().get(kind.partition("_")[0])
    return cls is None or writer_of(cls) is not None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in REFUSED and has_writer(kind)])
def test_matches_caffe(kind: str, tmp_path: Path) -> None:
    assert not problems(kind, tmp_path, writable, refusals=words(IN_PART, kind))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in REFUSED and has_writer(kind)])
def test_matches_caffe_with_open_sizes(kind: str, tmp_path: Path) -> None:
    refusals = [*words(IN_PART, kind), *words(NEEDS_SIZES, kind)]
    assert not problems(kind, tmp_path, writable, opened=True, every=3, refusals=refusals)


@pytest.mark.parametrize("kind", NEEDS_SIZES)
def test_some_need_fixed_sizes(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=NEEDS_SIZES[kind]):
        problems(kind, tmp_path, writable, opened=True, refusals=words(IN_PART, kind))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in REFUSED])
def test_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=REFUSED[kind]):
        problems(kind, tmp_path, same_in_training)


def test_every_type_has_a_writer() -> None:
    """What cannot be said is refused in words of its own."""
    layers = {name: cls for name, cls in registered().items() if not issubclass(cls, SourceLayer)}
    assert not [name for name, cls in layers.items() if writer_of(cls) is None]


def small_nets() -> dict[str, Any]:
    """{type: a case with a net}, of types that have no arrays of Caffe."""
    sources = {name for name, cls in registered().items() if issubclass(cls, SourceLayer)}
    found = {type: next((case for case in cases if case.net), None) for type, cases in declared().items()}
    return {
        type: case for type, case in found.items() if case and has_writer(type) and type not in {*sources, *REFUSED}
    }


NETS = small_nets()


@pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")
@pytest.mark.parametrize("type", NETS)
def test_computes_as_the_model(type: str, tmp_path: Path) -> None:
    case, rng = NETS[type], np.random.default_rng(0)
    model = keras_caffe.load(case.net, input_shapes=case.input_shapes, data_format="channels_first")
    params = {
        name: [rng.uniform(0.5, 1.5, array.shape) for array in arrays]
        for name, arrays in model.get_caffe_params().items()
    }
    model.set_caffe_params(params)
    fed = inputs(model)
    fed[model.input_names[0]] += 0.1 * rng.standard_normal(fed[model.input_names[0]].shape, "float32")
    names = [model.net.values[value].blob for value in model.plan.outputs()]
    file = keras_caffe.to_onnx(model, tmp_path / "net.onnx", outputs=names, fold=False)
    wanted = model.extract(names)(fed, training=False)
    for name, got in zip(names, run(file, fed, names), strict=True):
        want = np.asarray(wanted[name])
        scale = max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6 * scale, err_msg=f"{type}: {name}")


@needs_models
@pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")  # foreign fields of the files' forks
@pytest.mark.parametrize(
    ("name", "files"), [pytest.param(*one, id=f"{one[0]}-{one[1]['weights']}") for one in variants()]
)
def test_trained_nets_match_caffe(name: str, files: dict[str, str], tmp_path: Path) -> None:
    """Folded for the first of the golden's two runs, as they are for the second, which has another size or batch."""
    net, weights, golden = (MODELS / name / files[what] for what in ("prototxt", "weights", "golden"))
    for one, fold in zip(checker().Golden(golden).runs, (True, False), strict=True):
        shapes = {blob: array.shape for blob, array in one.inputs.items()}
        file = keras_caffe.to_onnx(net, weights, tmp_path / "net.onnx", fold=fold, input_shapes=shapes)
        names = list(one.outputs)
        for blob, got in zip(names, run(file, one.inputs, names), strict=True):
            want = one.outputs[blob]
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max(initial=0), err_msg=blob)


def test_kernels_of_one_pixel_with_strides_and_pads_in_openvino(tmp_path: Path) -> None:
    """OpenVINO moves such a stride to the layer before, and forgets the pads."""
    openvino = pytest.importorskip("openvino", reason="openvino is not there (extra `openvino`)")
    net = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 1, 9, 8] } } }
layer { name: "a" type: "Convolution" bottom: "x" top: "a" convolution_param { num_output: 1 kernel_size: 3
  weight_filler { type: "constant" value: 1 } } }
layer { name: "y" type: "Convolution" bottom: "a" top: "y" convolution_param { num_output: 1 kernel_size: 1 stride: 2
  pad: 1 weight_filler { type: "constant" value: 2 } } }
"""
    x = np.random.default_rng(0).random((9, 8), "float32")
    sums = sum(x[i : i + 7, j : j + 6] for i in range(3) for j in range(3))
    wanted = 2 * np.pad(sums, 1)[::2, ::2]
    file = keras_caffe.to_onnx(keras_caffe.load(net), tmp_path / "net.onnx")
    compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled({"x": x[None, None]})[0][0, 0], wanted, rtol=1e-5)
    np.testing.assert_allclose(run(file, {"x": x[None, None]}, ["y"])[0][0, 0], wanted, rtol=1e-5)
