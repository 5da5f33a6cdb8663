"""Nets as ONNX files: what they are called and hold, what is refused, and what stays behind after an error."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.converters.proof import Engine
from keras_caffe.errors import CaffeError, CaffeWarning, ExportError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.onnx import Site, writer_of, writes
from keras_caffe.runtimes.apart import Apart
from keras_caffe.runtimes.onnxruntime import OnnxRuntime
from scripts.benchmarks import nets
from tests.onnx_cases import needs_onnx, run
from tests.shared_goldens import ROOT

FILES = [str(samples.path(name)) for name in ("lenet.prototxt", "lenet.caffemodel")]
IN_PLACE = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [2, 3, 5, 5] } } }
layer { name: "%s" type: "%s" bottom: "data" top: "data" %s }
%s
"""
CONV = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }"""
OPEN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 4, %d, %d] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { %s } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up" convolution_param { num_output: 4 group: 4
  kernel_size: 4 stride: 2 pad: 1 bias_term: false weight_filler { type: "bilinear" } } }
layer { name: "slice" type: "Slice" bottom: "up" top: "a" top: "b" slice_param { axis: 1 } }
layer { name: "crop" type: "Crop" bottom: "a" bottom: "conv" top: "crop" crop_param { axis: 2 offset: 0 } }
"""

pytestmark = needs_onnx


def read(file: Path) -> Any:
    """The file's message, checked."""
    import onnx

    onnx.checker.check_model(str(file), full_check=True)
    return onnx.load(str(file))


def images(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, "float32")


def test_names_and_shapes_are_caffes(tmp_path: Path) -> None:
    model = read(keras_caffe.to_onnx(*FILES, tmp_path / "lenet.onnx"))
    graph = model.graph
    assert graph.name == "LeNet"
    names = ["conv1", "pool1", "conv2", "pool2", "ip1/Flatten", "ip1", "relu1", "ip2", "prob"]
    assert [node.name for node in graph.node] == names
    assert [node.output[0] for node in graph.node if node.name in ("conv1", "relu1", "prob")] == [
        "conv1",
        "ip1",
        "prob",
    ]
    assert {"conv1/kernel", "conv1/bias", "ip2/kernel"} <= {weight.name for weight in graph.initializer}
    dims = graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["N", 1, 28, 28]
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert model.opset_import[0].version == 17


def test_files_and_model_give_the_same(tmp_path: Path) -> None:
    model = keras_caffe.load(*FILES)
    one = keras_caffe.to_onnx(*FILES, tmp_path / "files.onnx")
    other = keras_caffe.to_onnx(model, tmp_path / "model.onnx")
    x = images(3, 1, 28, 28)
    a, b = (run(file, {"data": x}, ["prob"])[0] for file in (one, other))
    np.testing.assert_array_equal(a, b)
    want = model(np.moveaxis(x, 1, -1) if model.data_format == "channels_last" else x)
    np.testing.assert_allclose(a, want, rtol=1e-5, atol=1e-7)


