"""Scripts that import caffe run unchanged: `python -m keras_caffe.pycaffe SCRIPT`, and `install`."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_caffe import pycaffe
from keras_caffe.errors import CaffeError
from keras_caffe.pycaffe import settings
from keras_caffe.pycaffe.install import install
from keras_caffe.pycaffe.script import check, check_source
from keras_caffe.pycaffe.script_classes import ScriptClasses
from tests.shared_goldens import ROOT

SCRIPT = """
import sys
sys.path.insert(0, "caffe_root/python")
import caffe, caffe.io, caffe.draw
import caffe._caffe
from caffe import layers as L, params as P
from caffe.net_spec import Top
from caffe.proto import caffe_pb2
from caffe.proto.caffe_pb2 import *
from caffe.model_libs import *
assert caffe.io.caffe_pb2.NetParameter is NetParameter

n = caffe.NetSpec()
n.data = L.Python(module="picture_layer", layer="Pictures", param_str="3")
n.twice = L.Power(n.data, scale=1)
add_power(n, "twice", 2)
assert isinstance(n.twice, Top)
assert caffe_pb2.Phase.Value("TEST") == caffe.TEST == TEST
with open("net.prototxt", "w") as file:
    file.write(str(n.to_proto()))
caffe.set_mode_cpu()
net = caffe.Net("net.prototxt", caffe.TEST)
net.forward()
assert n.keys() == ["data", "twice"] and n.vals()[1] is n.twice
assert [net._blobs[i] for i in net._outputs] == [net.blobs["twice"]] and net._inputs == []
assert type(net.params) is not caffe._caffe.BlobVec and not caffe.has_nccl()
print(sys.argv, __name__, net.blobs["twice"].data.sum(), caffe.pycaffe.Net is caffe._caffe.Net is caffe.Net)
"""
MODEL_LIBS = """
from caffe import layers as L

def add_power(net, name, scale):
    net.update(name, {"scale": scale})
"""
LAYER = """
import caffe

class Pictures(caffe.Layer):
    def setup(self, bottom, top):
        self.value = float(self.param_str)
    def reshape(self, bottom, top):
        top[0].reshape(1, 3, 2, 2)
    def forward(self, bottom, top):
        top[0].data[...] = self.value
    def backward(self, top, propagate_down, bottom):
        pass
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "keras_caffe.pycaffe", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_script_runs_unchanged_with_a_class_from_its_own_folder(tmp_path: Path) -> None:
    real = tmp_path / "caffe_root" / "python" / "caffe"
    real.mkdir(parents=True)
    (real / "__init__.py").write_text("raise ImportError('the real Caffe, which cannot be built any more')")
    (real / "model_libs.py").write_text(MODEL_LIBS)  # as the SSD fork has it
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "use.py").write_text(SCRIPT)
    (tmp_path / "scripts" / "picture_layer.py").write_text(LAYER)
    done = run(tmp_path, "scripts/use.py", "--gpu", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['scripts/use.py', '--gpu', '0'] __main__ 72.0 True\n"


def test_a_script_may_define_the_class_itself(tmp_path: Path) -> None:
    source = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }
      layer { name: "p" type: "Python" bottom: "x" top: "p" python_param { module: "__main__" layer: "Seven" } }"""
    (tmp_path / "use.py").write_text(
        f"""import caffe
