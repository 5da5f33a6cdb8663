"""Packs a source archive anew: the same sources give the same bytes, sorted, with one owner and one date."""

from __future__ import annotations

import gzip
import os
import sys
import tarfile
from pathlib import Path


def repack(archive: Path, date: int) -> None:
    """Rewrites a .tar.gz in place.

    Args:
        archive: the file.
        date: seconds since 1970, for every member and the archive itself.
    """
    packed = archive.with_suffix(".tmp")
    with (
        tarfile.open(archive) as source,
        packed.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, date) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            data = source.extractfile(member) if member.isfile() else None
            target.addfile(neutral(member, date), data)
    packed.replace(archive)


def neutral(member: tarfile.TarInfo, date: int) -> tarfile.TarInfo:
    """The member without what depends on the machine that packed it."""
    executable = member.isdir() or member.mode & 0o100
    member.mtime, member.mode = date, 0o755 if executable else 0o644
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.pax_headers = {}
    return member


if __name__ == "__main__":
    repack(Path(sys.argv[1]), int(os.environ["SOURCE_DATE_EPOCH"]))
