"""DummyData: shapes, what its fillers give, refusals."""

from __future__ import annotations

import numpy as np

from keras_caffe import check
from keras_caffe.layers import DummyData
from tests.layers.source_case import declared, message, refused

HEAD = 'type: "DummyData" top: "a" top: "b" '


def values(text: str) -> list[np.ndarray]:
    layer = message(text)
    return list(DummyData.default_values(layer, DummyData.declared_shapes(layer)))


def test_shapes() -> None:
    assert declared(HEAD + "dummy_data_param { shape { dim: 2 dim: 3 } }") == [(2, 3), (2, 3)]
    assert declared(HEAD + "dummy_data_param { shape { } shape { dim: 4 } }") == [(), (4,)]
    legacy = "dummy_data_param { num: 2 num: 3 channels: 4 height: 1 height: 5 width: 6 }"
    assert declared(HEAD + legacy) == [(2, 4, 1, 6), (3, 4, 5, 6)]


def test_values() -> None:
    shape = "dummy_data_param { shape { dim: 2 dim: 3 } "
    for got, want in zip(values(HEAD + shape + "data_filler { value: 3 } data_filler { } }"), (3, 0), strict=True):
        np.testing.assert_array_equal(got, np.full((2, 3), want, "float32"))
    assert all((v == 5).all() for v in values(HEAD + shape + "data_filler { value: 5 } }"))
    assert all((v == 0).all() for v in values(HEAD + shape + "}"))
    a, b = values(HEAD + shape + 'data_filler { type: "uniform" min: 2 max: 3 } }')
    assert ((a >= 2) & (a <= 3)).all()
    assert a.std() > 0 and not np.array_equal(a, b)


def test_a_constant_takes_no_memory() -> None:
    (large, _) = values(HEAD + "dummy_data_param { shape { dim: 100000 dim: 100000 } data_filler { value: 2 } }")
    assert (large.shape, large.dtype, large[-1, -1]) == ((100000, 100000), "float32", 2)


def test_random_values_are_drawn_when_they_are_first_asked_for() -> None:
    large = HEAD + 'dummy_data_param { shape { dim: 100000 dim: 100000 } data_filler { type: "gaussian" } }'
    assert len(DummyData.default_values(message(large), DummyData.declared_shapes(message(large)))) == 2
    small = message(HEAD + 'dummy_data_param { shape { dim: 5 } data_filler { type: "gaussian" } }')
    drawn = DummyData.default_values(small, DummyData.declared_shapes(small))
    assert drawn[0] is drawn[0] and drawn[0].std() > 0


def test_a_net_of_more_values_than_memory_is_planned() -> None:
    layer = 'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 60000 dim: 30000 } '
    findings = check(layer + 'data_filler { type: "uniform" } } }')
    assert [finding.text for finding in findings if finding.severity == "error"] == []


def test_refusals() -> None:
    refused(
        HEAD + "dummy_data_param { shape { dim: 1 } num: 1 channels: 1 height: 1 width: 1 }", "shape is given together"
    )
    refused(HEAD + "dummy_data_param { }", "num must be given")
    refused(HEAD + 'top: "c" dummy_data_param { shape { dim: 1 } shape { dim: 2 } }', "shape must be given")
    refused(HEAD + 'top: "c" dummy_data_param { shape { dim: 1 } data_filler { } data_filler { } }', "data_filler must")
