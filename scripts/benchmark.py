"""Measures this package: `benchmark.py load|forward|inference|data|train|ops|pycaffe|page`, `--help` for settings."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import data, forward, inference, load, ops, page, pycaffe, report, train  # noqa: E402  (TensorFlow reads the environment once)

COMMANDS = {
    "load": load,
    "forward": forward,
    "inference": inference,
    "data": data,
    "train": train,
    "ops": ops,
    "pycaffe": pycaffe,
    "page": page,
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=module.__doc__))
    return made


def main(argv: Sequence[str]) -> None:
    args = parser().parse_args(argv)
    report.show(COMMANDS[args.command].measure(args), ["scripts/benchmark.py", *argv])


if __name__ == "__main__":
    main(sys.argv[1:])
