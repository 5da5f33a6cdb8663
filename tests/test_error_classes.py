"""The classes of errors: a tree of our own, each also what Python's users catch; whole after a copy and a pickle."""

from __future__ import annotations

import copy
import errno
import pickle
import re
from pathlib import Path

import keras
import pytest

from keras_caffe import errors
from keras_caffe.errors import CaffeError, CaffeWarning, DataError, Option, ReadError, not_found, unreadable

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Message)]
KINDS.remove(errors.Message)
ABOUT_FILES = [kind for kind in KINDS if issubclass(kind, CaffeError) and not issubclass(kind, AttributeError)]
BUILTIN = {"ValueError", "RuntimeError", "KeyError", "AttributeError", "TypeError", "UserWarning"}
BRANCH = re.compile(r"^ {4}((?:[│ ] {3})*(?:[├└]── )?)(\w+)(?: +also an? (\w+))?$", re.MULTILINE)

OS_ERRORS = [
    FileNotFoundError(errno.ENOENT, "No such file or directory", "a.prototxt"),
    PermissionError(errno.EACCES, "Permission denied", "a.prototxt"),
    IsADirectoryError(errno.EISDIR, "Is a directory", "a.prototxt"),
    OSError(errno.EIO, "Input/output error", "a.prototxt"),
]


def test_the_tree_at_the_top_of_the_module_is_that_of_the_classes() -> None:
    drawn, above = {}, []
    for indent, name, also in BRANCH.findall(errors.__doc__):
        depth = len(indent) // 4
        above[depth:] = [name]
        drawn[name] = (above[depth - 1] if depth else "Message", also)
    bases = {kind.__name__: [base.__name__ for base in kind.__bases__] for kind in KINDS}
    assert set(drawn) == set(bases)
    for name, (parent, also) in drawn.items():
        assert bases[name] == [parent, *filter(None, [also])]
        assert set(bases[name][1:]) <= BUILTIN


def copies(error: errors.Message) -> list[errors.Message]:
    return [copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_copies_and_pickles_keep_everything(kind: type[errors.Message]) -> None:
    fields = {"where": "a:1", "layer": "'c'", "expected": (1, 2), "received": 3, "fix": ("A.", Option("fork", "ssd"))}
    error = kind("wrong", **fields)
    assert (
        str(error) == "a:1: layer 'c': wrong; expected (1, 2); received 3. A. Pass fork='ssd'."
    )  # KeyError would quote
    for other in copies(error):
        assert type(other) is kind
        assert (str(other), vars(other), other.args) == (str(error), vars(error), ("wrong",))


@pytest.mark.parametrize("kind", ABOUT_FILES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("cause", OS_ERRORS, ids=lambda cause: type(cause).__name__)
def test_an_error_with_an_os_error_behind_it_is_one(kind: type[CaffeError], cause: OSError) -> None:
    error = kind("the file cannot be read", where="a.prototxt", fix="Try another.", cause=cause)
    for same in [error, *copies(error)]:
        with pytest.raises(type(cause)) as caught:
            raise same
        found = caught.value
        assert isinstance(found, kind) and type(found) is type(error) and type(found).__name__ == kind.__name__
        assert (found.errno, found.strerror, found.filename) == (cause.errno, cause.strerror, "a.prototxt")
        assert str(found) == "a.prototxt: the file cannot be read. Try another."


@pytest.mark.parametrize("cause", [None, KeyError("x"), OSError("truncated file"), ValueError()], ids=repr)
def test_other_causes_change_nothing(cause: Exception | None) -> None:
    error = ReadError("broken", cause=cause)
    assert type(error) is ReadError and not isinstance(error, OSError) and error.cause is None


def test_where_gives_the_name_that_the_system_left_out() -> None:
    error = DataError("gone", where="b.txt", cause=FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert isinstance(error, FileNotFoundError) and error.filename == "b.txt"


def test_what_is_behind_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert isinstance(not_found(tmp_path / "none"), FileNotFoundError)
    assert isinstance(not_found(tmp_path / "file" / "in it"), NotADirectoryError)
    assert not_found("x" * 5000).errno == errno.ENAMETOOLONG
    assert isinstance(not_found("a\0b"), FileNotFoundError) and isinstance(not_found(""), FileNotFoundError)


def test_unreadable_files_say_what_may_have_been_meant(tmp_path: Path) -> None:
    (tmp_path / "Net.prototxt").touch()
    error = unreadable(tmp_path / "net.prototxt", not_found(tmp_path / "net.prototxt"), DataError)
    assert isinstance(error, DataError) and isinstance(error, FileNotFoundError)
    assert str(error) == f"{tmp_path}/net.prototxt: there is no such file. Did you mean {tmp_path}/Net.prototxt?"


def test_keras_passes_an_error_on_as_it_is() -> None:
    class Missing(keras.layers.Layer):
        def call(self, x):
            raise DataError("gone", where="b.txt", cause=not_found("b.txt"))

    with pytest.raises(FileNotFoundError) as caught:
        Missing()(keras.ops.zeros((1, 2)))
    assert isinstance(caught.value, DataError) and str(caught.value) == "b.txt: gone"


def test_a_warning_is_no_error() -> None:
    assert not issubclass(CaffeWarning, CaffeError) and issubclass(CaffeWarning, UserWarning)
