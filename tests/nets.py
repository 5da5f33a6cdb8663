"""Prototxt text of small nets and of the layers in them."""

from __future__ import annotations

from collections.abc import Sequence


def layer(name: str, type: str, bottoms: str = "", tops: str = "", more: str = "") -> str:
    """A layer; `bottoms` and `tops` are names with spaces in between, `more` is its other fields."""
    blobs = [f'bottom: "{blob}"' for blob in bottoms.split()] + [f'top: "{blob}"' for blob in tops.split()]
    return f'layer {{ name: "{name}" type: "{type}" {" ".join(blobs)} {more} }}\n'


def input_layer(name: str, *shape: int) -> str:
    """An Input layer with one top of its name."""
    sizes = " ".join(f"dim: {size}" for size in shape)
    return layer(name, "Input", tops=name, more=f"input_param {{ shape {{ {sizes} }} }}")


def net_with(type: str, *shapes: Sequence[int], param: str = "", tops: str = "y") -> str:
    """A layer "layer" on Input layers x0, x1, ... of these shapes."""
    inputs = {f"x{index}": shape for index, shape in enumerate(shapes)}
    above = "".join(input_layer(name, *shape) for name, shape in inputs.items())
    return above + layer("layer", type, " ".join(inputs), tops, param)


def net_reading(type: str, param: str) -> str:
    """A data layer "layer" with tops x and y, and a layer on each of them."""
    return layer("layer", type, tops="x y", more=param) + "".join(layer(f"read_{x}", "Power", x, f"{x}2") for x in "xy")


def data_net(source: object, batch: int = 4, transform: str = "", backend: str = "LMDB", tops: int = 2) -> str:
    """A net with one Data layer "d"."""
    param = f'source: "{source}" batch_size: {batch}' + (f" backend: {backend}" if backend else "")
    names = "data label" if tops == 2 else "data"
    return layer("d", "Data", tops=names, more=f"transform_param {{ {transform} }} data_param {{ {param} }}")


def image_net(source: object, batch: int = 4, fields: str = "", transform: str = "") -> str:
    """A net with one ImageData layer "d"."""
    param = f'image_data_param {{ source: "{source}" batch_size: {batch} {fields} }}'
    return layer("d", "ImageData", tops="data label", more=f"transform_param {{ {transform} }} {param}")


HIDING = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 1 dim: 4 dim: 4 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
"""Its loss stays finite where the second channel of conv is NaN or -inf: MAX pooling takes neither, and ip is 0."""
