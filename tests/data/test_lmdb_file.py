"""LMDBs are read as liblmdb reads them, and damage is an error, never the end of the process."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import lmdb
import numpy as np
import pytest

from keras_caffe.cli import main
from keras_caffe.errors import DataError
from keras_caffe.lmdb_file import LmdbFile
from tests.data.records import datum, write_lmdb

RANDOM = random.Random(3)
DATABASES = {
    "one": {b"a": b"b"},
    "short": {b"%05d" % i: RANDOM.randbytes(RANDOM.randint(0, 300)) for i in range(3000)},
    "long": {b"%05d" % i: RANDOM.randbytes(RANDOM.randint(0, 20000)) for i in range(100)},
    "odd keys": {RANDOM.randbytes(RANDOM.randint(1, 400)): b"%d" % i for i in range(2000)},
    "no values": {b"%d" % i: b"" for i in range(500)},
    "empty": {},
}


def items_of(file: LmdbFile, start: bytes | None = None) -> list[tuple[bytes, bytes]]:
    return [(key, bytes(value)) for key, value in file.items(start)]


@pytest.mark.parametrize("name", DATABASES)
def test_records_are_those_that_were_written(tmp_path: Path, name: str) -> None:
    wanted = sorted(DATABASES[name].items())
    file = LmdbFile(write_lmdb(tmp_path / "db", DATABASES[name]))
    assert file.count() == len(wanted)
    assert items_of(file) == wanted
    keys = [key for key, _ in wanted[:: max(1, len(wanted) // 20)]]
    for start in [b"\0", b"\xff" * 400, b"5", *keys, *(key[:-1] + b"\x7f" for key in keys)]:
        assert items_of(file, start)[:3] == [item for item in wanted if item[0] >= start][:3]


def test_an_lmdb_of_many_transactions(tmp_path: Path) -> None:
    chosen = random.Random(4)
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 26) as env:
        for _ in range(6):
            with env.begin(write=True) as transaction:
                for number in chosen.sample(range(2000), 600):
                    transaction.put(b"%05d" % number, chosen.randbytes(chosen.randint(0, 5000)))
                for number in chosen.sample(range(2000), 300):
                    transaction.delete(b"%05d" % number)
            with env.begin() as transaction:
                assert items_of(LmdbFile(tmp_path / "db")) == list(transaction.cursor())


@pytest.mark.parametrize("name", ["short", "long", "odd keys"])
def test_a_damaged_lmdb_is_an_error(tmp_path: Path, name: str) -> None:
    """Bytes are overwritten, page numbers replaced, ends cut off: what comes out is records or a DataError."""
    chosen, refused = random.Random(5), 0
    whole = (write_lmdb(tmp_path / "db", DATABASES[name]) / "data.mdb").read_bytes()
    for number in range(120):
        data = bytearray(whole)
        if number % 3 == 0:
            for _ in range(100):
                data[chosen.randrange(len(data))] = chosen.randrange(256)
        elif number % 3 == 1:
            at = chosen.randrange(len(data) // 4096) * 4096 + chosen.randrange(64)
            data[at : at + 8] = chosen.choice([b"\xff" * 8, bytes(8), chosen.randbytes(8), b"\3" + bytes(7)])
        else:
            del data[chosen.randrange(len(data)) :]
        (tmp_path / "data.mdb").write_bytes(data)
        try:
            file = LmdbFile(tmp_path / "data.mdb")
            assert len(items_of(file)) == file.count()
        except DataError:
            refused += 1
    assert refused >= 40


def test_a_branch_that_leads_back_to_itself_is_refused(tmp_path: Path) -> None:
    file = write_lmdb(tmp_path / "db", DATABASES["short"]) / "data.mdb"
    root = LmdbFile(file).tree.root
    data = bytearray(file.read_bytes())
    node = root * 4096 + struct.unpack_from("<H", data, root * 4096 + 16)[0]
    struct.pack_into("<HHH", data, node, root, 0, 0)
    file.write_bytes(data)
    with pytest.raises(DataError, match=f"page {root} is not what the pages above it say"):
        items_of(LmdbFile(file))


def test_an_lmdb_that_is_cut_off_while_it_is_read(tmp_path: Path) -> None:
    file = write_lmdb(tmp_path / "db", DATABASES["long"]) / "data.mdb"
    items = LmdbFile(file).items()
    next(items)
    os.truncate(file, 8192)
    with pytest.raises(DataError, match="beyond the end of the file"):
        list(items)


def test_the_command_that_reads_a_damaged_lmdb_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_lmdb(tmp_path / "db", {b"%04d" % i: datum(i % 10) for i in range(500)})
    data = bytearray((source / "data.mdb").read_bytes())
    for page in range(2, len(data) // 4096):  # every size and pointer of every page
        data[page * 4096 + 10 : page * 4096 + 60] = np.random.default_rng(page).bytes(50)
    (source / "data.mdb").write_bytes(data)
    assert main(["dataset", "mean", str(source)]) == 1
    assert "the LMDB cannot be read" in capsys.readouterr().err


def test_databases_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "named"), max_dbs=2, map_size=1 << 20) as env:
        with env.begin(write=True, db=env.open_db(b"train")) as transaction:
            transaction.put(b"a", b"b")
    with pytest.raises(DataError, match="a record is of another kind"):
        items_of(LmdbFile(tmp_path / "named"))