def test_the_file_says_where_it_comes_from(tmp_path: Path) -> None:
    import hashlib

    metadata = {p.key: p.value for p in read(keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx")).metadata_props}
    sources = json.loads(metadata["sources"])
    assert [source["file"] for source in sources] == ["lenet.prototxt", "lenet.caffemodel"]
    assert sources[1]["sha256"] == hashlib.sha256(Path(FILES[1]).read_bytes()).hexdigest()


@pytest.mark.parametrize(("make", "most"), [("alexnet", 24), ("googlenet", 150)])
def test_plain_convnets_are_small_and_have_no_transpose(make: str, most: int, tmp_path: Path) -> None:
    net = getattr(nets, make)()
    for layer in net.layer:  # the number of nodes is asked for, not of values
        if layer.name in ("fc6", "fc7"):
            layer.inner_product_param.num_output = 8
    graph = read(keras_caffe.to_onnx(net, file=tmp_path / "net.onnx")).graph
    assert len(graph.node) <= most
    assert "Transpose" not in {node.op_type for node in graph.node}


@pytest.mark.parametrize(
    ("type", "param"),
    [
        ("ReLU", ""),
        ("Scale", "scale_param { filler { value: 2 } bias_term: true bias_filler { value: 1 } }"),
        ("BatchNorm", ""),
        ("Dropout", ""),
        ("Power", "power_param { scale: 0.5 }"),
    ],
)
@pytest.mark.parametrize("more", [CONV, ""], ids=["a layer follows", "it is the output"])
@pytest.mark.parametrize("fold", [True, False])
def test_layers_in_place_on_the_input(type: str, param: str, more: str, fold: bool, tmp_path: Path) -> None:
    model = keras_caffe.load(IN_PLACE % ("layer", type, param, more), data_format="channels_first")
    file = keras_caffe.to_onnx(model, tmp_path / "net.onnx", fold=fold)
    graph, x = read(file).graph, images(2, 3, 5, 5)
    assert [value.name for value in graph.input] == ["data"]
    got = run(file, {"data": x}, [value.name for value in graph.output])[0]
    want = np.asarray(model(x))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6 * np.abs(want).max())


@pytest.mark.parametrize(
    "pool",
    [
        "kernel_size: 2 stride: 3",
        "kernel_size: 3 stride: 2",
        "kernel_size: 3 stride: 2 pad: 1",
        "kernel_size: 4 stride: 3 pad: 1",
        "pool: AVE kernel_size: 3 stride: 2",
        "pool: AVE kernel_size: 3 stride: 2 pad: 1",
        "pool: AVE kernel_size: 5 stride: 4 pad: 2",
        "pool: AVE kernel_size: 3 stride: 2 round_mode: FLOOR",
    ],
)
def test_open_sizes_round_as_caffe(pool: str, tmp_path: Path) -> None:
    file = keras_caffe.to_onnx(OPEN % (12, 13, pool), file=tmp_path / "net.onnx", dynamic=True, outputs=["pool", "up"])
    for size in ((12, 13), (9, 16), (10, 11), (7, 8)):
        model = keras_caffe.load(
            OPEN.partition('layer { name: "slice"')[0] % (*size, pool), data_format="channels_first"
        )
        x = images(1, 4, *size)
        want = model.extract(["pool", "up"])(x)
        for name, got in zip(("pool", "up"), run(file, {"data": x}, ["pool", "up"]), strict=True):
            np.testing.assert_allclose(got, want[name], rtol=1e-5, atol=1e-6, err_msg=f"{name} at {size}")


def test_sizes_are_fixed_unless_asked_for(tmp_path: Path) -> None:
    net = OPEN % (12, 13, "kernel_size: 2")
    fixed, opened = (read(keras_caffe.to_onnx(net, file=tmp_path / "net.onnx", dynamic=d)) for d in (False, True))
    sizes = [[d.dim_param or d.dim_value for d in m.graph.input[0].type.tensor_type.shape.dim] for m in (fixed, opened)]
    assert sizes == [["N", 4, 12, 13], ["N", 4, "data_2", "data_3"]]


@pytest.mark.parametrize("opset", [13, 17, 18, 22])
def test_opsets(opset: int, tmp_path: Path) -> None:
    net = OPEN % (12, 13, "pool: AVE kernel_size: 3 stride: 2 pad: 1")
    file = keras_caffe.to_onnx(net, file=tmp_path / "net.onnx", opset=opset)
    assert read(file).opset_import[0].version == opset
    x = images(1, 4, 12, 13)
    want = keras_caffe.load(net, data_format="channels_first").extract(["crop"])(x)["crop"]
    np.testing.assert_allclose(run(file, {"data": x}, ["crop"])[0], want, rtol=1e-5, atol=1e-6)


def test_the_edges_may_have_the_channels_last(tmp_path: Path) -> None:
    net, x = OPEN % (12, 13, "kernel_size: 2"), images(2, 4, 12, 13)
    first, last = (
        keras_caffe.to_onnx(net, file=tmp_path / f"{name}.onnx", data_format=name)
        for name in ("channels_first", "channels_last")
    )
    want, got = run(first, {"data": x}, ["crop"])[0], run(last, {"data": np.moveaxis(x, 1, -1)}, ["crop"])[0]
    np.testing.assert_array_equal(np.moveaxis(got, -1, 1), want)


class Doubled(CaffeLayer):
    """y = 2 x."""

    def call(self, inputs: Any) -> Any:
        return inputs * 2


class Halved(Doubled):
    """y = x / 2; nobody has written how ONNX says it."""


@writes(Doubled)
def doubled(site: Site, x: str) -> str:
    return str(site.op("Mul", x, 2.0))


def test_layers_of_ones_own(tmp_path: Path) -> None:
    net = IN_PLACE % ("own", "Own", "", "")
    file = keras_caffe.to_onnx(net, file=tmp_path / "net.onnx", custom_layers={"Own": Doubled}, outputs="data")
    x = images(2, 3, 5, 5)
    (name,) = [value.name for value in read(file).graph.output]
    np.testing.assert_array_equal(run(file, {"data": x}, [name])[0], 2 * x)


def test_a_writer_is_for_one_class_and_registered_once() -> None:
    assert writer_of(Doubled) is doubled
    assert writer_of(Halved) is None
    with pytest.raises(CaffeError, match="Doubled"):
        writes(Doubled)(lambda site, x: x)


def test_all_layers_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    net = IN_PLACE % ("own", "Own", "", IN_PLACE.splitlines()[2] % ("other", "Own", ""))
    (tmp_path / "net.onnx").write_text("old")
    with pytest.raises(ExportError, match=r"2 layers.*'own' \(Own\).*'other' \(Own\)"):
        keras_caffe.to_onnx(net, file=tmp_path / "net.onnx", custom_layers={"Own": Halved})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.onnx", "old")]


def test_the_numbers_are_proved(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", tolerance=1e-5, report=report)
    (row,) = json.loads(report.read_text())
    assert (row["blob"], row["type"], row["problem"]) == ("prob", "Softmax", None)
    assert 0 <= row["relative"] <= 1e-5


def test_open_sizes_are_proved_at_three_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, whole = [], Engine.run
    monkeypatch.setattr(Engine, "run", lambda self, fed: sizes.append(fed["data"].shape) or whole(self, fed))
    net = OPEN % (12, 13, "kernel_size: 3 stride: 2")
    keras_caffe.to_onnx(net, file=tmp_path / "net.onnx", dynamic=True, tolerance=1e-5)
    assert len({size[2:] for size in sizes}) == 3
    assert {size[0] for size in sizes} == {1, 2}


def test_a_wrong_file_is_refused_and_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras_caffe.onnx import registry

    wrong = {**registry._writers, keras_caffe.layers.ReLU: lambda site, x: site.op("Abs", x)}
    monkeypatch.setattr(registry, "_writers", wrong)
    (tmp_path / "net.onnx").write_text("old")
    with pytest.raises(ExportError, match="'prob'"):
        keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", tolerance=1e-4)
    assert main(["export", *FILES, "--format", "onnx", "-o", str(tmp_path / "net.onnx")]) == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.onnx", "old")]


@pytest.mark.parametrize(("end", "how"), [("os.abort()", "SIGABRT"), ("sys.exit(3)", "exit code 3")])
def test_a_crash_of_the_engine_is_an_error(end: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a process of its own; the error names the engine and its version, and the old file stays."""
    import onnxruntime

    monkeypatch.setattr("keras_caffe.runtimes.apart.CHILD", f"import os, sys; {end}")
    (tmp_path / "net.onnx").write_text("old")
    said = f"ONNX Runtime {onnxruntime.__version__} crashed while the export was checked; received {how}"
    with pytest.raises(ExportError, match=re.escape(said)):
        keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", tolerance=1e-4)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.onnx", "old")]


def test_nothing_in_the_working_directory_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pickle", "numpy", "keras_caffe"):
        (tmp_path / f"{name}.py").write_text("raise SystemError('the working directory was imported')")
    monkeypatch.chdir(tmp_path)
    keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", tolerance=1e-4)
    assert (tmp_path / "net.onnx").stat().st_size > 1000


def test_a_crash_before_all_is_read_is_the_same_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pipe no longer takes does not become the error."""
    answer = "import os, pickle, sys; pickle.dump((None, ({}, [])), sys.stdout.buffer); sys.stdout.flush(); os._exit(3)"
    monkeypatch.setattr("keras_caffe.runtimes.apart.CHILD", answer)
    with pytest.raises(ExportError, match=r"crashed while the export was checked; received exit code 3"):
        with Apart(OnnxRuntime, tmp_path / "net.onnx") as runtime:
            runtime._process.wait()
            runtime.run({"data": np.zeros(100_000, "float32")})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"opset": 12}, "13 to"),
        ({"opset": 99}, "13 to"),
        ({"data_format": "nchw"}, "channels_first"),
    ],
)
def test_wrong_options(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=said):
        keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", **options)
    with pytest.raises(ExportError, match="file"):
        keras_caffe.to_onnx(FILES[0])


