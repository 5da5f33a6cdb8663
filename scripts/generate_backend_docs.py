#!/usr/bin/env python3
"""Writes the table of docs/backends.md: what of each layer holds on which backend of Keras; `--check` only says if it
is stale. tests/test_other_backend.py runs what the table says."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.backends import BACKENDS, what_holds  # noqa: E402
from tests.layers.golden_case import KINDS  # noqa: E402

PAGE = ROOT / "docs" / "backends.md"
BEGIN, END = "<!-- table: written by scripts/generate_backend_docs.py -->", "<!-- end of the table -->"


def table() -> str:
    columns = [None, *BACKENDS.values()]
    head = ["| layer | TensorFlow | " + " | ".join(backend.title for backend in BACKENDS.values()) + " |"]
    head.append("|---" * (1 + len(columns)) + "|")
    rows = [[kind, *(what_holds(kind, backend) for backend in columns)] for kind in KINDS]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def page() -> str:
    """The page with the table of today."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


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
