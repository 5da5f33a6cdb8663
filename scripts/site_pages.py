"""Pages of the site from outside docs/: a hook of MkDocs. Their links, and those to them, lead to the pages."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import normpath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
PAGES = {  # file -> page
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "ops/README.md": "native_operations.md",
    "tests/goldens/README.md": "goldens.md",
    "tests/goldens/layers/README.md": "goldens_layers.md",
    "tests/goldens/README-solvers-data.md": "goldens_solvers_data.md",
    "examples/finetune_digits.py": "examples/finetune_digits.md",
}
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    for file, page in PAGES.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.endswith(".py"):
            text = f"# {file}\n\n```python\n{text}```\n"
        files.append(File.generated(config, page, content=linked(text, file, page)))
    return files


def on_page_markdown(markdown: str, page: Any, **more: Any) -> str:
    source = page.file.src_uri
    return markdown if source in PAGES.values() else linked(markdown, f"docs/{source}", source)


def linked(text: str, file: str, page: str) -> str:
    """The text of a file with links as the page needs them: both relative, to the repository's files and the site's."""

    def link(found: re.Match[str]) -> str:
        target = normpath(f"{file.rpartition('/')[0] or '.'}/{found[1]}")
        goal = PAGES.get(target, target.removeprefix("docs/"))
        return f"]({'../' * page.count('/')}{goal}{found[2] or ''})"

    return LINK.sub(link, text)
