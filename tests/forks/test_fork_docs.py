"""docs/forks.md is up to date."""

from __future__ import annotations

from keras_caffe.forks.dialects import DIALECTS
from keras_caffe.forks.unbuilt import UNBUILT, fork_of
from keras_caffe.registry import registered
from scripts import generate_fork_docs as docs


def test_the_page_is_up_to_date() -> None:
    assert docs.PAGE.read_text() == docs.page(), "docs/forks.md is stale: run scripts/generate_fork_docs.py"


def test_the_page_has_every_dialect_and_type() -> None:
    text = docs.PAGE.read_text()
    assert all(f"`{name}`" in text for name in DIALECTS)
    assert all(name in text for name in UNBUILT)


def test_types_that_are_not_built_are_not_registered() -> None:
    assert not UNBUILT.keys() & registered().keys()
    assert fork_of("Convolution") == ""
    assert fork_of("DecodeBBox").startswith("zhaoweicai/cascade-rcnn has it")
    assert fork_of("Gather") == "yjxiong/caffe has it: its definition is in that repository only"
