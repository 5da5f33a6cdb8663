"""C3D v1.0 (facebookarchive/C3D), whose 3-D layers keep their parameters in convolution_param and pooling_param."""

from __future__ import annotations

from typing import Any

from keras_caffe import proto

# Its V1 type -> today's, where its parameters stand and where they belong.
TYPES = {
    "CONVOLUTION3D": ("Convolution3D", "convolution_param", "convolution3d_param"),
    "DECONVOLUTION3D": ("Deconvolution3D", "convolution_param", "convolution3d_param"),
    "POOLING3D": ("Pooling3D", "pooling_param", "pooling3d_param"),
}
AXES = 5


def is_c3d(net: proto.NetParameter) -> bool:
    """Whether layers of a V2 net came from `layers` blocks of C3D v1.0."""
    return any(layer.type in TYPES for layer in net.layer)


def from_c3d(net: proto.NetParameter) -> proto.NetParameter:
    """The net with the types and messages of C3D v1.1; five input_dim for each input become its input_shape."""
    new = proto.NetParameter()
    new.CopyFrom(net)
    for layer in new.layer:
        if layer.type in TYPES:
            layer.type, old, name = TYPES[layer.type]
            _move(getattr(layer, old), getattr(layer, name))
            layer.ClearField(old)
    if new.input and len(new.input_dim) == AXES * len(new.input):
        for start in range(0, len(new.input_dim), AXES):
            new.input_shape.add(dim=new.input_dim[start : start + AXES])
        new.ClearField("input_dim")
    return new


def _move(old: Any, new: Any) -> None:
    """Sets in a message what another one states under the same names; C3D's sizes are no lists."""
    for field, value in old.ListFields():
        if field.name not in new.DESCRIPTOR.fields_by_name:
            continue
        if field.message_type:
            getattr(new, field.name).CopyFrom(value)
        else:
            setattr(new, field.name, value if isinstance(value, int | float | bool) else value[0])
