#!/usr/bin/env python3
"""Writes docs/errors.md from the docstrings of keras_caffe/errors.py; `--check` only says if it is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from keras_caffe.cli.explain import KINDS, meaning  # noqa: E402
from scripts import generated_page  # noqa: E402

PAGE = ROOT / "docs" / "errors.md"
INTRODUCTION = """\
# Errors

<!-- Written by scripts/generate_error_docs.py; run it after a change. -->

Every message says what is wrong, where (file and line, or layer), what was expected, what was received, and what to do.
The class says which kind of fault it is; `keras-caffe explain KIND` prints the same text as this page. All errors are
`CaffeError`s and therefore `ValueError`s. If a file cannot be opened, the error is also the operating system's, so
`except FileNotFoundError` catches it.
"""


def page() -> str:
    return "\n".join([INTRODUCTION, *(f"## {name}\n\n{markdown(meaning(name))}\n" for name in KINDS)])


def markdown(text: str) -> str:
    """The text with its example as a block, and the words that lead its parts in italics."""
    before, _, rest = text.partition("Example:\n\n")
    example, _, after = rest.partition("\n\n")
    parts = f"{before}*Example*\n\n```python\n{dedent(example).strip()}\n```\n\n{after}"
    return parts.replace("Cause: ", "*Cause*: ").replace("Cure: ", "*Cure*: ")


if __name__ == "__main__":
    sys.exit(generated_page.write(PAGE, page(), __doc__))
