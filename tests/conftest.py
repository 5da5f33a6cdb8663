"""The option --seconds, with which scripts/check.sh ends in a minute; what is done about test processes that take too
much memory or end in the middle of a test."""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

START = time.monotonic()
STATM = Path("/proc/self/statm")
MIB = 2**20
GROWTH = 512  # MiB that may be garbage: Python does not know how much memory a dropped model holds
LIMIT = 6144  # MiB; the largest test needs a third of it, and 10,000 tests leave 3 GB behind


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, help="skip the tests that would start later than this")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    seconds = item.config.getoption("--seconds")
    if seconds is not None and time.monotonic() - START > seconds:
        pytest.skip(f"no time left after {seconds:g} seconds; scripts/test.sh runs it")


def resident() -> int:
    """The memory of this process in MiB; 0 where the system does not tell."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // MIB if STATM.exists() else 0


class MemoryWatch:
    """Collects garbage when a test process has grown, and ends the process, with every thread's stack, before it takes
    the memory of the machine: the system would kill it without a word."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.test, self.lowest = config, "no test", resident()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        while resident() < LIMIT:
            time.sleep(0.5)
        self.config.pluginmanager.getplugin("capturemanager").suspend_global_capture()
        print(f"\n{self.test}: its process holds {resident()} MiB; at most {LIMIT} are allowed", file=sys.stderr)
        for _ in range(5):  # what runs always is in all of them
            faulthandler.dump_traceback(sys.stderr)
            time.sleep(0.2)
        print(Counter(type(thing).__name__ for thing in gc.get_objects()).most_common(30), file=sys.stderr, flush=True)
        os._exit(1)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.test = nodeid
        if resident() > self.lowest + GROWTH:
            gc.collect()
            self.lowest = resident()


class SecondTry:
    """Runs a test whose process ended in it once more; the summary names it, and a second end is a failure.

    It may have been the last of many tests that filled the machine.
    """

    def __init__(self) -> None:
        self.ended: list[str] = []

    @pytest.hookimpl(optionalhook=True)  # pytest-xdist's
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        if crashitem not in self.ended:
            self.ended.append(crashitem)
            sched.mark_test_pending(crashitem)
            report.outcome = "rerun"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in self.ended:
            terminalreporter.line(f"RERUN {test}: its first process ended in it")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(MemoryWatch(config))
    config.pluginmanager.register(SecondTry())
