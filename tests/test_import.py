"""What `import keras_caffe` imports, needs and leaves for later."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.shared_goldens import ROOT


def test_without_tensorflow_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['tensorflow'] = None; import keras_caffe"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 1
    assert "pip install 'keras-caffe[tensorflow]'" in run.stderr.splitlines()[-1]


def test_the_import_leaves_for_later_what_not_everybody_needs() -> None:
    """It shall add little to Keras's own; each public name is there when it is asked for."""
    late = ("cv_dnn", "data", "engines", "onnx", "page", "plots", "pycaffe", "serving", "solver")
    code = (
        f"import sys, keras_caffe; print([name for name in {late!r} if f'keras_caffe.{{name}}' in sys.modules]); "
        "print(all(hasattr(keras_caffe, name) for name in keras_caffe.__all__), keras_caffe.serving.to_tflite.__name__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.splitlines() == ["[]", "True to_tflite"]


def test_the_import_with_another_backend_leaves_tensorflow_out() -> None:
    code = "import sys, keras_caffe; print('tensorflow' in sys.modules)"
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    assert run.stdout == "False\n"
