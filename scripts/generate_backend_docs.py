#!/usr/bin/env python3
"""Writes the table of docs/backends.md: what of each layer holds on which backend of Keras; `--check` only says if it
is stale. tests/test_other_backend.py runs what the table says."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import generated_page  # noqa: E402
from tests.backends import BACKENDS, what_holds  # noqa: E402
from tests.layers.golden_case import KINDS  # noqa: E402

PAGE = ROOT / "docs" / "backends.md"


def table() -> str:
    columns = [None, *BACKENDS.values()]
    head = ["| layer | TensorFlow | " + " | ".join(backend.title for backend in BACKENDS.values()) + " |"]
    head.append("|---" * (1 + len(columns)) + "|")
    rows = [[kind, *(what_holds(kind, backend) for backend in columns)] for kind in KINDS]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def page() -> str:
    """The page with the table of today."""
    return generated_page.with_table(PAGE, "generate_backend_docs.py", table())


if __name__ == "__main__":
    sys.exit(generated_page.write(PAGE, page(), __doc__))
