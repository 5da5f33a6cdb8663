"""Enum values of a fork: they are read, kept, written back, and refused only where a class of ours would use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe import layers, proto
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.read_binary import varint_bytes
from keras_caffe.errors import LayerError, ReadError, UnknownLayerError
from keras_caffe.layers.base import CaffeLayer

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }\n'
DIVIDE = """layer {{ name: "e" type: "Eltwise" bottom: "x" bottom: "x" top: "e" {rule}
  eltwise_param {{ operation: DIV coeff: 1 }} }}
"""
NET = INPUT + DIVIDE.format(rule="")


class Divide(CaffeLayer):
    bottoms = (2, 2)

    def __init__(self, operation: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation = operation

    def call(self, inputs: Any) -> Any:
        return inputs[0] / inputs[1]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Any, **kwargs: Any) -> CaffeLayer:
        return cls(operation=layer.unknown_value[0].value, **kwargs)


def test_a_class_of_ours_refuses_the_word_by_name() -> None:
    with pytest.raises(LayerError, match=r"2: layer 'e' \(Eltwise\): eltwise_param.operation .* MAX; received DIV"):
        keras_caffe.load(NET)


def test_strict_refuses_it_where_it_stands() -> None:
    with pytest.raises(ReadError, match=r"<text>:3:30: operation has a value that is not known"):
        keras_caffe.load(NET, strict=True)


def test_a_layer_that_is_not_built_does_not_matter() -> None:
    training = DIVIDE.format(rule="include { phase: TRAIN }")
    model = keras_caffe.load(INPUT + training + 'layer { name: "p" type: "Power" bottom: "x" top: "y" }')
    assert model.output.shape == (None, 2)


def test_a_class_of_the_callers_sees_the_word(tmp_path: Path) -> None:
    model = keras_caffe.load(NET, custom_layers={"Eltwise": Divide})
    assert model.caffe_layers["e"].operation == "DIV"
    np.testing.assert_array_equal(model(np.full((3, 2), 5, "float32")), np.ones((3, 2)))
    model.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras", custom_objects={"Eltwise": Divide})
    assert again.caffe_layers["e"].operation == "DIV"


@pytest.mark.parametrize(("written", "read"), [("77", "77"), ("-3", "-3"), ("0x4D", "77"), ("DIV", "DIV")])
def test_a_text_keeps_a_number_as_it_keeps_a_word(written: str, read: str, tmp_path: Path) -> None:
    net = NET.replace("DIV", written)
    with pytest.raises(LayerError, match=rf"eltwise_param.operation .* MAX; received {read}"):
        keras_caffe.load(net)
    with pytest.raises(ReadError, match=r"<text>:3:30: operation has a value that is not known"):
        keras_caffe.load(net, strict=True)
    model = keras_caffe.load(net, custom_layers={"Eltwise": Divide})
    keras_caffe.save(model, tmp_path / "net.prototxt")
    again = keras_caffe.load(tmp_path / "net.prototxt", custom_layers={"Eltwise": Divide})
    assert again.caffe_layers["e"].operation == read


@pytest.mark.parametrize("value", ["1.5", "2147483648", "-2147483649", "'DIV'"])
def test_what_no_enum_can_hold_is_refused_where_it_stands(value: str) -> None:
    with pytest.raises(ReadError, match=r"<text>:3:30: operation has a value that is not known"):
        keras_caffe.load(NET.replace("DIV", value))


@pytest.mark.parametrize("value", ["1", "0x1", "01", "- 0"])
def test_a_known_number_is_its_word_however_it_is_written(value: str) -> None:
    pool = (
        f'layer {{ name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param {{ pool: {value} kernel_size: 1 }} }}'
    )
    (_, layer) = read_definition(INPUT + pool).message.layer
    assert layer.pooling_param.pool == int(value[-1])


def test_it_is_written_back_as_it_was(tmp_path: Path) -> None:
    model = keras_caffe.load(NET, custom_layers={"Eltwise": Divide})
    keras_caffe.save(model, tmp_path / "net.prototxt")
    text = (tmp_path / "net.prototxt").read_text()
    assert "  eltwise_param {\n    operation: DIV\n    coeff: 1" in text
    assert "unknown_value" not in text


@pytest.mark.parametrize(
    ("kind", "param", "field"),
    [
        ("SoftmaxWithLoss", "loss_param { normalization: MEDIAN }", "loss_param.normalization"),
        ("Pooling", "pooling_param { pool: MEDIAN kernel_size: 2 }", "pooling_param.pool"),
        ("LRN", "lrn_param { norm_region: EVERYWHERE }", "lrn_param.norm_region"),
        ("HingeLoss", "hinge_loss_param { norm: L3 }", "hinge_loss_param.norm"),
        ("Reduction", "reduction_param { operation: MEDIAN }", "reduction_param.operation"),
        ("Convolution", "convolution_param { weight_filler { variance_norm: SUM } }", ".weight_filler.variance_norm"),
        ("Data", "data_param { backend: ROCKSDB }", "data_param.backend"),
    ],
)
def test_every_enum_of_a_layers_parameters(kind: str, param: str, field: str) -> None:
    bottoms = "" if kind == "Data" else 'bottom: "x"'
    with pytest.raises(LayerError, match=f"{field} has a value that is not known"):
        keras_caffe.load(INPUT + f'layer {{ name: "l" type: "{kind}" {bottoms} top: "y" {param} }}')


V1 = """input: "x" input_dim: 1 input_dim: 2 input_dim: 1 input_dim: 1
layers { name: "e" type: HARD_SWISH bottom: "x" top: "e" }
"""


def test_an_old_type_is_looked_up_under_its_own_name() -> None:
    with pytest.raises(UnknownLayerError, match="unknown layer type 'HARD_SWISH'"):
        keras_caffe.load(V1)

    class HardSwish(CaffeLayer):
        def call(self, inputs: Any) -> Any:
            return inputs * keras.ops.relu6(inputs + 3) / 6

    model = keras_caffe.load(V1, custom_layers={"HARD_SWISH": HardSwish})
    np.testing.assert_allclose(model(np.full((1, 1, 1, 2), 3, "float32")), np.full((1, 1, 1, 2), 3))


def binary(layer: Any, *path: str, number: int = 77) -> bytes:
    """The layer with this number in an enum field, which a message of ours cannot hold."""
    data, fields = varint_bytes(number), []
    for name in path:
        fields.append((layer.DESCRIPTOR if not fields else fields[-1].message_type).fields_by_name[name])
    for field in reversed(fields):
        kind = 2 if field.message_type else 0
        data = varint_bytes(field.number << 3 | kind) + (varint_bytes(len(data)) if kind else b"") + data
    return layer.SerializeToString() + data


def net_file(path: Path, layer: bytes, name: str = "layer") -> Path:
    """A binary net of an input and this layer."""
    net = proto.NetParameter(input=["x"], input_dim=[2, 3, 1, 1])
    number = net.DESCRIPTOR.fields_by_name[name].number
    path.write_bytes(net.SerializeToString() + varint_bytes(number << 3 | 2) + varint_bytes(len(layer)) + layer)
    return path


def test_an_unknown_number_in_a_binary_net_stops_only_the_layer_that_uses_it(tmp_path: Path) -> None:
    layer = proto.LayerParameter(name="e", type="Eltwise", bottom=["x", "x"], top=["y"])
    file = net_file(tmp_path / "net.caffemodel", binary(layer, "eltwise_param", "operation"))
    with pytest.raises(LayerError, match="layer 'e'.*operation has a value that is not known.*received 77"):
        keras_caffe.load(file)
    assert "e" in keras_caffe.load(file, custom_layers={"Eltwise": Divide}).caffe_layers
    layer.include.add(phase=0)
    file = net_file(tmp_path / "train.caffemodel", binary(layer, "eltwise_param", "operation"))
    assert "e" not in keras_caffe.load(file).caffe_layers


@pytest.mark.parametrize("number", [77, -3 % 2**64])
def test_a_binary_net_saved_as_text_can_be_read(number: int, tmp_path: Path) -> None:
    layer = proto.LayerParameter(name="e", type="Eltwise", bottom=["x", "x"], top=["y"])
    file = net_file(tmp_path / "net.caffemodel", binary(layer, "eltwise_param", "operation", number=number))
    model = keras_caffe.load(file, custom_layers={"Eltwise": Divide})
    keras_caffe.save(model, tmp_path / "net.prototxt")
    again = keras_caffe.load(tmp_path / "net.prototxt", custom_layers={"Eltwise": Divide})
    assert again.caffe_layers["e"].operation == model.caffe_layers["e"].operation == ("77" if number == 77 else "-3")


def test_an_unknown_number_of_an_old_type_is_its_name(tmp_path: Path) -> None:
    layer = proto.V1LayerParameter(name="e", bottom=["x"], top=["y"])
    file = net_file(tmp_path / "v1.caffemodel", binary(layer, "type"), "layers")
    with pytest.raises(UnknownLayerError, match="unknown layer type '77'"):
        keras_caffe.load(file)
    assert "e" in keras_caffe.load(file, custom_layers={"77": layers.ReLU}).caffe_layers
