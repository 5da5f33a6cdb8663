"""The helper that warns of what goes away, and what the policy says of versions."""

from __future__ import annotations

import warnings

import pytest

from keras_caffe.deprecation import deprecated
from keras_caffe.version import __version__
from tests.shared_goldens import ROOT


@deprecated(since="1.2", removed="1.4", instead="keras_caffe.load")
def old(number: int, *, factor: int = 2) -> int:
    """Multiplies."""
    return number * factor


def test_a_deprecated_function_works_and_warns_where_it_is_called() -> None:
    with pytest.warns(
        DeprecationWarning, match=r"old is deprecated since keras_caffe 1\.2 and goes away in 1\.4: use keras"
    ) as caught:
        assert old(3, factor=5) == 15
    assert caught[0].filename == __file__
    assert (old.__name__, old.__doc__) == ("old", "Multiplies.")


def test_it_warns_at_every_call_that_filters_let_through() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [old(1), old(2)] == [2, 4]
    assert len(caught) == 2


def test_the_papers_state_the_version_of_the_package() -> None:
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
