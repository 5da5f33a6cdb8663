"""What is written is there whole or not at all, and nothing stays of a writer that was killed."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
from pathlib import Path

import pytest

from keras_caffe import whole
from keras_caffe.converters.write import replacing
from keras_caffe.errors import ReadError
from keras_caffe.whole import place, scratch


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    left = tmp_path / f"{whole.PREFIX}dead"
    (left / "sub").mkdir(parents=True)
    (left / "sub" / "file").write_text("half")
    with scratch(tmp_path) as one:
        assert not left.exists()
        with scratch(tmp_path) as other:
            assert one.is_dir()
            assert other.is_dir()
            assert one != other
    assert not list(tmp_path.iterdir())


def test_the_lock_ends_with_the_process(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with scratch(tmp_path) as folder:
            (folder / "file").write_text("half")
            os._exit(0)
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 1
    with scratch(tmp_path):
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_what_is_none_of_ours_stays(tmp_path: Path) -> None:
    (tmp_path / f"{whole.PREFIX}file").write_text("a file")
    (tmp_path / "folder").mkdir()
    with scratch(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {f"{whole.PREFIX}file", "folder"}


def test_what_another_machine_writes_stays(tmp_path: Path) -> None:
    """Its lock may be unknown here, on a network disk; a name may begin as ours."""
    others = {f".unfinished-other{platform.node()}~abc", f".unfinished-{platform.node()}-2~abc", ".unfinished-abc"}
    for name in others:
        (tmp_path / name).mkdir()
    with scratch(tmp_path) as folder:
        assert folder.name.startswith(f".unfinished-{platform.node()}~")
    assert {path.name for path in tmp_path.iterdir()} == others


def test_a_folder_that_is_gone_has_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda _: True)  # it goes after it was looked for
    assert whole.locked(tmp_path / "gone") is None


@pytest.mark.parametrize("call", ["open", "fsync"])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES, errno.ENOTSUP])
def test_disks_that_sync_no_folder_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    real = getattr(os, call)

    def folders_refused(of: Path | int, *flags: int) -> int | None:
        if Path(f"/proc/self/fd/{of}" if isinstance(of, int) else of).is_dir():
            raise OSError(number, "this disk does not sync folders")
        return real(of, *flags)

    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_text("x")
    monkeypatch.setattr(os, call, folders_refused)
    place(tmp_path / "new", tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "x"


@pytest.mark.parametrize(("kind", "number"), [("file", errno.EINVAL), ("folder", errno.EIO)])
def test_what_is_not_on_the_disk_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, number: int
) -> None:
    def refused(_: int) -> None:
        raise OSError(number, "not on the disk")

    new = tmp_path / "new"
    new.mkdir() if kind == "folder" else new.write_text("x")
    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(OSError, match="not on the disk"):
        place(new, tmp_path / "target")


def test_a_folder_that_was_taken_for_a_dead_ones_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer may find it before it is locked."""
    first: list[Path] = []

    def removed_meanwhile(path: Path, wait: bool) -> int | None:
        if not first:
            first.append(path)
            path.rmdir()
            return None
        return os.open(path, os.O_RDONLY)

    monkeypatch.setattr(whole, "locked", removed_meanwhile)
    with scratch(tmp_path) as folder:
        assert folder.is_dir()
        assert folder != first[0]


@pytest.mark.parametrize("broken", ["no locks on this disk", "no locks on this system"])
def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if broken == "no locks on this disk":
        monkeypatch.setattr(fcntl, "flock", refused)
    else:
        monkeypatch.setattr(whole, "fcntl", None)
    left = tmp_path / f"{whole.PREFIX}perhaps"
    left.mkdir()
    with scratch(tmp_path) as folder:
        assert folder.is_dir()
    assert [*tmp_path.iterdir()] == [left]


def test_all_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - of a descriptor
        synced.append(f"{path.name} {(tmp_path / 'target').exists()}")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with scratch(tmp_path) as folder:
        (folder / "new" / "deep").mkdir(parents=True)
        (folder / "new" / "deep" / "file").write_text("x")
        place(folder / "new", tmp_path / "target")
    assert sorted(synced[:-1]) == ["deep False", "file False", "new False"]
    assert synced[-1] == f"{tmp_path.name} True"


def test_a_file_has_the_usual_rights_and_the_longest_name(tmp_path: Path) -> None:
    name = "n" * 251 + ".txt"
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / name) as file:
            file.write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_closed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="the file cannot be written: No such file or directory"):
        with replacing(tmp_path / "none" / "file"):
            pass
