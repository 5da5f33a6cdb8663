#!/usr/bin/env python3
"""Writes the table of docs/plain.md from the registry; `--check` only says if it is stale."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from keras_caffe.layers.base import CaffeLayer  # noqa: E402
from keras_caffe.plain.table import CANNOT, how  # noqa: E402
from scripts import generated_page  # noqa: E402
from tests.layers.cases import own_types  # noqa: E402 (the types of keras_caffe itself)

PAGE = ROOT / "docs" / "plain.md"


def table(types: dict[str, type[CaffeLayer]]) -> str:
    rows = [f"| {name} | {'no' if name in CANNOT else how(name)} | {CANNOT.get(name, '')} |" for name in sorted(types)]
    return "\n".join(["| type | said by | why not |", "|---|---|---|", *rows])


def page() -> str:
    """The page with the table of today."""
    return generated_page.with_table(PAGE, "generate_plain_docs.py", table(own_types()))


if __name__ == "__main__":
    sys.exit(generated_page.write(PAGE, page(), __doc__))
