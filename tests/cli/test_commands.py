"""Every command: exit codes, one-line errors and warnings, nothing of Python's on the screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keras_caffe import samples
from keras_caffe.cli import COMMANDS, main
from keras_caffe.version import __version__
from tests.nets import input_layer
from tests.shared_goldens import ROOT

NET, WEIGHTS = str(samples.path("lenet.prototxt")), str(samples.path("lenet.caffemodel"))
INPUT = 'layer { name: "i" type: "Input" top: "a" input_param { shape { dim: 1 dim: 2 } } }\n'


@pytest.fixture
def net(tmp_path: Path):
    """Writes a net of one more layer and returns its path."""

    def write(layer: str) -> str:
        path = tmp_path / "net.prototxt"
        path.write_text(INPUT + layer)
        return str(path)

    return write


def test_the_module_runs_as_a_process_that_says_only_what_it_has_to_say() -> None:
    command = [sys.executable, "-m", "keras_caffe.cli", "summary", NET, WEIGHTS]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "431,080" in run.stdout
    assert run.stdout.endswith("4 layers loaded\n")


def test_version(capsys) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["--version"])
    assert exit.value.code == 0
    assert capsys.readouterr().out == f"keras-caffe {__version__}\n"


def test_help_lists_the_commands(capsys) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["--help"])
    assert exit.value.code == 0
    said = capsys.readouterr().out
    assert all(f"  {name}" in said for name in COMMANDS)


def single_commands() -> list[str]:
    parsed = {name: command for name, command in COMMANDS.items() if not hasattr(command, "TAKES_ARGUMENTS")}
    groups = {name: getattr(command, "COMMANDS", {"": None}) for name, command in parsed.items()}
    return [f"{name} {inner}".strip() for name, group in groups.items() for inner in group]


@pytest.mark.parametrize("command", single_commands())
def test_every_command_has_help(command: str, capsys) -> None:
    with pytest.raises(SystemExit) as exit:
        main([*command.split(), "--help"])
    assert exit.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: keras-caffe {command}")
    assert "--debug" in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["transmogrify"],
        ["convert", NET],
        ["convert", NET, "-o", "out.h5"],
        ["convert", NET, "-o", "no/such/folder/out.keras"],
        ["upgrade", NET, "/dev/null"],
        ["summary", NET, "--phase", "BOTH"],
        ["summary", NET, "--input-shape", "data=1,x"],
        ["predict", NET, WEIGHTS],
        ["predict", "model.keras", "a.png", "--top", "0"],
    ],
    ids=" ".join,
)
def test_a_wrong_usage_exits_with_2(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ('layer { name: "r" type: "ReLU" bottom: "b" top: "b" }', "net.prototxt:2: layer 'r' (ReLU): bottom 'b'"),
        ('layer { name: "r" type: "ReLuu" bottom: "a" top: "b" }', "did you mean ReLU"),
        ('layer { name: "r" type: "ReLU"', "the text ends inside a block"),
        (
            'layer { name: "d" type: "Data" top: "d" data_param { source: "none" batch_size: 2 } }',
            "Pass --input-shape d=2,C,H,W with numbers",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(layer: str, said: str, net, capsys) -> None:
    assert main(["summary", net(layer)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert said in output.err


@pytest.mark.parametrize("command", ["summary", "convert", "time"])
def test_weights_before_the_net_are_told_from_it(command: str, tmp_path: Path, capsys) -> None:
    output = ["-o", str(tmp_path / "out.keras")] if command == "convert" else []
    assert main([command, str(samples.path("lenet.caffemodel")), NET, *output]) == 1
    said = capsys.readouterr().err
    assert "are swapped" in said and "lenet.caffemodel, then" in said and "other way round" in said


def test_only_the_sizes_that_nothing_tells_must_be_given(net, capsys) -> None:
    layers = """layer { name: "d" type: "Data" top: "d" top: "l" data_param { source: "none" batch_size: 4 }
  transform_param { crop_size: 6 %s } }
