"""A planned net as `cv2.dnn.Net`, and its layers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from keras_caffe.converters.graph import Node
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.write import replacing
from keras_caffe.cv_dnn.flops import flops
from keras_caffe.cv_dnn.refused import Refusals
from keras_caffe.errors import NetError, ShapeError, UnknownNameError, WeightsError
from keras_caffe.layers.base import Blob
from keras_caffe.named import Named
from keras_caffe.onnx.export import Settings, model_bytes
from keras_caffe.onnx.subject import Subject
from keras_caffe.runtimes.onnxruntime import OnnxRuntime
from keras_caffe.shapes import Shape

CACHED = 4
"""How many files a net keeps open, each with the learned values: one for each set of input sizes and outputs."""
INPUT = "_input"
FEEDING = "__NetInputLayer__"
"""OpenCV's name and type of layer 0, which feeds the others."""
Shapes = tuple[tuple[str, Shape], ...]


class Net(Refusals):
    """A net as `cv2.dnn.Net` shows it: layers have numbers from 1 on, 0 is what feeds them.

    Blobs are arrays of float32 in Caffe's order, (N, C, H, W). Inputs may have other sizes in each call: the net is
    then written anew for them, and the last few sizes are kept.

    Args:
        subject: the planned net and its learned values.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._nodes = Named("layer", _numbered(subject.plan))
        self._inputs = Named("input", {name: name for name in subject.shapes})
        self._shapes = dict(subject.shapes)
        self._fed: dict[str, np.ndarray] = {}
        self._nanoseconds = 0
        self._runtime = lru_cache(CACHED)(self._opened)

    def setInput(self, blob: Any, name: str = "", scalefactor: float = 1.0, mean: Any = (0, 0, 0, 0)) -> None:
        """Sets an input to scalefactor * (blob - mean), as float32.

        Args:
            blob: array of numbers, (N, C, H, W) for pictures.
            name: the input; default: the first one.
            scalefactor: factor after the mean is subtracted.
            mean: up to 4 numbers, one for each channel; those that are missing are 0.

        Raises:
            UnknownNameError: there is no such input. ShapeError: the mean does not fit the blob.
        """
        blob_name = self._inputs[name or next(iter(self._inputs), "")]
        array = np.array(blob, "float32")
        self._fed[blob_name] = (array - _mean(mean, array.shape)) * np.float32(scalefactor)

    def setInputShape(self, inputName: str, shape: Sequence[int]) -> None:
        """Sets the sizes of an input as long as `setInput` does not bring others. Raises UnknownNameError."""
        self._shapes[self._inputs[inputName]] = tuple(map(int, shape))

    def setInputsNames(self, inputBlobNames: Sequence[str]) -> None:
        """Gives the inputs, in their order, other names. Raises NetError for more names than inputs."""
        if len(inputBlobNames) > len(self._shapes):
            raise NetError("there are more names than inputs", expected=len(self._shapes), received=inputBlobNames)
        self._inputs = Named("input", zip(inputBlobNames, self._shapes, strict=False))

    def forward(
        self, outputName: str | Sequence[str] | None = "", *, outBlobNames: Sequence[str] | None = None
    ) -> np.ndarray | tuple[np.ndarray, ...]:
        """Runs the net as far as it is needed.

        Args:
            outputName: a layer, or several; default: the last one.
            outBlobNames: OpenCV's other name of several.

        Returns:
            The first top of the layer; a tuple of them for several layers. A top is what the layer itself wrote, also
            where a later layer works in place on it. A layer without tops gives what it reads.

        Raises:
            UnknownNameError: there is no such layer.
            NetError: an input is not set. ShapeError, LayerError: the inputs do not fit the net.
        """
        names = outputName if outBlobNames is None else outBlobNames
        if names is None or isinstance(names, str):
            return self._run([self._tops(names)[0]])[0]
        return tuple(self._run([self._tops(name)[0] for name in names or [""]]))

    def forwardAndRetrieve(self, outBlobNames: Sequence[str]) -> tuple[tuple[np.ndarray, ...], ...]:
        """All tops of each of these layers."""
        tops = [self._tops(name) for name in outBlobNames]
        found = iter(self._run([value for values in tops for value in values]))
        return tuple(tuple(next(found) for _ in values) for values in tops)

    def getLayerNames(self) -> tuple[str, ...]:
        """The layers but those that only bring inputs, in the net's order."""
        return tuple(self._nodes)

    def getLayerId(self, layer: str) -> int:
        """The layer's number; -1 if there is none of this name."""
        if layer == INPUT:
            return 0
        return self.getLayerNames().index(layer) + 1 if layer in self._nodes else -1

    def getLayer(self, layerId: int | str) -> Layer:
        """A layer by number or name. Raises UnknownNameError."""
        if layerId in (0, INPUT):
            return Layer(self, INPUT, None)
        if isinstance(layerId, str):
            return Layer(self, layerId, self._nodes[layerId])
        if not 0 < layerId <= len(self._nodes):
            raise UnknownNameError(f"the net has no layer {layerId}", expected=f"0 to {len(self._nodes)}")
        return self.getLayer(self.getLayerNames()[layerId - 1])

    def getLayerTypes(self) -> tuple[str, ...]:
        """The types of the layers, and that of layer 0."""
        return tuple(sorted({FEEDING, *(node.type for node in self._nodes.values())}))

    def getLayersCount(self, layerType: str) -> int:
        """How many layers are of this type."""
        return [FEEDING, *(node.type for node in self._nodes.values())].count(layerType)

    def getParam(self, layer: int | str, numParam: int = 0) -> np.ndarray:
        """One of a layer's learned values, in Caffe's shape. Raises UnknownNameError, WeightsError."""
        return self._learned(layer, numParam)[numParam]

    def setParam(self, layer: int | str, numParam: int, blob: Any) -> None:
        """Sets one of a layer's learned values. Raises UnknownNameError, WeightsError."""
        blobs = self._learned(layer, numParam)
        self.getLayer(layer).blobs = [*blobs[:numParam], blob, *blobs[numParam + 1 :]]

    def getUnconnectedOutLayers(self) -> np.ndarray:
        """Numbers of the layers whose tops no layer reads."""
        names = self.getUnconnectedOutLayersNames()
        return np.array([self.getLayerId(name) for name in names], "int32")

    def getUnconnectedOutLayersNames(self) -> tuple[str, ...]:
        """Their names."""
        values = self._subject.plan.net.values
        read = {id for id, value in values.items() if value.consumers}
        return tuple(name for name, node in self._nodes.items() if read.isdisjoint(node.outputs))

    def getLayersShapes(self, netInputShapes: Sequence[Any]) -> tuple[np.ndarray, tuple[Any, ...], tuple[Any, ...]]:
        """What shapes the layers' bottoms and tops have for inputs of these shapes.

        Args:
            netInputShapes: one shape, or one for each input of the net.

        Returns:
            Numbers of the layers from 0 on; for each the shapes of its bottoms; for each those of its tops.
        """
        plan = self._planned(self._given_shapes(netInputShapes)).plan
        fed, nodes = _shapes(plan, plan.inputs), self._nodes.values()
        return (
            np.arange(len(nodes) + 1, dtype="int32"),
            (fed, *(_shapes(plan, node.inputs) for node in nodes)),
            (fed, *(_shapes(plan, _written(node)) for node in nodes)),
        )

    def getMemoryConsumption(self, *layerIdAndShapes: Any) -> tuple[int, int]:
        """Bytes of the learned values and of the tops: `getMemoryConsumption([layerId, ]netInputShapes)`."""
        *layer, shapes = layerIdAndShapes
        numbers, _, tops = self.getLayersShapes(shapes)
        chosen = layer or numbers.tolist()
        learned = sum(blob.nbytes for number in chosen for blob in self.getLayer(number).blobs)
        return learned, sum(4 * int(np.prod(top, dtype=np.int64)) for number in chosen for top in tops[number])

    def getFLOPS(self, *layerIdAndShapes: Any) -> int:
        """How many operations OpenCV counts: `getFLOPS([layerId, ]netInputShapes)`; 0 for layers that it has not."""
        *layer, shapes = layerIdAndShapes
        plan = self._planned(self._given_shapes(shapes)).plan
        numbers = layer or range(1, len(self._nodes) + 1)
        nodes = [self.getLayer(number)._node for number in numbers]
        return sum(_flops(plan, node) for node in nodes if node)

    def dump(self) -> str:
        """The layers, and which of them read which, in Graphviz's language."""
        writers = {value: name for name, node in self._nodes.items() for value in node.outputs}
        boxes = (f'\t"{name}" [label="{name}\\n{node.type}" shape=box]' for name, node in self._nodes.items())
        edges = (
            f'\t"{writers.get(value, INPUT)}" -> "{name}"'
            for name, node in self._nodes.items()
            for value in node.inputs
        )
        return "\n".join(["digraph G {", *boxes, *edges, "}", ""])

    def dumpToFile(self, path: str) -> None:
        """Writes what `dump` gives. Raises ReadError if the file cannot be written."""
        with replacing(path) as temporary:
            temporary.write_text(self.dump(), "utf-8")

    def empty(self) -> bool:
        """Whether there are no layers."""
        return not self._nodes

    def setPreferableBackend(self, backendId: int) -> None:
        """Taken, and without effect: ONNX Runtime computes on the CPU."""

    def setPreferableTarget(self, targetId: int) -> None:
        """Taken, and without effect: ONNX Runtime computes on the CPU."""

    def enableFusion(self, fusion: bool) -> None:
        """Taken, and without effect: ONNX Runtime decides itself what it computes in one step."""

    def enableWinograd(self, useWinograd: bool) -> None:
        """Taken, and without effect: ONNX Runtime chooses how it computes convolutions."""

    def setHalideScheduler(self, scheduler: str) -> None:
        """Taken, and without effect: ONNX Runtime plans itself."""

    def getPerfProfile(self) -> tuple[int, np.ndarray]:
        """How long the last forward pass took, in `cv2.getTickFrequency()`'s nanoseconds; no times of layers."""
        return self._nanoseconds, np.empty(0)

    def _learned(self, layer: int | str, number: int) -> tuple[np.ndarray, ...]:
        """The layer's learned values, of which there is one of this number."""
        blobs = self.getLayer(layer).blobs
        if not 0 <= number < len(blobs):
            raise WeightsError(f"layer {layer!r} has no blob {number}", expected=f"less than {len(blobs)}")
        return blobs

    def _given_shapes(self, given: Sequence[Any]) -> Shapes:
        """One shape, or one for each input, with the inputs' names."""
        shapes = [given] if np.ndim(given[0]) == 0 else given
        if len(shapes) != len(self._shapes):
            raise NetError("there must be one shape for each input", expected=", ".join(self._shapes), received=shapes)
        return tuple((name, tuple(map(int, shape))) for name, shape in zip(self._shapes, shapes, strict=True))

    def _tops(self, layer: str | None) -> tuple[str, ...]:
        return _written(self._nodes[layer or next(reversed(self._nodes))])

    def _run(self, values: Sequence[str]) -> list[np.ndarray]:
        shapes = self._shapes | {name: array.shape for name, array in self._fed.items()}
        runtime = self._runtime(tuple(shapes.items()), tuple(dict.fromkeys(values)))
        needed = list(runtime.inputs)
        missing = [name for name in needed if name not in self._fed]
        if missing:
            raise NetError(f"input {', '.join(map(repr, missing))} is not set", fix="Call setInput before forward.")
        begin = time.perf_counter_ns()
        found = runtime.run({name: self._fed[name] for name in needed})
        self._nanoseconds = time.perf_counter_ns() - begin
        return [found[value] for value in values]

    def _planned(self, shapes: Shapes) -> Subject:
        if dict(shapes) == self._subject.shapes:
            return self._subject
        plan = self._subject.again(self._subject.plan.net, dict(shapes))
        for index, planned in plan.layers.items():
            _check_sizes(planned, self._subject.plan.blobs(index))
        return replace(self._subject, plan=plan)

    def _opened(self, shapes: Shapes, values: tuple[str, ...]) -> OnnxRuntime:
        """The net in ONNX Runtime, for inputs of these shapes, with these values as outputs."""
        return OnnxRuntime(model_bytes(self._planned(shapes).folded(values), Settings(outputs=values)))

    def _blobs(self, node: Node) -> tuple[np.ndarray, ...]:
        return tuple(self._subject.blobs[node.index])

    def _set_blobs(self, node: Node, given: Sequence[Any]) -> None:
        blobs = list(self._subject.blobs)
        blobs[node.index] = _fitted(self._subject.plan, node, given)
        self._subject = replace(self._subject, blobs=blobs)
        self._runtime.cache_clear()


