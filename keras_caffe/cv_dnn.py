"""OpenCV's `cv2.dnn` for Caffe nets, with OpenCV's names and shapes, on ONNX Runtime.

A script that read its net with `cv2.dnn.readNetFromCaffe` reads it with `keras_caffe.cv_dnn.readNetFromCaffe`; nothing
else in it changes. Needs no TensorFlow and no OpenCV. OpenCV: caffe_importer.cpp and net_impl.cpp in modules/dnn/src.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.graph import Node
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.errors import NetError, ShapeError, UnknownNameError, WeightsError
from keras_caffe.layers.base import Blob
from keras_caffe.named import Named, unknown
from keras_caffe.onnx.export import Settings, model_bytes
from keras_caffe.onnx.subject import Subject, of_files
from keras_caffe.runtimes.onnxruntime import OnnxRuntime
from keras_caffe.shapes import Shape

CACHED = 4
"""How many files a net keeps open, each with the learned values: one for each set of input sizes and outputs."""
Shapes = tuple[tuple[str, Shape], ...]


def readNetFromCaffe(prototxt: Any, caffeModel: Any = None) -> Net:
    """Reads a net to run it.

    Args:
        prototxt: path, or the file's content as bytes, bytearray or an array of uint8.
        caffeModel: the same of the trained values; None: the values that the net's fillers give.

    Raises:
        ExportError: the package onnx or ONNX Runtime is missing. All that `keras_caffe.load` raises.

    Examples:
        >>> from keras_caffe import samples
        >>> net = keras_caffe.cv_dnn.readNetFromCaffe(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> net.setInput(samples.digits()[0][:1], scalefactor=samples.SCALE)
        >>> print(net.forward().argmax())
        9
    """
    Settings()  # Refuses now, and not in the first forward pass, where onnx is missing.
    OnnxRuntime.library()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps a mapped file.
        definition = _file(prototxt, Path(folder, "buffer.prototxt"))
        weights = None if _is_nothing(caffeModel) else _file(caffeModel, Path(folder, "buffer.caffemodel"))
        return Net(of_files(definition, weights, {}))


def _is_nothing(given: Any) -> bool:
    return given is None or (not isinstance(given, Path) and len(given) == 0)


def _file(given: Any, spare: Path) -> Path:
    """A file with what is given: a path, or its content, which is written to the spare one."""
    if isinstance(given, str | Path):
        return Path(given)
    if not isinstance(given, bytes | bytearray) and np.asarray(given).dtype != np.uint8:
        raise TypeError(f"expected a path, bytes or an array of uint8, received {given!r}")
    spare.write_bytes(bytes(given))
    return spare


class Net:
    """A net as `cv2.dnn.Net` shows it: layers have numbers from 1 on, 0 is what feeds them.

    Blobs are arrays of float32 in Caffe's order, (N, C, H, W). Inputs may have other sizes in each call: the net is
    then written anew for them, and the last few sizes are kept.

    Args:
        subject: the planned net and its learned values.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._nodes = Named("layer", _numbered(subject.plan))
        self._fed: dict[str, np.ndarray] = {}
        self._nanoseconds = 0
        self._runtime = lru_cache(CACHED)(self._opened)

    def setInput(self, blob: Any, name: str = "", scalefactor: float = 1.0, mean: Any = (0, 0, 0, 0)) -> None:
        """Sets an input to scalefactor * (blob - mean), as float32.

        Args:
            blob: array of numbers, (N, C, H, W) for pictures.
            name: the input; default: the first one.
            scalefactor: factor after the mean is subtracted.
            mean: a number for each channel; those that are missing are 0.
        """
        inputs = list(self._subject.shapes)
        name = name or inputs[0]
        if name not in inputs:
            raise unknown("input", [name], inputs)
        array = np.array(blob, "float32")
        if array.ndim == 4 and np.any(mean):
            means = np.zeros(max(4, array.shape[1]), "float32")
            means[: np.size(mean)] = mean
            array -= means[: array.shape[1], None, None]
        self._fed[name] = array * np.float32(scalefactor)

    def forward(self, outputName: str | Sequence[str] = "") -> np.ndarray | tuple[np.ndarray, ...]:
        """Runs the net as far as it is needed.

        Args:
            outputName: a layer, or several; default: the last one.

        Returns:
            The first top of the layer; a tuple of them for several layers. A top is what the layer itself wrote, also
            where a later layer works in place on it.

        Raises:
            UnknownNameError: there is no such layer.
            NetError: an input is not set. ShapeError, LayerError: the inputs do not fit the net.
        """
        if isinstance(outputName, str):
            return self._run([self._tops(outputName or self._last())[0]])[0]
        return tuple(self._run([self._tops(name)[0] for name in outputName]))

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
        return self.getLayerNames().index(layer) + 1 if layer in self._nodes else -1

    def getLayer(self, layerId: int | str) -> Layer:
        """A layer by number or name. Raises UnknownNameError."""
        if isinstance(layerId, str):
            return Layer(self, layerId, self._nodes[layerId])
        if layerId == 0:
            return Layer(self, "_input", None)
        if not 0 < layerId <= len(self._nodes):
            raise UnknownNameError(f"the net has no layer {layerId}", expected=f"0 to {len(self._nodes)}")
        return self.getLayer(self.getLayerNames()[layerId - 1])

    def getUnconnectedOutLayers(self) -> np.ndarray:
        """Numbers of the layers whose tops no layer reads."""
        names = self.getUnconnectedOutLayersNames()
        return np.array([self.getLayerId(name) for name in names], "int32")

    def getUnconnectedOutLayersNames(self) -> tuple[str, ...]:
        """Their names."""
        values = self._subject.plan.net.values
        read = {id for id, value in values.items() if value.consumers}
        return tuple(name for name, node in self._nodes.items() if node.outputs and read.isdisjoint(node.outputs))

    def getLayersShapes(self, netInputShapes: Sequence[Any]) -> tuple[np.ndarray, tuple[Any, ...], tuple[Any, ...]]:
        """What shapes the layers' bottoms and tops have for inputs of these shapes.

        Args:
            netInputShapes: one shape, or one for each input of the net.

        Returns:
            Numbers of the layers from 0 on; for each the shapes of its bottoms; for each those of its tops.
        """
        shapes, inputs = [netInputShapes] if np.ndim(netInputShapes[0]) == 0 else netInputShapes, self._subject.shapes
        if len(shapes) != len(inputs):
            raise NetError("there must be one shape for each input", expected=", ".join(inputs), received=shapes)
        given = (tuple(map(int, shape)) for shape in shapes)
        plan = self._planned(tuple(zip(inputs, given, strict=True))).plan
        fed, nodes = _shapes(plan, plan.inputs), self._nodes.values()
        return (
            np.arange(len(nodes) + 1, dtype="int32"),
            (fed, *(_shapes(plan, node.inputs) for node in nodes)),
            (fed, *(_shapes(plan, node.outputs) for node in nodes)),
        )

    def empty(self) -> bool:
        """Whether there are no layers."""
        return not self._nodes

    def setPreferableBackend(self, backendId: int) -> None:
        """Taken, and without effect: ONNX Runtime computes on the CPU."""

    def setPreferableTarget(self, targetId: int) -> None:
        """Taken, and without effect: ONNX Runtime computes on the CPU."""

    def getPerfProfile(self) -> tuple[int, np.ndarray]:
        """How long the last forward pass took, in `cv2.getTickFrequency()`'s nanoseconds; no times of layers."""
        return self._nanoseconds, np.empty(0)

    def _last(self) -> str:
        return next(name for name in reversed(self._nodes) if self._nodes[name].outputs)

    def _tops(self, layer: str) -> tuple[str, ...]:
        return self._nodes[layer].outputs

    def _run(self, values: Sequence[str]) -> list[np.ndarray]:
        shapes = {name: self._fed[name].shape if name in self._fed else s for name, s in self._subject.shapes.items()}
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
        names = list(self._net._subject.shapes)
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


def _shapes(plan: Plan, values: Sequence[str]) -> tuple[np.ndarray, ...]:
    """A size that only the data tell is 1, as in OpenCV."""
    return tuple(np.array([1 if size is None else size for size in plan.shapes[v]], "int32") for v in values)


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
