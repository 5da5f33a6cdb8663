"""The modules behind the commands, imported when they are asked for, as some of them need TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType


class Commands(Mapping[str, ModuleType]):
    """{command: its module}.

    Args:
        modules: {command: name of its module in this package}.
    """

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.modules = modules

    def __getitem__(self, name: str) -> ModuleType:
        return import_module(f"keras_caffe.cli.{self.modules[name]}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.modules)

    def __len__(self) -> int:
        return len(self.modules)

    def title(self, name: str) -> str:
        """What a command does: the first line of its module, read from the file, which is neither run nor parsed."""
        with (Path(__file__).parent / f"{self.modules[name]}.py").open(encoding="utf-8") as source:
            return source.readline().strip().strip('"')
