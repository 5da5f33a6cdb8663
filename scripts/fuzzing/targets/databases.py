"""Databases: LMDB, LevelDB, TFRecord. A LevelDB is given as the names (field 1) and contents (field 2) of its files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from keras_caffe.data.database import Database, Walk
from keras_caffe.data.sources.leveldb import LevelDbWalk
from keras_caffe.data.sources.tfrecord import TfRecordWalk
from keras_caffe.data.writers import write
from keras_caffe.lmdb_file import LmdbFile
from scripts.fuzzing.mutations import blocks, fields_of, joined, several, words
from scripts.fuzzing.seeds import GOLDENS, files
from scripts.fuzzing.target import Target, file_of

MOST = 400  # records that are read
NAME, CONTENT = 1 << 3 | 2, 2 << 3 | 2
POLYNOMIAL, MASK = 0x82F63B78, 0xA282EAD8  # CRC-32C; LevelDB and TFRecord store it turned and shifted
LOG_BLOCK, LOG_HEAD, TFRECORD_HEAD = 1 << 15, 7, 12


def lmdb(data: bytes) -> None:
    _read(LmdbFile(file_of(data, "data.mdb")))


def leveldb(data: bytes) -> None:
    folder = file_of(b"", "spare").with_name("leveldb")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in _members(data):
        (folder / name).write_bytes(content)
    _read(LevelDbWalk(folder))


def tfrecord(data: bytes) -> None:
    _read(TfRecordWalk(file_of(data, "x.tfrecord")))


def _read(walk: Walk) -> None:
    """Goes through a database, then to where one of its records begins."""
    database = Database(walk, "database")
    size = database.count() if database.size is None else database.size
    if size:
        database.read([0, size // 2, size - 1, size])
    for _, value in itertools.islice(walk.items(), MOST):
        bytes(value)
    walk.items(b"0000")


def lmdbs() -> Iterable[bytes]:
    from tests.data.records import datum

    yield _written("lmdb", {b"%04d" % i: datum(i, (3, 30, 50)) for i in range(5)})
    yield _written("lmdb", {b"%04d" % i: b"%d" % i for i in range(900)})
    yield from files("data.mdb", shared=False)


def leveldbs() -> Iterable[bytes]:
    yield _folder(GOLDENS / "data" / "src" / "conv_leveldb")


def tfrecords() -> Iterable[bytes]:
    yield _written("tfrecord", {b"a": b"1", b"b": b"22"})


def _written(kind: str, records: dict[bytes, bytes]) -> bytes:
    path = file_of(b"", "spare").with_name(f"written.{kind}")
    write(path, records.items(), kind)
    content = (path / "data.mdb" if path.is_dir() else path).read_bytes()
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return content


def _folder(folder: Path) -> bytes:
    members = [(file.name, file.read_bytes()) for file in sorted(folder.iterdir()) if file.name not in ("LOG", "LOCK")]
    return joined([part for name, content in members for part in ((NAME, name.encode()), (CONTENT, content))])


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a folder's files; names that lead out of it are left out."""
    name = ""
    for tag, content in fields_of(data) or []:
        if tag == NAME and isinstance(content, bytes):
            name = Path(content.decode("latin-1").replace("\0", "")[:100]).name
        elif tag == CONTENT and isinstance(content, bytes) and name not in ("", "..", "."):
            yield name, content


def pages(random: Random, data: bytes) -> bytes:
    """Changes a number in the head of a page, or one of its first nodes."""
    return words(random, data, range(0, len(data), 4096) if data else ())


def member(random: Random, data: bytes) -> bytes:
    """Changes a file of a folder; the checksums of logs are made right."""
    members = dict(_members(data))
    if not members:
        return data
    name = random.choice(sorted(members))
    content = several(words, words, blocks)(random, members[name])
    members[name] = _log_with_checksums(content) if name.startswith("MANIFEST") or name.endswith(".log") else content
    return joined([part for one, kept in members.items() for part in ((NAME, one.encode("latin-1")), (CONTENT, kept))])


def record(random: Random, data: bytes) -> bytes:
    """Changes a TFRecord file; its checksums are made right."""
    out = bytearray(several(words, blocks)(random, data))
    at = 0
    while at + TFRECORD_HEAD <= len(out):
        end = at + TFRECORD_HEAD + int.from_bytes(out[at : at + 8], "little")
        out[at + 8 : at + 12] = _masked(out[at : at + 8])
        if end + 4 > len(out):
            break
        out[end : end + 4] = _masked(out[at + TFRECORD_HEAD : end])
        at = end + 4
    return bytes(out)


def _log_with_checksums(data: bytes) -> bytes:
    out, at = bytearray(data), 0
    while at + LOG_HEAD <= len(out):
        end = at + LOG_HEAD + int.from_bytes(out[at + 4 : at + 6], "little")
        if end > len(out):
            break
        out[at : at + 4] = _masked(out[at + 6 : end])
        at = end if LOG_BLOCK - end % LOG_BLOCK >= LOG_HEAD else end + LOG_BLOCK - end % LOG_BLOCK
    return bytes(out)


def _masked(data: bytes | bytearray) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF).to_bytes(4, "little")


TARGETS = {
    "lmdb": Target(lmdb, lmdbs, several(pages, pages, words, blocks), 1 << 16),
    "leveldb": Target(leveldb, leveldbs, member, 1 << 16),
    "tfrecord": Target(tfrecord, tfrecords, record),
}
