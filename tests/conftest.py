"""The option --seconds, with which scripts/check.sh ends in a minute."""

from __future__ import annotations

import time

import pytest

START = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, help="skip the tests that would start later than this")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    seconds = item.config.getoption("--seconds")
    if seconds is not None and time.monotonic() - START > seconds:
        pytest.skip(f"no time left after {seconds:g} seconds; scripts/test.sh runs it")
