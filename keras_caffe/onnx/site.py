"""One layer of a plan, as the function that writes it to ONNX sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from keras_caffe.converters.infer import PlannedLayer
from keras_caffe.errors import ExportError
from keras_caffe.onnx.graph import FLOAT_TYPES, Graph, Operand, Tensor
from keras_caffe.shapes import Shape, Sizes, known

Length = int | Tensor
"""A size: a number, or a tensor of one int64 where it is known only when the net runs."""


@dataclass(frozen=True)
class Site:
    """Where a layer is written.

    Args:
        graph: what is written to.
        planned: the layer in its plan.
        inputs: the bottoms.
        bottoms, tops: their shapes in Caffe's order and those of the tops; open sizes are None.
        weights: the layer's blobs in Caffe's shape and order, and the name of each.
    """

    graph: Graph
    planned: PlannedLayer
    inputs: Sequence[Tensor]
    bottoms: Sequence[Shape]
    tops: Sequence[Shape]
    weights: Sequence[tuple[str, np.ndarray]]

    @property
    def layer(self) -> Any:
        return self.planned.layer

    @property
    def message(self) -> Any:
        return self.planned.node.message

    @property
    def rank(self) -> int:
        """Number of axes of the first bottom."""
        return len(self.bottoms[0])

    def axis(self, tensor_axis: int, bottom: int = 0) -> int:
        """Caffe's axis for one of the Keras layer's."""
        return self.planned.orders[bottom][tensor_axis]

    def axes(self, tensor_axes: Sequence[int], bottom: int = 0) -> list[int]:
        """Caffe's axes, sorted."""
        return sorted(self.axis(axis, bottom) for axis in tensor_axes)

    def op(self, type: str, *inputs: Operand, outputs: int = 1, **attributes: Any) -> Any:
        """See `Graph.op`."""
        return self.graph.op(type, *inputs, outputs=outputs, **attributes)

    def weight(self, index: int) -> Tensor:
        """One of the layer's blobs, stored under its name."""
        return self.graph.weight(*self.weights[index])

    def values(self, index: int) -> np.ndarray:
        """One of the layer's blobs, to calculate with."""
        return self.weights[index][1]

    def refuse(self, problem: str, expected: str | None = None, received: Any = None) -> NoReturn:
        """Raises what says that ONNX cannot say this layer exactly."""
        raise ExportError(problem, expected=expected, received=received)

    def known(self, shape: Sequence[int | None], what: str) -> Sizes:
        """The shape, of which every size must be known."""
        if None in shape:
            self.refuse(f"{what} must be known", "fixed sizes", list(shape))
        return known(shape)

    def sizes(self, bottom: int = 0) -> list[Length]:
        """The sizes of a bottom, each as a number where it is known."""
        x, shape = self.inputs[bottom], enumerate(self.bottoms[bottom])
        return [self.graph.size(x, axis) if size is None else size for axis, size in shape]

    def calculate(self, type: str, a: Length, b: Length) -> Length:
        """Add, Sub, Mul, Div (cut toward zero), Min or Max of two sizes."""
        if isinstance(a, int) and isinstance(b, int):
            rules = {"Add": a + b, "Sub": a - b, "Mul": a * b, "Min": min(a, b), "Max": max(a, b)}
            return int(a / b) if type == "Div" else rules[type]
        neutral = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}.get(type)
        if b == neutral:
            return a
        if a == neutral and type in ("Add", "Mul"):
            return b
        return str(self.op(type, self.length(a), self.length(b)))

    def product(self, sizes: Sequence[Length]) -> Length:
        result: Length = 1
        for size in sizes:
            result = self.calculate("Mul", result, size)
        return result

    def length(self, size: Length) -> Tensor:
        """A size as a tensor of one int64."""
        return self.graph.constant([size], "int64") if isinstance(size, int) else size

    def vector(self, sizes: Sequence[Length]) -> Tensor:
        """Sizes as one int64 tensor."""
        if all(isinstance(size, int) for size in sizes):
            return self.graph.constant(list(sizes), "int64")
        return str(self.op("Concat", *map(self.length, sizes), axis=0))

    def range(self, count: Length) -> Operand:
        """0, 1, 2, ..., so many."""
        if isinstance(count, int):
            return list(range(count))
        zero, one = (self.graph.constant(np.int64(n)) for n in (0, 1))
        return str(self.op("Range", zero, self.op("Squeeze", count, [0]), one))

    def reshape(self, x: Tensor, sizes: Sequence[Length]) -> Tensor:
        """The same values with other axes."""
        unknown = [i for i, size in enumerate(sizes) if not isinstance(size, int)]
        if len(unknown) == 1 and 0 not in sizes:
            sizes = [-1 if i in unknown else size for i, size in enumerate(sizes)]
        return str(
            self.op("Reshape", x, self.vector(sizes), allowzero=1 if 0 in sizes and self.graph.opset > 13 else None)
        )

    def along(self, values: np.ndarray, axis: int, rank: int | None = None) -> np.ndarray:
        """A vector, shaped to be spread over all axes but one."""
        shape = [1] * (self.rank if rank is None else rank)
        shape[axis] = -1
        return np.asarray(values, "float32").reshape(shape)

    def reduce(self, type: str, x: Tensor, axes: Sequence[int], keepdims: bool = True) -> Tensor:
        """ReduceSum, ReduceMean, ReduceMax, ... over at most all axes, no matter in which order."""
        last = sorted(axes)
        while len(last) > 2:  # OpenCV reduces no more than two axes at once correctly.
            x, last = self._reduce(type, x, last[-2:], keepdims), last[:-2]
        return self._reduce(type, x, last, keepdims)

    def _reduce(self, type: str, x: Tensor, axes: Sequence[int], keepdims: bool) -> Tensor:
        """ONNX moved `axes` from the attributes to the inputs over time."""
        if type == "ReduceSum" or self.graph.opset >= 18:
            return str(self.op(type, x, list(axes), keepdims=int(keepdims)))
        return str(self.op(type, x, axes=list(axes), keepdims=int(keepdims)))

    def pad(self, x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
        """Pads each axis at its beginning and end."""
        if not any(n for pair in pads for n in pair):
            return x
        first, last = zip(*pads, strict=True)
        return str(self.op("Pad", x, [*first, *last], np.float32(value)))

    def slice(self, x: Tensor, axis: int, start: Length, stop: Length) -> Tensor:
        """Part of one axis."""
        return str(self.op("Slice", x, self.length(start), self.length(stop), [axis]))

    def cast(self, x: Tensor, type: str) -> Tensor:
        """To "float" (of the graph's precision), "int64" or "bool"."""
        return str(self.op("Cast", x, to={"float": FLOAT_TYPES[self.graph.float_type], "int64": 7, "bool": 9}[type]))

    def zeros(self, sizes: Sequence[Length]) -> Tensor:
        return str(self.op("Expand", 0.0, self.vector(sizes)))

    def where(self, condition: Tensor, yes: Operand, no: Operand) -> Tensor:
        return str(self.op("Where", condition, yes, no))
