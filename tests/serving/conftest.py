"""The processes that load what the tests export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.runners import InC, InFreshPython


@pytest.fixture(scope="session")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> InC:
    return InC(tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="session")
def in_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    runner = InFreshPython(tmp_path_factory.mktemp("python"))
    yield runner
    runner.close()
