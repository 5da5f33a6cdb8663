"""Data layers: the shapes of their tops as far as the parameters tell."""

from __future__ import annotations

import pytest

from keras_caffe.converters.load import load
from keras_caffe.errors import ShapeError
from keras_caffe.layers import source
from tests.layers.cases import IMAGES, Case
from tests.layers.source_case import declared, message, refused
from tests.nets import net_reading

CASES = [
    Case("Data", net=net_reading("Data", f"data_param {{ batch_size: 2 }} {IMAGES}")),
]

HEAD = 'type: "Data" top: "data" top: "label" '
BATCH = 'data_param { source: "no/such_lmdb" backend: LMDB batch_size: 4 } '


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        ("", None),
        ("crop_size: 5", None),
        ("crop_size: 5 force_gray: true", (4, 1, 5, 5)),
        ("crop_size: 5 force_color: true", (4, 3, 5, 5)),
        ("crop_size: 5 mean_value: 1 mean_value: 2 mean_value: 3 mean_value: 4", (4, 4, 5, 5)),
        ("crop_size: 5 mean_value: 1", None),
        ("crop_h: 6 crop_w: 7 force_color: true", (4, 3, 6, 7)),
        ("force_color: true resize_param { resize_mode: WARP height: 8 width: 9 }", (4, 3, 8, 9)),
        ("force_color: true resize_param { resize_mode: FIT_SMALL_SIZE height: 8 width: 9 }", None),
        ("crop_size: 5 force_color: true resize_param { height: 8 width: 9 }", (4, 3, 5, 5)),
    ],
)
def test_shapes(transform: str, shape: tuple[int, ...] | None) -> None:
    assert declared(HEAD + BATCH + f"transform_param {{ {transform} }}") == [shape, (4,)]


def test_one_top() -> None:
    assert declared('type: "Data" top: "data" transform_param { crop_size: 2 force_gray: true } ' + BATCH) == [
        (4, 1, 2, 2)
    ]


def test_old_fields_of_data_param_are_ignored_as_by_caffe() -> None:
    assert declared(HEAD + "data_param { batch_size: 4 crop_size: 5 } transform_param { force_gray: true }")[0] is None


def test_the_first_record_tells_what_the_parameters_leave_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(source._record_readers, "Data", lambda layer: (2, 20, 30))
    assert declared(HEAD + BATCH)[0] == (4, 2, 20, 30)
    assert declared(HEAD + BATCH + "transform_param { crop_size: 5 force_color: true }")[0] == (4, 2, 5, 5)


def test_refusals() -> None:
    refused(HEAD + 'data_param { source: "x" }', "batch_size")
    refused(HEAD + BATCH + 'transform_param { mean_value: 1 mean_file: "m" }', "mean_file and mean_value")
    refused(HEAD + BATCH + "transform_param { force_color: true force_gray: true }", "force_color and force_gray")


def test_without_database_and_input_shapes_the_error_names_both() -> None:
    with pytest.raises(ShapeError, match=r"input_shapes=\{'data'.*no/such_lmdb"):
        load(f"layer {{ name: 'd' {HEAD} {BATCH} }}")


def test_input_shapes_stand_in_for_the_database() -> None:
    net = f"layer {{ name: 'd' {HEAD} {BATCH} }} layer {{ name: 'r' type: 'ReLU' bottom: 'data' top: 'data' }}"
    model = load(net, input_shapes={"data": (4, 3, 6, 7)}, data_format="channels_first")
    assert model.caffe_shapes == {"data": (4, 3, 6, 7), "label": (4,)}
    assert message(HEAD + BATCH).data_param.batch_size == 4
