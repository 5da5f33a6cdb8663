"""The classes of Python layers that a script or notebook brings along."""

from __future__ import annotations

import importlib.util
import site
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_caffe.errors import Cure, Option

PACKAGES = ("stdlib", "platstdlib", "purelib", "platlib")


class ScriptClasses(Mapping[str, type]):
    """{"module.Class": class} of what a script may import beyond what is installed: its own folder, PYTHONPATH, and the
    folders that it puts on sys.path. Whoever runs a script trusts it, and so the classes that its nets name there."""

    def __getitem__(self, name: str) -> type:
        module, _, attribute = name.rpartition(".")
        if not module or not _is_a_scripts(module):
            raise KeyError(name)
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _is_a_scripts(name.rpartition(".")[0])

    def cures(self, name: str) -> tuple[Cure, ...]:
        """What to do where no module of the script's has the class."""
        module = name.rpartition(".")[0]
        file = f"{module.replace('.', '/')}.py"
        return (
            f"Put {file} beside the script, or the folder that holds it on PYTHONPATH or sys.path.",
            Option("allow_python_imports", True, "to import it from an installed package that you trust"),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(())  # they are looked up one by one

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True


def _is_a_scripts(module: str) -> bool:
    """Whether a module is the script itself, or is found outside the folders where packages are installed."""
    if module == "__main__":
        return True
    try:
        spec: Any = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    if spec is None or not spec.has_location:
        return False
    file = Path(spec.origin).resolve()
    folders = [*map(sysconfig.get_path, PACKAGES), *site.getsitepackages(), site.getusersitepackages()]
    installed = [Path(__file__).parents[1], *map(Path, folders)]
    return not any(file.is_relative_to(folder.resolve()) for folder in installed)