class Layer:
    """A layer as `cv2.dnn.Net.getLayer` gives it.

    Args:
        net: its net.
        name: its name there.
        node: the layer; None for layer 0, which feeds the others.
    """

    def __init__(self, net: Net, name: str, node: Node | None) -> None:
        self._net = net
        self._node = node
        self.name: str = name
        self.type: str = node.type if node else ""

    @property
    def blobs(self) -> tuple[np.ndarray, ...]:
        """Its learned values in Caffe's shapes. They can be set, and a bias can be left out then: it is 0."""
        return self._net._blobs(self._node) if self._node else ()

    @blobs.setter
    def blobs(self, given: Sequence[Any]) -> None:
        if self._node is None:
            raise WeightsError("the layer has no learned values", received=f"{len(given)} blobs for layer 0")
        self._net._set_blobs(self._node, given)

    def outputNameToIndex(self, outputName: str) -> int:
        """The position of an input among those that layer 0 feeds; -1 if there is none. 0 in other layers."""
        names = list(self._net._inputs)
        if self._node is not None:
            return 0
        return names.index(outputName) if outputName in names else -1


def _numbered(plan: Plan) -> Iterator[tuple[str, Node]]:
    """(name, layer) of the layers that compute; the second one of a name gets _1 behind it, as in OpenCV."""
    seen: Counter[str] = Counter()
    for planned in plan.layers.values():
        name, before = planned.node.name, seen[planned.node.name]
        seen[name] += 1
        yield (f"{name}_{before}" if before else name), planned.node


