"""Tables of LevelDBs that state more than they hold are refused before LevelDB takes memory for it."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from keras_caffe.data.sources.leveldb import LevelDbWalk
from keras_caffe.data.sources.leveldb_blocks import _Table, check_tables
from keras_caffe.errors import DataError
from tests.shared_goldens import GOLDENS

plyvel = pytest.importorskip("plyvel", reason="the extra leveldb is not installed")
COUNT = 3000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tables of many blocks, packed."""
    folder = tmp_path_factory.mktemp("leveldb") / "db"
    with contextlib.closing(plyvel.DB(str(folder), create_if_missing=True)) as db:
        for number in range(COUNT):
            db.put(b"%08d" % number, b"value %d " % number * 20)
        db.compact_range()
    return folder


def table(folder: Path) -> Path:
    return max(folder.glob("*.ldb"), key=lambda path: path.stat().st_size)


def blocks(path: Path) -> list[tuple[int, int]]:
    with path.open("rb") as file:
        one = _Table(path.parent, path, file.fileno())
        footer = path.read_bytes()[-48:]
        _, _, position = one._handle(footer, 0)
        offset, length, _ = one._handle(footer, position)
        return list(one._handles(one._unpacked(offset, length)))


def test_whole_databases_pass(written: Path) -> None:
    assert len(blocks(table(written))) > 20
    assert sum(1 for _ in LevelDbWalk(written).items()) == COUNT
    for folder in {path.parent for path in GOLDENS.glob("**/*.ldb")}:
        assert next(LevelDbWalk(folder).items())


def test_a_block_that_states_gigabytes_is_refused(written: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "db"))
    path = table(folder)
    offset, _ = blocks(path)[3]
    data = bytearray(path.read_bytes())
    data[offset : offset + 5] = b"\xff\xff\xff\xff\x0f"  # 4 GB
    path.write_bytes(data)
    with pytest.raises(
        DataError, match="a table of the LevelDB is damaged; received a block of .* unpacks to 4294967295"
    ):
        LevelDbWalk(folder)


@pytest.mark.parametrize("cut", [30, 100, 5000])
def test_a_table_that_is_cut_off_is_refused(written: Path, tmp_path: Path, cut: int) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "db"))
    path = table(folder)
    path.write_bytes(path.read_bytes()[:-cut])
    assert check_tables(folder, [path]) == [path]
    with pytest.raises(DataError, match=f"{path.name}: a table of the LevelDB is damaged; received it has no footer"):
        LevelDbWalk(folder)  # LevelDB would give no records


@pytest.mark.parametrize("content", [b"", b"half a table", b"x" * 100])
def test_a_table_that_was_never_finished_is_left_out(written: Path, tmp_path: Path, content: bytes) -> None:
    """A writer that was killed leaves it; no MANIFEST names it."""
    folder = Path(shutil.copytree(written, tmp_path / "db"))
    (folder / "999999.ldb").write_bytes(content)
    assert sum(1 for _ in LevelDbWalk(folder).items()) == COUNT


def test_any_index_is_an_error_or_a_list(written: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "db"))
    path = table(folder)
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole) - 300, len(whole)):
        data = bytearray(whole)
        data[place] ^= 0xFF
        path.write_bytes(data)
        try:
            check_tables(folder, [path])
        except DataError:
            refused += 1
    assert refused > 10  # the others change keys, which nothing is read by here