layer { name: "h" type: "HDF5Data" top: "x" top: "y" hdf5_data_param { source: "none" batch_size: 2 } }"""
    assert main(["summary", net(layers % "")]) == 1
    all_three = "--input-shape d=4,C,6,6 --input-shape x=N,C,H,W --input-shape y=N,C,H,W"
    assert f"Pass {all_three} with numbers for the letters" in capsys.readouterr().err
    assert main(["summary", net(layers % "mean_value: 1 mean_value: 2 mean_value: 3")]) == 1
    assert "Pass --input-shape x=N,C,H,W --input-shape y=N,C,H,W with" in capsys.readouterr().err
    given = ["--input-shape", "d=4,1,6,6", "--input-shape", "x=2,5", "--input-shape", "y=2"]
    assert main(["summary", net(layers % ""), *given]) == 0


def test_a_missing_file_is_one_line(capsys) -> None:
    assert main(["summary", "no_such.prototxt"]) == 1
    assert capsys.readouterr().err == "error: no_such.prototxt: there is no such file\n"


def test_debug_shows_where_an_error_comes_from(capsys) -> None:
    assert main(["summary", "no_such.prototxt", "--debug"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert "there is no such file" in said


def test_warnings_are_one_line_each(net, capsys) -> None:
    path = net('layer { name: "r" type: "ReLU" bottom: "a" top: "b" colour: "red" }')
    assert main(["summary", path]) == 0
    said = capsys.readouterr().err
    assert said.startswith("warning: ")
    assert said.count("\n") == 1
    assert "LayerParameter.colour (2:" in said


def test_strict_makes_them_errors(net, capsys) -> None:
    assert main(["summary", "--strict", net('layer { name: "r" type: "ReLU" bottom: "a" top: "b" colour: 1 }')]) == 1
    assert "LayerParameter.colour" in capsys.readouterr().err


def test_python_layers_are_imported_only_if_asked_for(net, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "named_by_the_file.py").write_text("raise OSError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    python = 'type: "Python" python_param { module: "named_by_the_file" layer: "L" }'
    path = net(f'layer {{ name: "p" bottom: "a" top: "b" {python} }}')
    assert main(["summary", path]) == 1
    assert "Pass --allow-python-imports to import the module, if you trust the file." in capsys.readouterr().err
    assert main(["summary", path, "--allow-python-imports"]) == 1
    assert "it was imported" in capsys.readouterr().err


def test_a_solver_is_no_net(tmp_path: Path, capsys) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text('net: "lenet.prototxt" base_lr: 0.1')
    assert main(["convert", str(solver), "-o", str(tmp_path / "out.keras")]) == 1
    assert (
        f"error: {solver}:1:1: this is a solver, not a net. Load the file that its `net` names."
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("layer", "options", "said"),
    [
        (
            'layer { name: "z" type: "Zork" bottom: "a" top: "b" }',
            [],
            "In Python, pass custom_layers={'Zork': ...} for one call only.",
        ),
        (
            'layer { name: "p" type: "Python" bottom: "a" top: "b" python_param { module: "m" layer: "L" } }',
            [],
            "In Python, pass python_layers={'m.L': ...} with the class. Pass --allow-python-imports to import",
        ),
        (
            "".join(input_layer(name, 1, 2) for name in "bcd")
            + 'layer { type: "SmoothL1Loss" bottom: "a" bottom: "b" bottom: "c" bottom: "d" }',
            ["--fork", "ssd"],
            "Pass --fork rcnn if the net was written for that fork.",
        ),
        (
            'layer { name: "d" type: "Data" top: "x y" data_param { source: "none" batch_size: 2 } }',
            [],
            "Pass --input-shape 'x y=2,C,H,W' with numbers for the letters",
        ),
        ("", ["--input-shape", "b=1,2"], "a shape is given for what is not an input: 'b'"),
        (
            'layer { type: "HDF5Output" bottom: "a" bottom: "a" hdf5_output_param { file_name: "f" } }',
            [],
            "warning: layer '' (HDF5Output): it does not write 'f'. In Python, call model.extract(['a', 'a']) for the",
        ),
        (
            'layer { type: "ReLU" bottom: "a" top: "b" colour: 1 }',
            [],
            "They are left out. In Python, call keras_caffe.proto.extend(...) to declare them if they matter.",
        ),
    ],
)
def test_cures_are_those_of_the_command(layer: str, options: list[str], said: str, net, capsys) -> None:
    main(["summary", net(layer), *options])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["convert", NET, "x.solverstate", "-o", "x.keras"], "In Python, call solver.restore(...) to go on"),
        (["train", "--solver=solver", "--snapshot", "x.caffemodel"], "Pass --weights FILE[,FILE] to begin anew"),
        (["train", "--solver=fed"], "Use a net with data layers. In Python, pass train_data=... to feed this one."),
        (["test", "--model=data", "--weights", WEIGHTS], "Pass --root-dir DIR to let names start elsewhere."),
        (["export", NET, WEIGHTS, "-o", "out", "--version", "1"], "Leave out --version to get the next free one."),
        (
            ["export", NET, WEIGHTS, "-o", "out.tflite", "--format=tflite", "--kind=int8"],
            "Pass --calibration FILE with some hundred typical inputs.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_every_command_has_its_own(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.solverstate", "x.caffemodel"):
        Path(name).write_bytes(b"\0")
    (tmp_path / "out" / "1").mkdir(parents=True)
    dummy = 'layer { name: "a" type: "DummyData" top: "a" dummy_data_param { shape { dim: 1 dim: 2 } } }'
    loss = 'layer { name: "l" type: "Reduction" bottom: "a" top: "l" loss_weight: 1 }'
    Path("net").write_text(dummy + loss)
    Path("input").write_text(INPUT + loss)
    Path("data").write_text('layer { type: "Data" top: "x" data_param { source: "none" batch_size: 2 } }')
    for name, definition in (("solver", "net"), ("fed", "input")):
        Path(name).write_text(f'net: "{definition}" base_lr: 1 lr_policy: "fixed" max_iter: 1')
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


def test_modules_of_python_layers_may_import_caffe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (tmp_path / "imports_caffe.py").write_text(
        "import caffe\nclass Same(caffe.Layer):\n    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
    )
    python = 'type: "Python" bottom: "a" top: "b" python_param { module: "imports_caffe" layer: "Same" }'
    (tmp_path / "net.prototxt").write_text(f'{INPUT}layer {{ name: "p" {python} }}')
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert main(["summary", str(tmp_path / "net.prototxt"), "--allow-python-imports"]) == 0
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in ("caffe", "imports_caffe")]:
            del sys.modules[name]
    assert "Python" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("format", "option", "said"),
    [
        ("tflite", "--resize=32", "--resize: only with --format savedmodel or onnx or openvino"),
        ("tflite", "--crop=32", "--crop: only with --format savedmodel or onnx or openvino"),
        ("tflite", "--labels=missing.txt", "--labels: only with --format savedmodel or onnx"),
        ("onnx", "--kind=float16", "--kind: only with --format tflite"),
        ("savedmodel", "--precision=float16", "--precision: only with --format onnx"),
        ("onnx", "--image-bytes", "--image-bytes: only with --format savedmodel"),
        ("openvino", "--signature=f=prob", "--signature: only with --format savedmodel"),
        ("tflite", "--version=3", "--version: only with --format savedmodel"),
        ("savedmodel", "--losses", "--losses: only with --format onnx"),
        ("tflite", "--opset=14", "--opset: only with --format onnx or openvino"),
        ("tflite", "--dynamic", "--dynamic: TensorFlow Lite's files keep height and width"),
        ("tflite", "--calibration=x.npy", "--calibration: only with --kind int8"),
    ],
)
def test_export_refuses_what_a_format_does_not_know(format: str, option: str, said: str, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["export", NET, WEIGHTS, "-o", "out", "--format", format, option])
    assert said in capsys.readouterr().err
