"""docs/reference/cli.md is up to date and has every command and flag."""

from __future__ import annotations

import re

from keras_caffe.cli import NAMES
from scripts import generate_cli_docs as docs


def test_the_page_is_current() -> None:
    assert docs.PAGE.read_text(encoding="utf-8") == docs.page(), "run scripts/generate_cli_docs.py"


def test_every_command_has_a_section_with_what_it_takes() -> None:
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", docs.page(), re.MULTILINE | re.DOTALL))
    assert {name.split()[0] for name in sections} == set(NAMES)
    assert "keras-caffe convert [options] NET [WEIGHTS ...]" in sections["convert"]
    assert "| `-o, --output OUT.keras` | the file to write (required) |" in sections["convert"]
    assert r"| `--phase TRAIN\|TEST` |" in sections["summary"]
    assert "keras-caffe dataset mean" in sections["dataset mean"]
