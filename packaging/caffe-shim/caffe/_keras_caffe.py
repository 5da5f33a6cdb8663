"""Looks for a real Caffe; by this file keras_caffe knows the package as its own."""

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def refuse_beside_a_real_caffe() -> None:
    """Raises ImportError where a Caffe that is compiled lies on sys.path, in this folder too."""
    for folder in sys.path:
        for suffix in EXTENSION_SUFFIXES:
            module = Path(folder, "caffe", f"_caffe{suffix}")
            if module.exists():
                raise ImportError(
                    f"{module.parent}: a real Caffe is installed, which keras-caffe-shim does not replace. Uninstall "
                    "one of them, or run the script by `python -m keras_caffe.pycaffe SCRIPT`.",
                    name="caffe",
                )