def _written(node: Node) -> tuple[str, ...]:
    """The values that stand for a layer's tops; where it has none, OpenCV shows what it reads."""
    return node.outputs or node.inputs


def _mean(given: Any, shape: Sequence[int]) -> Any:
    """What is subtracted from a blob of this shape: one number, or one for each channel of planes."""
    channels, numbers = (shape[1] if len(shape) > 1 else 1), np.ravel(given)
    if len(numbers) > 4 or (np.any(numbers) and channels > 4):
        received = f"{len(numbers)} numbers for a blob {shape}"
        raise ShapeError("a mean is of up to 4 channels", expected="at most 4", received=received)
    means = np.zeros(max(4, channels), "float32")
    means[: len(numbers)] = numbers
    means = means[:channels]
    if (means == means[:1]).all():
        return means[:1]
    if len(shape) < 3:
        raise ShapeError("channels without planes have one mean", expected="equal numbers", received=numbers.tolist())
    return means.reshape(-1, *[1] * (len(shape) - 2))


def _check_sizes(planned: PlannedLayer, learned: Sequence[Blob]) -> None:
    """Raises ShapeError if the layer had other learned values for inputs of these sizes."""
    for blob, known in zip(planned.blobs, learned, strict=True):
        if blob.shape != known.shape:
            raise ShapeError(
                f"the inputs' sizes do not fit the learned values: {blob.name}",
                where=planned.node.where,
                layer=f"{planned.node.name!r} ({planned.node.type})",
                expected=known.shape,
                received=blob.shape,
                fix="Resize the inputs to what the net was trained for.",
            )