def test_a_model_takes_no_options_of_load(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="phase"):
        keras_caffe.to_onnx(keras_caffe.load(*FILES), tmp_path / "net.onnx", phase="TRAIN")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_packages_the_error_says_what_to_install(package: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match=r"keras-caffe\[onnx\]"):
        keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", tolerance=1e-4)
    assert not list(tmp_path.iterdir())


def test_values_of_a_large_net_stand_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras_caffe.onnx import file as file_module

    whole = keras_caffe.to_onnx(*FILES, tmp_path / "whole.onnx")
    monkeypatch.setattr(file_module, "LIMIT", 1000)
    parted = keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", tolerance=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data", "whole.onnx"]
    assert parted.stat().st_size < 10_000
    before = (tmp_path / "net.onnx.data").read_bytes()
    monkeypatch.setattr(Apart, "run", lambda self, fed: {name: np.full((2, 10), np.nan) for name in self.outputs})
    with pytest.raises(ExportError, match="blob 'prob'"):
        keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", tolerance=1e-5, fold=False)
    assert (tmp_path / "net.onnx.data").read_bytes() == before
    x = images(1, 1, 28, 28)
    a, b = (run(file, {"data": x}, ["prob"])[0] for file in (whole, parted))
    np.testing.assert_array_equal(a, b)


