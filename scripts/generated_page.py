"""What the scripts share that generate pages of the documentation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def with_table(page: Path, script: str, table: str) -> str:
    """The text of a page, with another table between the marks of a script."""
    begin, end = f"<!-- table: written by scripts/{script} -->", "<!-- end of the table -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def write(page: Path, text: str, description: str | None) -> int:
    """Writes a page, or with --check on the command line only says whether it is stale; returns the exit status."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is stale")
    if not arguments.parse_args().check:
        page.write_text(text, encoding="utf-8")
    elif not page.exists() or page.read_text(encoding="utf-8") != text:
        print(f"{page.name} is stale: run {Path(sys.argv[0]).name}", file=sys.stderr)
        return 1
    return 0
