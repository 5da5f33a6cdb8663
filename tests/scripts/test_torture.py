"""A sample of what `scripts/torture.py` does by the thousand: writers are killed, and put where they cannot write."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from keras_caffe.errors import DataError
from scripts import torture
from scripts.torturing.writers import WRITERS, Writer

SAMPLE = ["save", "save_h5", "snapshot", "mean", "dataset_convert", "extract", "engine_choice"]  # need no TensorFlow


def test_every_writer_is_there() -> None:
    assert set(WRITERS) == {*SAMPLE, "snapshot_h5", "view", "export", "convert"}


@pytest.mark.parametrize("name", SAMPLE)
def test_what_a_killed_writer_leaves_is_whole(name: str) -> None:
    assert torture.torture(name, 2, random.Random(name), faults=False) == {"kills": 2, "wrong": []}


def test_where_nothing_can_be_written_it_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    found = torture.torture("save_h5", 0, random.Random(1), faults=True)
    assert found == {"kills": 0, "wrong": [], "faults": 6}


def in_place(folder: Path, variant: int) -> None:
    """What no writer may do."""
    with (folder / "file").open("wb") as file:
        for _ in range(300):
            file.write(b"%d" % variant * 4096)


def found(folder: Path) -> int | None:
    (only,) = set((folder / "file").read_bytes())
    assert (folder / "file").stat().st_size == 300 * 4096
    return only - ord("0")


def test_a_file_that_is_not_whole_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(WRITERS, "in place", Writer(in_place, found))
    state = tmp_path / "state.json"
    assert torture.main(["in place", "--kills", "8", "--no-faults", "--seed", "4", "--state", str(state)]) == 1
    told = json.loads(state.read_text())["in place"]
    assert told["kills"] == 8
    assert "killed: what is there is not whole" in told["wrong"]
    assert "WRONG killed: what is there is not whole" in capfd.readouterr().out


def test_the_same_features_are_written_by_one_process(tmp_path: Path) -> None:
    from keras_caffe.cli.features import Parts
    from scripts.torturing.writers import KnownFeatures

    target = str(tmp_path / "f.h5")
    with Parts(target, KnownFeatures(1)):  # type: ignore[arg-type]
        with pytest.raises(
            DataError, match=r"f.h5.part: another process is writing here. Wait until it is done, or name"
        ):
            Parts(target, KnownFeatures(1))  # type: ignore[arg-type]
    with Parts(target, KnownFeatures(1)) as parts:  # type: ignore[arg-type]
        assert parts.done == 0
