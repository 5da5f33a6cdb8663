"""What tells one file from another of the same name."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256(path: Path) -> str | None:
    """The file's SHA-256 in hexadecimal; None if it cannot be read any more."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