def _known(plan: Plan, values: Sequence[str]) -> list[tuple[int, ...]]:
    """A size that only the data tell is 1, as in OpenCV."""
    return [tuple(1 if size is None else size for size in plan.shapes[value]) for value in values]


def _shapes(plan: Plan, values: Sequence[str]) -> tuple[np.ndarray, ...]:
    return tuple(np.array(shape, "int32") for shape in _known(plan, values))


def _flops(plan: Plan, node: Node) -> int:
    return flops(plan.layers[node.index], _known(plan, node.inputs), _known(plan, node.outputs))


def _fitted(plan: Plan, node: Node, given: Sequence[Any]) -> list[np.ndarray]:
    """What is given in the shapes of the layer's blobs."""
    blobs = plan.blobs(node.index)
    arrays: Mapping[int, Any] = dict(enumerate(given))
    kept = [arrays.get(i, np.zeros(blob.shape) if blob.name == "bias" else ()) for i, blob in enumerate(blobs)]
    sizes = [np.prod(blob.shape, dtype=int) for blob in blobs]
    if len(given) > len(blobs) or [np.size(array) for array in kept] != sizes:
        raise WeightsError(
            f"the blobs do not fit layer {node.name!r} ({node.type})",
            expected=[tuple(blob.shape) for blob in blobs],
            received=[np.shape(array) for array in given],
        )
    return [np.array(array, "float32").reshape(blob.shape) for array, blob in zip(kept, blobs, strict=True)]
