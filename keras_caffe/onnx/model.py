"""A graph as ONNX's message, checked, without the learned values: those go into the file by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import helper, numpy_helper

from keras_caffe.errors import ExportError
from keras_caffe.onnx.graph import FLOAT_TYPES, Body, Graph, Operation, Tensor
from keras_caffe.onnx.naming import Names
from keras_caffe.shapes import Shape
from keras_caffe.version import __version__

BATCH = "N"


def message(
    name: str,
    graph: Graph,
    names: Names,
    outputs: Mapping[Tensor, Shape],
    declared: Mapping[str, Shape],
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """The model without its weights.

    Args:
        name: the net's.
        graph, names: the finished graph.
        outputs: {tensor: shape in Caffe's order}; open sizes are None.
        declared: {input blob: its shape in the net}.
        metadata: what else the file says about itself.

    Raises:
        ExportError: ONNX's own check finds a fault.
    """
    operations = graph.pruned(outputs)
    used = {tensor for operation in operations for tensor in operation.reads} | set(outputs)
    graph.weights = {tensor: weight for tensor, weight in graph.weights.items() if tensor in used}
    batches = {name: declared[name][:1] for name, shape in graph.inputs.values() if shape}
    first = next(iter(batches.values()), ())
    proto = helper.make_graph(
        _nodes(operations, names),
        name or "caffe_net",
        [_value(name, _input_shape(name, shape, batches.get(name) == first)) for name, shape in graph.inputs.values()],
        [_value(names[tensor], shape) for tensor, shape in outputs.items()],
        [numpy_helper.from_array(a, names[t]) for t, a in graph.constants.items() if t in used],
    )
    opsets = [helper.make_opsetid("", graph.opset)]
    model = helper.make_model(
        proto,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="keras-caffe",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(metadata))
    for output, checked in zip(model.graph.output, _checked(model, graph, names).graph.output, strict=True):
        _name_batch(output, checked)
    return model


def _nodes(operations: Sequence[Operation], names: Names) -> list[Any]:
    """The last operation of a layer has the layer's name, those before it the operation's behind that."""
    last = {operation.layer: operation for operation in operations}
    taken = Names()
    for number, operation in enumerate(operations):
        own = operation is last[operation.layer]
        taken.give(f"node {number}", operation.layer if own else f"{operation.layer}/{operation.type}")
    return [
        helper.make_node(
            operation.type,
            [names[tensor] for tensor in operation.inputs],
            [names[tensor] for tensor in operation.outputs],
            name=taken[f"node {number}"],
            **{key: _attribute(value, names) for key, value in operation.attributes.items()},
        )
        for number, operation in enumerate(operations)
    ]


def _attribute(value: Any, names: Names) -> Any:
    if not isinstance(value, Body):
        return value
    inputs, outputs = (
        [_value(names[tensor], None, value.float_type) for tensor in side] for side in (value.inputs, value.outputs)
    )
    return helper.make_graph(_nodes(value.operations, names), "body", inputs, outputs)


def _value(name: str, shape: Sequence[Any] | None, float_type: str = "float32") -> Any:
    return helper.make_tensor_value_info(name, FLOAT_TYPES[float_type], shape)


def _input_shape(name: str, shape: Shape, alike: bool) -> list[Any]:
    """Open sizes get names: N for the batch of inputs that are declared with the same one, others by blob and axis."""
    names = [BATCH if axis == 0 and alike else f"{name}_{axis}" for axis in range(len(shape))]
    return [name if size is None else size for name, size in zip(names, shape, strict=True)]


def _checked(model: onnx.ModelProto, graph: Graph, names: Names) -> onnx.ModelProto:
    """The model as ONNX's checker sees it, with inferred shapes; weights stand among the inputs."""
    skeleton = onnx.ModelProto()
    skeleton.CopyFrom(model)
    skeleton.graph.input.extend(
        _value(names[t], weight.values.shape, weight.float_type) for t, weight in graph.weights.items()
    )
    try:
        onnx.checker.check_model(skeleton)
        return onnx.shape_inference.infer_shapes(skeleton, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # its classes are no part of its interface
        raise ExportError("ONNX rejects the exported net", received=str(error).strip()) from error


def _name_batch(output: Any, checked: Any) -> None:
    """An open size that is the inputs' batch gets its name."""
    pairs = zip(output.type.tensor_type.shape.dim, checked.type.tensor_type.shape.dim, strict=True)
    for dim, found in pairs:
        if found.dim_param == BATCH and not dim.HasField("dim_value"):
            dim.dim_param = BATCH
