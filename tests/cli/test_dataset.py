"""`keras-caffe dataset ...`."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from keras_caffe.cli import main
from keras_caffe.data.statistics import open_any
from tests.shared_goldens import GOLDENS

SRC = GOLDENS / "data" / "src"


def run(*arguments: object) -> int:
    return main(["dataset", *map(str, arguments)])


def test_a_list_becomes_an_lmdb_a_tfrecord_and_a_leveldb(tmp_path: Path, capsys) -> None:
    assert (
        run("convert", SRC / "list.txt", tmp_path / "db", "--root", SRC / "img", "--resize", 6, 7, "--check-size") == 0
    )
    assert run("convert", tmp_path / "db", tmp_path / "db.tfrecord") == 0
    assert run("convert", tmp_path / "db.tfrecord", tmp_path / "level", "--to", "leveldb") == 0
    assert capsys.readouterr().out.count("7 records written to") == 3
    keys = [[bytes(key) for key, _ in open_any(tmp_path / name).items()] for name in ("db", "db.tfrecord", "level")]
    assert keys[0] == keys[1] == keys[2]
    assert keys[0][4] == b"00000004_photo 4.jpg"


def test_shuffled_with_a_seed(tmp_path: Path, capsys) -> None:
    for name in ("a", "b"):
        run("convert", SRC / "list.txt", tmp_path / name, "--root", SRC / "img", "--shuffle", "--seed", 1)
    found = [[(bytes(k), bytes(v)) for k, v in open_any(tmp_path / name).items()] for name in ("a", "b")]
    assert found[0] == found[1]
    names = [key.partition(b"_")[2] for key, _ in found[0]]
    assert names != [line.rpartition(b" ")[0] for line in (SRC / "list.txt").read_bytes().splitlines()]
    assert len(set(names)) == 7


def test_the_mean_is_printed_and_written(tmp_path: Path, capsys) -> None:
    assert run("mean", SRC / "rgb_lmdb", tmp_path / "mean.binaryproto") == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("mean_value channel [0]: ")
    assert (tmp_path / "mean.binaryproto").read_bytes() == (SRC / "mean.binaryproto").read_bytes()


def test_a_contact_sheet_shows_the_records(tmp_path: Path, capsys) -> None:
    assert run("show", SRC / "rgb_lmdb", tmp_path / "sheet.png", "--count", 6, "--columns", 3, "--size", 24) == 0
    assert "6 records drawn" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * 28 + 4, 2 * 40 + 4)
        assert len(sheet.getcolors(10_000)) > 100


def test_stats_says_what_is_in_it(capsys) -> None:
    assert run("stats", SRC / "jpg_lmdb") == 0
    said = capsys.readouterr().out
    assert "3 x 10 x 12" in said and "compressed" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convert", "nowhere", "x"], "no images were found; expected a list of names and labels"),
        (["convert", "nowhere", "x"], "received no file or folder of this name"),
        (["stats", "nowhere"], "no such database"),
        (["mean", str(SRC / "varsize_lmdb")], "differ in size"),
        (["show", str(SRC / "rgb_lmdb"), "s.png", "--skip", "99"], "there are no records"),
    ],
)
def test_errors_take_one_line(arguments: list[str], words: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_wrong_usage_is_told(tmp_path: Path, capsys) -> None:
    for arguments in (
        ["convert", "a", "b", "--shards", "0"],
        ["show", "a", str(tmp_path / "s.png"), "--count", "0"],
        ["nothing"],
    ):
        with pytest.raises(SystemExit) as exit:
            run(*arguments)
        assert exit.value.code == 2
