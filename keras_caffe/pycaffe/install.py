"""`import caffe` gives this package."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from keras_caffe.errors import CaffeError, Option
from keras_caffe.pycaffe import settings
from keras_caffe.pycaffe.script_classes import ScriptClasses

PACKAGE = __name__.rpartition(".")[0]
SHIM = "_keras_caffe.py"  # in packaging/caffe-shim/caffe
NAMES = ("caffe", "caffe._caffe", "caffe.pycaffe")  # one module here; scripts look for names in each of them


class OtherModules(MetaPathFinder):
    """Finds modules `caffe.NAME` that this package has not in the folders `caffe` on sys.path, where a fork's Python
    code lies: SSD's scripts import `caffe.model_libs` from there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or fullname.rpartition(".")[0] != "caffe":
            return None
        return PathFinder.find_spec(fullname, [str(Path(entry, "caffe")) for entry in sys.path], target)


OTHER_MODULES = OtherModules()


def install(*, force: bool = False) -> None:
    """Makes `import caffe`, and imports of its submodules, return this package in this process.

    Every module is the same object under both names. A script's own `sys.path` has no effect on what is installed. In a
    notebook, Python layers may come from its cells and from the modules beside it.

    Args:
        force: take the place of another package `caffe` that could be imported or has been.

    Raises:
        CaffeError: there is another package `caffe`.
    """
    package = importlib.import_module(PACKAGE)
    other = None if sys.modules.get("caffe") is package else _other()
    if other and not force:
        raise CaffeError(
            "another package `caffe` is installed",
            where=other,
            fix=Option("force", True, "to put keras_caffe in its place in this process"),
        )
    for name in [name for name in sys.modules if name.partition(".")[0] == "caffe"]:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(NAMES, package))
    if _in_notebook():
        settings.use_python_layers(ScriptClasses())
    if OTHER_MODULES not in sys.meta_path:
        sys.meta_path.append(OTHER_MODULES)
    for found in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."):
        if not found.name.endswith(".__main__"):
            sys.modules["caffe" + found.name.removeprefix(PACKAGE)] = importlib.import_module(found.name)


def _in_notebook() -> bool:
    """Whether a person runs cells, in Jupyter or IPython, and so has trusted them."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and get_ipython() is not None


def _other() -> str | None:
    """Where another package `caffe` is; a folder of that name without an __init__.py is none, nor is our shim."""
    if "caffe" in sys.modules:
        return getattr(sys.modules["caffe"], "__file__", None)
    spec = importlib.util.find_spec("caffe")
    if spec is None or not spec.has_location or Path(str(spec.origin)).with_name(SHIM).exists():
        return None
    return spec.origin
