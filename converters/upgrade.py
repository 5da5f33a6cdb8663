"""Old nets and solvers as today's: V0, V1, `input` fields, ... become `layer { type: "Convolution" }`.

Caffe: util/upgrade_proto.cpp.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_caffe import proto
from keras_caffe.converters.upgrade_c3d import from_c3d, is_c3d
from keras_caffe.converters.upgrade_v0 import is_v0, put, v0_to_v1
from keras_caffe.errors import CaffeError, CaffeWarning, NetError, SolverError
from keras_caffe.proto.generations import V1_FORK_TYPES, V1_TYPES

SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}
DATA_PARAMS = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
SPEC_FIELDS = {"param": "name", "blob_share_mode": "share_mode", "blobs_lr": "lr_mult", "weight_decay": "decay_mult"}


class Rewrite(NamedTuple):
    """One upgrade: `rewrite` returns a new message and is asked only where `needed` says so."""

    needed: Callable[[Any], bool]
    rewrite: Callable[[Any], Any]


def upgrade(net: proto.NetParameter, where: Callable[[str], str | None] = lambda layer: None) -> proto.NetParameter:
    """A new net in today's form, as Caffe's own upgrade writes it; `net` stays as it is.

    Args:
        net: a net of any age, text or binary.
        where: layer name -> `file:line`, for errors.

    Raises NetError for `layer` beside `layers`, unknown V0 types, a V0 padding layer before anything but conv or pool,
    and `input` fields without a shape for each; warns where a V0 parameter does not belong to its layer.
    """
    try:
        new = _run(net)
    except CaffeError as error:
        name, error.layer = error.layer or "", repr(error.layer)
        raise error.at(where=where(name)) from None
    return new if new is not net else _copy(net)


def upgrade_solver(solver: proto.SolverParameter) -> proto.SolverParameter:
    """A new solver with `type` for `solver_type`, and the nets inside it upgraded; `solver` stays as it is."""
    new = _copy(solver)
    if new.HasField("solver_type"):
        if new.HasField("type"):
            raise SolverError(
                "both solver_type (old enum) and type (string) are given",
                received=f"solver_type {_enum_name(new, 'solver_type')} and type {new.type!r}",
                fix="Delete solver_type.",
            )
        new.type = SOLVER_TYPES[_enum_name(new, "solver_type")]
        new.ClearField("solver_type")
    nested = [getattr(new, field) for field in ("net_param", "train_net_param") if new.HasField(field)]
    for net in [*nested, *new.test_net_param]:
        net.CopyFrom(upgrade(net))
    return new


def _run(net: proto.NetParameter) -> proto.NetParameter:
    if net.layer and net.layers:
        raise NetError(
            "the file has both `layer` and `layers` blocks",
            layer=net.layers[0].layer.name or net.layers[0].name,
            expected='`layer { type: "ReLU" }` or `layers { type: RELU }` throughout',
            received=f"{len(net.layer)} `layer` and {len(net.layers)} `layers` blocks",
            fix='Rewrite the old ones: write `layer` for `layers`, and the type as a string: type: "ReLU".',
        )
    for step in REWRITES:
        if step.needed(net):
            net = step.rewrite(net)
    return net


def _copy(message: Any) -> Any:
    new = type(message)()
    new.CopyFrom(message)
    return new


def _enum_name(message: Any, field: str) -> str:
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    return str(enum.values_by_number[getattr(message, field)].name)


def _has_old_transform(net: proto.NetParameter) -> bool:
    return any(_old_transform_fields(layer) for layer in net.layers)


def _old_transform_fields(layer: proto.V1LayerParameter) -> list[str]:
    param = DATA_PARAMS.get(_enum_name(layer, "type"))
    return [field for field in TRANSFORM_FIELDS if param and getattr(layer, param).HasField(field)]


def _move_transform(net: proto.NetParameter) -> proto.NetParameter:
    """scale, mean_file, crop_size and mirror of V1 data layers go to transform_param."""
    new = _copy(net)
    for layer in new.layers:
        param = DATA_PARAMS.get(_enum_name(layer, "type"))
        if param is None:
            continue
        source = getattr(layer, param)
        for message in (source, layer.transform_param):
            message.SetInParent()
        for field in _old_transform_fields(layer):
            setattr(layer.transform_param, field, getattr(source, field))
            source.ClearField(field)
    return new


def _v1_to_v2(net: proto.NetParameter) -> proto.NetParameter:
    new = proto.NetParameter()
    for field, value in net.ListFields():
        if field.name != "layers":
            put(new, field.name, value)
    new.layer.extend(_layer_to_v2(layer) for layer in net.layers)
    return new


def _layer_to_v2(v1: proto.V1LayerParameter) -> proto.LayerParameter:
    new = proto.LayerParameter()
    for field, value in v1.ListFields():
        if field.name == "type":
            new.type = V1_TYPES[_enum_name(v1, "type")]
        elif field.name in SPEC_FIELDS:
            _put_specs(new, SPEC_FIELDS[field.name], value)
        elif field.name in new.DESCRIPTOR.fields_by_name:
            put(new, field.name, value)
    for unknown in v1.unknown_value:  # A type that the enum does not know may be registered under this name.
        if unknown.field == "type":
            new.type = V1_FORK_TYPES.get(unknown.value, unknown.value)
            new.unknown_value.remove(unknown)
    return new


def _put_specs(layer: proto.LayerParameter, field: str, values: Any) -> None:
    while len(layer.param) < len(values):
        layer.param.add()
    for spec, value in zip(layer.param, values, strict=False):
        setattr(spec, field, value)


def _inputs_to_layer(net: proto.NetParameter) -> proto.NetParameter:
    """`input` with input_shape or input_dim becomes a first layer "input"; without either the inputs are dropped."""
    new = _copy(net)
    for field in ("input", "input_shape", "input_dim", "layer"):
        new.ClearField(field)
    if net.input_shape or net.input_dim:
        layer = new.layer.add(name="input", type="Input", top=net.input)
        layer.input_param.shape.extend(_input_shapes(net))
    new.layer.extend(net.layer)
    return new


def _input_shapes(net: proto.NetParameter) -> list[proto.BlobShape]:
    field, per_input = ("input_shape", 1) if net.input_shape else ("input_dim", 4)
    values, wanted = getattr(net, field), per_input * len(net.input)
    if len(values) < wanted:
        raise NetError(
            f"too few {field} for the inputs {', '.join(net.input)}",
            layer="input",
            expected=f"{wanted} ({per_input} for each input)",
            received=len(values),
        )
    if len(values) > wanted:
        warnings.warn(f"{len(values)} {field} for {wanted}: the rest is ignored", CaffeWarning, stacklevel=2)
    if field == "input_shape":
        return list(values[:wanted])
    return [proto.BlobShape(dim=values[start : start + 4]) for start in range(0, wanted, 4)]


def _has_old_batch_norm(net: proto.NetParameter) -> bool:
    return any(_is_old_batch_norm(layer) for layer in net.layer)


def _is_old_batch_norm(layer: proto.LayerParameter) -> bool:
    return layer.type == "BatchNorm" and len(layer.param) == 3


def _freeze_batch_norm(net: proto.NetParameter) -> proto.NetParameter:
    """The statistics of a BatchNorm with three param entries are no longer learned."""
    new = _copy(net)
    for layer in filter(_is_old_batch_norm, new.layer):
        for spec in layer.param:
            spec.lr_mult = spec.decay_mult = 0
    return new


REWRITES = (
    Rewrite(is_v0, v0_to_v1),
    Rewrite(_has_old_transform, _move_transform),
    Rewrite(lambda net: bool(net.layers), _v1_to_v2),
    Rewrite(is_c3d, from_c3d),
    Rewrite(lambda net: bool(net.input), _inputs_to_layer),
    Rewrite(_has_old_batch_norm, _freeze_batch_norm),
)