class Seven(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(1)
    def forward(self, bottom, top): top[0].data[...] = 7
print(caffe.Net({source!r}, caffe.TEST).forward()["p"])"""
    )
    done = run(tmp_path, "use.py")
    assert done.stdout == "[7.]\n", done.stderr


def test_a_folder_inside_the_prefix_is_the_script_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_layers.py").write_text("class A: pass")
    monkeypatch.syspath_prepend(tmp_path)
    paths = {**sysconfig.get_paths(), "data": str(tmp_path)}
    monkeypatch.setattr(sysconfig, "get_paths", lambda *_: paths)
    assert "own_layers.A" in ScriptClasses() and "os.A" not in ScriptClasses()


@pytest.mark.parametrize("module", ["os", "keras_caffe.samples", "nowhere"])
def test_what_is_installed_is_no_class_of_the_script(module: str, tmp_path: Path) -> None:
    source = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
    param = f'python_param {{ module: "{module}" layer: "path" }}'
    source += f'layer {{ name: "p" type: "Python" bottom: "x" top: "p" {param} }}'
    (tmp_path / "use.py").write_text(f"import caffe\ncaffe.Net({source!r}, caffe.TEST)")
    done = run(tmp_path, "use.py")
    assert done.returncode == 1 and f"no class for the Python layer '{module}.path'" in done.stderr
    assert f"Put {module.replace('.', '/')}.py beside the script, or" in done.stderr


def test_what_a_script_raises_comes_with_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text("import caffe\n\n\ncaffe.Net('nowhere.prototxt', caffe.TEST)")
    done = run(tmp_path, "use.py")
    assert done.returncode == 1 and 'use.py", line 4, in <module>' in done.stderr and "nowhere.prototxt" in done.stderr


def test_a_script_of_python_2_is_refused_with_its_line(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text("import caffe\nprint 'hello'\n")
    with pytest.raises(
        CaffeError,
        match=r"old\.py:2: the script is written for Python 2; received print 'hello'. Convert it first: 2to3 --write",
    ):
        check(str(script))


@pytest.mark.parametrize(
    "line",
    ["except ValueError, e: pass", "except (ValueError, OSError), e: pass", "finally: x = 0777", "finally: x = 10L"]
    + ["finally: raise ValueError, 'x'", "finally: x = 1 <> 2", "finally: x = `1`", "finally: x = ur'a'"]
    + ["finally: f = lambda (a, b): a", "finally: x = 0xFFL", "finally: exec 'x'", "finally: print 'a' % 1,"],
)
def test_everything_that_only_python_2_takes_gets_the_hint(line: str) -> None:
    with pytest.raises(CaffeError, match=r"old\.py:3: the script is written for Python 2"):
        check_source(f"try:\n    pass\n{line}\n", "old.py")


def test_other_mistakes_are_python_s_own() -> None:
    for source in ("x = (1,\n", "def f(:\n    pass\n", "x = 1 +\n"):
        with pytest.raises(SyntaxError, match=r"never closed|invalid syntax|EOF"):
            check_source(source, "new.py")


@pytest.mark.parametrize(
    "line",
    ["print('<a> <>'", "x = (  # see `y`", "x = ('`a`'", "x = '<> `a`", 'x = ("it\'s", "10L"', "x = f('raise E, e'"]
    + ["x = 'lambda (a)' +", r"x = ('a\'<>'"],
)
def test_what_strings_and_comments_say_is_no_python_2(line: str) -> None:
    with pytest.raises(SyntaxError, match=r"never closed|invalid syntax|unterminated|EO[FL]|expected"):
        check_source(f"{line}\n", "new.py")


def test_no_script_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="nowhere.py"):
        check(str(tmp_path / "nowhere.py"))


def test_a_notebook_installs_caffe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    install()
    import caffe
    import caffe.net_spec

    assert caffe is pycaffe and caffe.net_spec.Top is pycaffe.net_spec.Top
    install()  # again does no harm


@pytest.mark.parametrize(
    ("shell", "in_notebook"),
    [
        (SimpleNamespace(get_ipython=object), True),
        (SimpleNamespace(get_ipython=lambda: None), False),
        (SimpleNamespace(), False),  # another module of that name
    ],
)
def test_python_layers_come_from_beside_a_notebook(
    shell: object, in_notebook: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside.py").write_text(
        "import caffe\nclass Five(caffe.Layer):\n"
        "    def setup(self, bottom, top): top[0].reshape(1)\n    def reshape(self, bottom, top): pass\n"
        "    def forward(self, bottom, top): top[0].data[...] = 5\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules) | {"IPython": shell})
    monkeypatch.setattr(settings, "_python_layers", {})
    install()
    net = 'layer { name: "x" type: "Python" top: "x" python_param { module: "beside" layer: "Five" } }'
    if in_notebook:
        assert pycaffe.Net(net, pycaffe.TEST).forward()["x"] == [5]
    else:
        with pytest.raises(CaffeError, match="allow_python_imports=True"):
            pycaffe.Net(net, pycaffe.TEST)


def test_another_caffe_is_not_replaced_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    with pytest.raises(CaffeError, match="force=True"):
        install()
    install(force=True)
    assert sys.modules["caffe"] is pycaffe


def test_a_module_runs_with_caffe_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import unittest, caffe\nclass T(unittest.TestCase):\n"
        "    def test(self):\n        self.assertTrue(caffe.Net.__module__.startswith('keras_caffe.pycaffe'))\n"
    )
    done = run(tmp_path, "-m", "unittest", "discover")
    assert done.returncode == 0 and "Ran 1 test" in done.stderr, done.stderr
