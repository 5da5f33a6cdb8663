"""Where callers see the blobs of a graph: its inputs and outputs, always in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keras_caffe.converters.preprocessing import FittedPreprocessing
from keras_caffe.layout import edge_order, inverse, to_stored
from keras_caffe.onnx.graph import Graph, Tensor
from keras_caffe.shapes import Shape


@dataclass(frozen=True)
class Edges:
    """Where callers see the blobs: in Caffe's order, or those of four and more axes with the channels last.

    Args:
        graph: what is written to.
        data_format: "channels_first" or "channels_last".
        pictures: {input blob: what the graph does with pictures before they are that blob}.
    """

    graph: Graph
    data_format: str
    pictures: Mapping[str, FittedPreprocessing] = field(default_factory=dict)

    def input(self, name: str, shape: Shape) -> Tensor:
        """An input, in Caffe's order; pictures are red-green-blue or grey, from 0 to 255, of any size if it changes."""
        order, fitted = edge_order(len(shape), self.data_format), self.pictures.get(name)
        given = (*shape[:2], None, None) if fitted and (fitted.resize or fitted.crop) else shape
        tensor = self._turned(self.graph.input(name, to_stored(given, order)), inverse(order))
        return self._prepared(tensor, fitted) if fitted else tensor

    def _prepared(self, x: Tensor, fitted: FittedPreprocessing) -> Tensor:
        """(N, C, H, W) pictures as the net takes them."""
        op, self.graph.layer = self.graph.op, "preprocessing"
        x = op("Gather", x, [2, 1, 0], axis=1) if fitted.bgr else x
        if fitted.resize:
            sizes = op("Concat", self.graph.size(x, 0), [fitted.channels, *fitted.resize], axis=0)
            x = op("Resize", x, None, None, sizes, mode="linear", coordinate_transformation_mode="half_pixel")
        for axis, size in enumerate(fitted.crop or (), 2):
            start = op("Div", op("Sub", self.graph.size(x, axis), [size]), [2])
            x = op("Slice", x, start, op("Add", start, [size]), [axis])
        if fitted.crop and not fitted.resize:  # Slice gives what there is of smaller pictures; this refuses them.
            x = op("Reshape", x, [0, fitted.channels, *fitted.crop])
        x = op("Sub", x, fitted.mean.transpose(2, 0, 1)) if fitted.mean.any() else x
        return x if fitted.scale == 1 else str(op("Mul", x, fitted.scale))

    def outputs(self, tensors: Mapping[str, Tensor], shapes: Sequence[Shape]) -> dict[str, tuple[Tensor, Shape]]:
        """{name: (tensor, shape)} of the outputs, each a tensor of its own that an operation gives."""
        self.graph.layer = "outputs"
        tops: dict[str, tuple[Tensor, Shape]] = {}
        given = {top for operation in self.graph.operations for top in operation.outputs}
        for (name, tensor), shape in zip(tensors.items(), shapes, strict=True):
            order = edge_order(len(shape), self.data_format)
            turned = self._turned(tensor, order)
            if turned == tensor and (tensor not in given or tensor in (top for top, _ in tops.values())):
                turned = self.graph.op("Identity", tensor)
            tops[name] = turned, to_stored(shape, order)
        return tops

    def _turned(self, tensor: Tensor, axes: Sequence[int]) -> Tensor:
        return tensor if list(axes) == sorted(axes) else str(self.graph.op("Transpose", tensor, perm=list(axes)))