TRAINED = """
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: [4, 3, 8, 8] } shape { dim: [4] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 8 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "flat" type: "Flatten" bottom: "conv" top: "flat" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "flat" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "flat" bottom: "label" top: "accuracy" }
"""


def names_of(values: Any) -> list[str]:
    return [value.name for value in values]


@pytest.mark.parametrize("fold", [True, False])
def test_losses_are_given_on_request(fold: bool, tmp_path: Path) -> None:
    plain, whole = (
        read(keras_caffe.to_onnx(TRAINED, file=tmp_path / "net.onnx", fold=fold, losses=losses)).graph
        for losses in (False, True)
    )
    assert (names_of(plain.input), names_of(plain.output)) == (["data"], ["flat"])
    assert (names_of(whole.input), set(names_of(whole.output))) == (["data", "label"], {"loss", "accuracy"})
    model = keras_caffe.load(TRAINED, data_format="channels_first")
    file = keras_caffe.to_onnx(model, tmp_path / "net.onnx", fold=fold, losses=True)
    fed = {"data": images(4, 3, 8, 8), "label": np.asarray([0, 4, 2, 1], "float32")}
    for name, got in zip(("loss", "accuracy"), run(file, fed, ["loss", "accuracy"]), strict=True):
        np.testing.assert_allclose(got, model(fed)[name], rtol=1e-5)


def test_half_precision(tmp_path: Path) -> None:
    whole, half = (
        keras_caffe.to_onnx(*FILES, tmp_path / f"{precision}.onnx", precision=precision, tolerance=limit)
        for precision, limit in (("float32", 1e-5), ("float16", 1e-2))
    )
    assert half.stat().st_size < 0.51 * whole.stat().st_size
    graph = read(half).graph
    assert [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)] == [1, 1]
    assert {weight.data_type for weight in graph.initializer if "/" in weight.name} == {10}


