#!/usr/bin/env python3
"""Writes the table of docs/plain.md from the registry; `--check` only says if it is stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from keras_caffe.layers.base import CaffeLayer
from keras_caffe.plain.table import CANNOT, how

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.layers.cases import own_types  # noqa: E402 (the types of keras_caffe itself)

PAGE = ROOT / "docs" / "plain.md"
BEGIN, END = "<!-- table: written by scripts/generate_plain_docs.py -->", "<!-- end of the table -->"


def table(types: dict[str, type[CaffeLayer]]) -> str:
    rows = [f"| {name} | {'no' if name in CANNOT else how(name)} | {CANNOT.get(name, '')} |" for name in sorted(types)]
    return "\n".join(["| type | said by | why not |", "|---|---|---|", *rows])


def page() -> str:
    """The page with the table of today."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(own_types())}\n\n{END}{after}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is stale")
    text = page()
    if arguments.parse_args().check:
        return int(text != PAGE.read_text())
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
