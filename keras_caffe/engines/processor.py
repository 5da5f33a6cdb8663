"""What this machine computes with."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path


@cache
def processor() -> str:
    """The processor's name and, where the system tells them, its instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.processor()} {platform.machine()}"
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in told.items()}
    names = ("model name", "flags", "Features")
    return " ".join([platform.machine(), *(fields[name] for name in names if name in fields)])


def multiplies_bytes() -> bool:
    """Whether it has instructions that add up products of 8 bits in 32, as VNNI; those before add them up in 16."""
    return "vnni" in processor() or "asimddp" in processor()