def test_half_precision_leaves_indices_alone(tmp_path: Path) -> None:
    net = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 4000] } } }
    layer { name: "best" type: "ArgMax" bottom: "data" top: "best" }"""
    x = np.zeros((1, 4000), "float32")
    x[0, 3999] = 1
    file = keras_caffe.to_onnx(net, file=tmp_path / "net.onnx", precision="float16")
    assert run(file, {"data": x}, ["best"])[0].item() == 3999


def test_values_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    model = keras_caffe.load(IN_PLACE % ("scale", "Scale", "", ""))
    model.set_caffe_params({"scale": [np.full(3, 1e6)]})
    with pytest.raises(ExportError, match="scale/scale.*half precision"):
        keras_caffe.to_onnx(model, tmp_path / "net.onnx", precision="float16", outputs="data", fold=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_pictures_are_prepared_in_the_file(data_format: str, tmp_path: Path) -> None:
    net = TRAINED.partition('layer { name: "loss"')[0]
    how = {"resize": [10, 12], "crop": 8, "mean": [104, 117, 123], "scale": 0.5}
    model = keras_caffe.load(net, data_format="channels_first")
    file = keras_caffe.to_onnx(
        model, tmp_path / "net.onnx", outputs="flat", preprocessing=how, data_format=data_format, labels=list("abcde")
    )
    x = np.random.default_rng(0).uniform(0, 255, (2, 20, 24, 3)).astype("float32")
    fed = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    small = (x.reshape(2, 10, 2, 12, 2, 3)).mean((2, 4))[:, 1:9, 2:10, ::-1]
    want = model.extract("flat")({"data": np.moveaxis((small - how["mean"]) * 0.5, -1, 1)})["flat"]
    np.testing.assert_allclose(run(file, {"data": fed}, ["flat"])[0], want, rtol=1e-4, atol=1e-3)
    metadata = {p.key: p.value for p in read(file).metadata_props}
    assert json.loads(metadata["labels"]) == list("abcde")
    assert (json.loads(metadata["mean"]), metadata["scale"], metadata["channel_order"]) == (
        [104, 117, 123],
        "0.5",
        "RGB",
    )


def test_sizes_that_a_layer_must_know_stay_fixed(tmp_path: Path) -> None:
    with pytest.warns(CaffeWarning, match="stay as they are declared"):
        file = keras_caffe.to_onnx(*FILES, tmp_path / "net.onnx", dynamic=True)
    dims = read(file).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["N", 1, 28, 28]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_what_is_no_caffe_net_goes_by_keras(tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.warns(CaffeWarning, match="tf2onnx"):
        file = keras_caffe.to_onnx(model, tmp_path / "net.onnx")
    x = images(3, 4)
    (name,) = [value.name for value in read(file).graph.input]
    (top,) = [value.name for value in read(file).graph.output]
    np.testing.assert_allclose(run(file, {name: x}, [top])[0], model(x), rtol=1e-5, atol=1e-6)


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None  # Whoever imports it fails.
from keras_caffe.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["export", "summary", "upgrade", "convert"])
def test_without_tensorflow(command: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    arguments = {
        "export": [*FILES, "-o", out, "--format", "onnx"],
        "summary": [FILES[0]],
        "upgrade": [FILES[0], out],
        "convert": [*FILES, "-o", f"{out}.keras"],
    }[command]
    environment = {"KERAS_BACKEND": "numpy", "PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, command, *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if command == "export":
        assert "largest difference" in done.stdout
        assert read(Path(out)).graph.name == "LeNet"


def test_inputs_of_other_batches_have_open_sizes_of_their_own(tmp_path: Path) -> None:
    """N is one size for all that reads the file."""
    import onnx

    net = """
layer { name: "in" type: "Input" top: "x" top: "y" top: "row"
  input_param { shape { dim: [2, 3, 4] } shape { dim: [2, 3, 4] } shape { dim: 3 } } }
layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "y" top: "sum" }
layer { name: "bias" type: "Bias" bottom: "sum" bottom: "row" top: "bias" bias_param { axis: 1 } }
"""
    file = keras_caffe.to_onnx(net, None, tmp_path / "net.onnx")
    sizes = {one.name: one.type.tensor_type.shape.dim[0] for one in onnx.load(str(file)).graph.input}
    assert {name: size.dim_param or size.dim_value for name, size in sizes.items()} == {
        "x": "N",
        "y": "N",
        "row": "row_0",
    }
