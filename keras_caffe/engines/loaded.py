"""A loaded model in each engine, and how far its numbers are from the model's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from keras_caffe.converters.fold import folded
from keras_caffe.converters.model import CaffeModel, keras_name, output_name
from keras_caffe.converters.proof import Engine as Export
from keras_caffe.converters.proof import prove, sample_inputs
from keras_caffe.converters.sample_shapes import sample_shapes
from keras_caffe.converters.tail import Tail
from keras_caffe.engines.cut import Cut
from keras_caffe.engines.how import NAMES, How, Made
from keras_caffe.engines.quantize import quantized
from keras_caffe.errors import CaffeError, ExportError
from keras_caffe.layers import DetectionOutput
from keras_caffe.onnx.export import Settings, model_bytes
from keras_caffe.onnx.subject import of_model
from keras_caffe.onnx.walk import NoWriterError
from keras_caffe.runtimes import Runtime, own_words
from keras_caffe.runtimes.litert import LiteRt
from keras_caffe.runtimes.onnxruntime import OnnxRuntime
from keras_caffe.runtimes.openvino import OpenVino
from keras_caffe.runtimes.tensorflow import TensorFlow
from keras_caffe.serving.calibration import samples
from keras_caffe.serving.dynamic import servable_model
from keras_caffe.serving.servable import argument_names, in_float32, net_outputs, plain_inputs, signature
from keras_caffe.serving.tflite import tflite_bytes
from keras_caffe.shapes import Shape


class LoadedNet:
    """A model and the blobs that are asked for.

    Args:
        model: a loaded model.
        outputs: names of blobs; None: the model's outputs.
    """

    engines: Sequence[str] = NAMES

    def __init__(self, model: CaffeModel, outputs: Sequence[str] | None) -> None:
        self.model: CaffeModel = model
        self.outputs: Sequence[str] | None = outputs
        model.net.check_blobs(outputs or ())
        self._graphs: dict[tuple[str, ...], bytes] = {}

    @property
    def single(self) -> str | None:
        """The name of the only output where the model gives an array; None where it gives a dict."""
        return next(iter(self._wanted)) if self.outputs is None and len(self._wanted) == 1 else None

    def digest(self) -> str:
        """What tells this net, its values and what is asked of it from others."""
        told = (self.model.recipe.net, self.model.data_format, sample_shapes(self.model.plan), self.outputs)
        digest = hashlib.sha256(repr(told).encode())
        for arrays in self.model.get_caffe_params().values():
            for array in arrays:
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def made(self, name: str, how: How) -> Made:
        """The net in an engine; layers that the engine cannot compute stay in Keras where that is behind it.

        Raises:
            ExportError: the engine is missing, fails, or computes something else.
        """
        if name == "tensorflow":
            return self._proved(self._tensorflow(how), how)
        detections = self._detections()
        if not self._inputs.isdisjoint(self._wanted.values()):  # which no file gives back
            return self._behind(name, how, detections)
        if name == "litert" and detections:  # There a loop would go over the boxes one by one.
            return self._behind(name, how, detections)
        try:
            return self._proved(self._run(name, how, self.outputs), how)
        except NoWriterError as error:
            kept = list(error.layers)
        except ExportError:
            if not detections:
                raise
            kept = detections
        return self._behind(name, how, kept)

    def names(self, runtime: Runtime) -> dict[str, str]:
        """{what callers may call an input: its name in the runtime}, in the model's order.

        Inputs that give a size alone may be missing in the runtime: they have their blob's name here.
        """
        known, plan = self._export(runtime).names, self.model.plan
        blobs = [self.model.net.values[value].blob for value in plan.inputs_of(self._wanted.values())]
        fed = [blob for blob in blobs if keras_name(blob) not in self.model.tensors.defaults]
        return {name: known.get(blob, blob) for blob in fed for name in (blob, keras_name(blob))}

    def check(self, runtime: Runtime, shapes: Mapping[str, Shape]) -> None:
        """Refuses inputs of the runtime whose batches do not fit each other, as the model does. Raises ShapeError."""
        given = {keras_name(blob): shapes[name] for blob, name in self._export(runtime).names.items()}
        self.model.check_batches({**self._defaults, **given})

    def without_rows(self, runtime: Runtime, fed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the model makes of the runtime's inputs: engines refuse a batch without rows, or give other shapes."""
        given = {keras_name(blob): fed[name] for blob, name in self._export(runtime).names.items()}
        for tensor in self._part.inputs:  # what gives a size alone may be missing in the runtime
            if tensor.name not in {*given, *self._defaults}:
                given[tensor.name] = np.zeros((0, *tensor.shape[1:]), "float32")
        found = self._part.predict_on_batch(given)
        return {self.single: found} if self.single is not None else found

    @cached_property
    def _part(self) -> Any:
        """The model of what is asked for."""
        return self.model if self.outputs is None else self.model.extract(self.outputs)

    @cached_property
    def _defaults(self) -> dict[str, Shape]:
        """{input: shape} of those that have values of their own, and that what is asked for needs."""
        needed = (self.model.net.values[v].blob for v in self.model.plan.inputs_of(self._wanted.values()))
        known = self.model.tensors.defaults
        return {name: known[name].shape for name in map(keras_name, needed) if name in known}

    def probe(self, runtime: Runtime) -> dict[str, np.ndarray]:
        """Random inputs of the net's declared sizes, as the runtime takes them."""
        export = self._export(runtime)
        return export.as_given(sample_inputs(self.model, export))

    @cached_property
    def _wanted(self) -> dict[str, str]:
        """{output: id of its value}."""
        net = self.model.net
        if self.outputs is not None:
            return {name: net.last_write(name).id for name in self.outputs}
        return {output_name(net, value): net.held(value) for value in self.model.plan.outputs()}

    @property
    def _inputs(self) -> set[str]:
        return set(self.model.plan.inputs)

    def _detections(self) -> list[str]:
        """Layers that what is asked for needs and not every engine can compute."""
        plan = self.model.plan
        needed = plan.needed_for(self._wanted.values())
        found = (p.node for p in plan.layers.values() if isinstance(p.layer, DetectionOutput))
        return [node.name for node in found if not needed.isdisjoint(node.outputs)]

    def _export(self, runtime: Runtime) -> Export:
        """Inputs go by their blobs' names in a graph of ONNX, and by names that functions allow in TensorFlow's."""
        blobs = [self.model.net.values[value].blob for value in self.model.plan.inputs]
        arguments = argument_names(self.model, runtime.inputs)
        names = {blob: blob if blob in runtime.inputs else arguments.get(blob) for blob in blobs}
        return Export(runtime, self.model.data_format, {blob: name for blob, name in names.items() if name})

    def _proved(self, runtime: Runtime, how: How, kept: Sequence[str] = ()) -> Made:
        export, given = self._export(runtime), None
        if how.precision == "int8":
            given = next(samples(how.batches[0], self.names(runtime), runtime.inputs, single=True))
        try:
            return Made(runtime, prove(self.model, export, how.tolerance, given), kept)
        except CaffeError:
            raise
        except Exception as error:  # TensorFlow's, where the net itself takes no random numbers
            raise ExportError("the net computes nothing of random inputs", received=own_words(error)) from error

    def _behind(self, name: str, how: How, layers: Sequence[str]) -> Made:
        """The engine for what is before these layers, and Keras for the rest."""
        tail = Tail(self.model, layers, self._wanted)
        head = self._run(name, how, tail.read)
        return self._proved(Cut(head, self._export(head).names, tail, list(self._wanted)), how, tail.layers)

    def _run(self, name: str, how: How, outputs: Sequence[str] | None) -> Runtime:
        """What computes these outputs, and no layer of it in Keras."""
        if name == "litert":
            return self._litert(how, outputs)
        if name == "openvino":
            return OpenVino(self._graph(how, outputs), how.precision, how.threads)
        if how.precision == "bfloat16":
            raise ExportError("ONNX Runtime does not compute bfloat16 on processors", expected="openvino or tensorflow")
        return OnnxRuntime(self._graph(how, outputs), how.threads)

    def _graph(self, how: How, outputs: Sequence[str] | None) -> bytes:
        """The folded net as ONNX, with the model's order of axes at its edges."""
        key = (how.precision, *(outputs or ()))
        if key not in self._graphs:
            subject = of_model(self.model).folded(outputs or ())
            content = model_bytes(subject, Settings(outputs=outputs, data_format=self.model.data_format))
            names = {name: blob for blob in subject.shapes for name in (blob, keras_name(blob))}
            self._graphs[key] = quantized(content, how.batches, names) if how.precision == "int8" else content
        return self._graphs[key]

    def _litert(self, how: How, outputs: Sequence[str] | None) -> Runtime:
        if how.precision == "bfloat16":
            raise ExportError("TensorFlow Lite does not compute bfloat16", expected="openvino or tensorflow")
        content, _ = tflite_bytes(self.model, how.precision, how.batches, outputs, single=False)
        return LiteRt(content, how.threads)

    def _tensorflow(self, how: How) -> Runtime:
        if how.precision == "int8":
            raise ExportError("TensorFlow itself does not compute int8", expected="openvino, onnxruntime or litert")
        dtype = "mixed_bfloat16" if how.precision == "bfloat16" else None
        trained = folded(self.model, self.outputs or ())
        built = servable_model(self.model, trained, self.model.data_format, dynamic=False, dtype=dtype)
        part = built.extract(self.outputs) if self.outputs is not None else net_outputs(built)
        inputs = plain_inputs(built, sample_shapes(self.model.plan))
        return TensorFlow(signature(part, inputs, in_float32))
