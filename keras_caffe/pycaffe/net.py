"""pycaffe's Net on top of a planned net (python/caffe/_caffe.cpp, python/caffe/pycaffe.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_caffe.converters.backward import check_gradients
from keras_caffe.converters.build import build_layers
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.load import PlanSettings, plan
from keras_caffe.converters.splits import with_splits
from keras_caffe.data.output_files import files_written, output_files, write_output_files
from keras_caffe.errors import NetError, ShapeError
from keras_caffe.layers.base import BoundBlob
from keras_caffe.named import Named, unknown
from keras_caffe.ops.python_layer import Runner, own_exceptions
from keras_caffe.places import Places
from keras_caffe.pycaffe import settings
from keras_caffe.pycaffe.batches import Batches
from keras_caffe.pycaffe.blob import NetBlob
from keras_caffe.pycaffe.engine import Engine
from keras_caffe.pycaffe.feeder import Feeder
from keras_caffe.pycaffe.older import OlderNames
from keras_caffe.pycaffe.parameters import Parameters
from keras_caffe.shapes import fits

PHASES = ("TRAIN", "TEST")
TRAIN, TEST = 0, 1


class Net(Parameters, Batches, OlderNames):
    """A net whose blobs and parameters are NumPy arrays in Caffe's order: pycaffe's Net.

    `Net(prototxt, phase)`, `Net(prototxt, weights, phase)`, or with keywords. Assign into arrays (`.data[...] = x`):
    the net uses what they hold when it runs, and writes its results into the same arrays.

    Args:
        network_file: path or text of a prototxt, a NetParameter, or a Definition that was read before.
        *args: phase, level, stages, weights; or weights and phase.
        phase: `TRAIN` (0) or `TEST` (1).
        level, stages: for include/exclude rules.
        weights: caffemodel to load.
        base_dir, confine: where files that the net names are, as for `keras_caffe.dataset`.
        fork, custom_layers, python_layers, allow_python_imports, input_shapes: as for `keras_caffe.load`.

    Attributes:
        blobs: {name: NetBlob} in the order in which layers make them, Split layers' blobs included; "(automatic)" is
            the top of the last loss layer that does not name its own.
        params: {layer name: [NetBlob]} of the layers that have parameters.
        layers, layer_dict: the layers in order, and by name.
        inputs, outputs: names of the tops of Input layers, and of the blobs that no layer reads.
        bottom_names, top_names: {layer name: [blob names]}.
        blob_loss_weights: {blob name: its factor in the loss}.

    Raises:
        CaffeError: what `keras_caffe.load` raises. What a Python layer raises comes as it is.

    Caffe: python/caffe/_caffe.cpp, python/caffe/pycaffe.py
    """

    bottom_names: Named[list[str]]
    top_names: Named[list[str]]
    inputs: list[str]
    outputs: list[str]

    def __init__(self, network_file: Any, *args: Any, **kwargs: Any) -> None:
        given = _arguments(args, kwargs)
        weights = given.pop("weights", None)
        self.phase: Any = given.pop("phase")
        given.setdefault("python_layers", settings.python_layers())
        definition = read_definition(network_file, strict=given.pop("strict", False), fork=given.get("fork"))
        selected = definition.select(PHASES[self.phase], given.pop("level", 0), given.pop("stages"))
        places = Places(given.pop("base_dir", None), confine=given.pop("confine", False))
        self._settings = PlanSettings(**given | {"data_format": "channels_first", "places": places})
        selected = selected.with_inputs(self._settings.input_shapes or {})
        split = with_splits(selected.message, selected.where, selected.bottom_cures)
        self._definition = replace(selected, message=split)
        with own_exceptions(), files_written():
            first, recipe = plan(self._definition, self._settings)
        build_layers(first)
        self._context = self._settings.context(recipe)
        self._callbacks: dict[str, list[Callable[[int], Any]]] = {}
        self._set_up(first)
        self._feeder, self._files = Feeder(first, places), output_files(first.net.nodes, places)
        if weights is not None:
            self.copy_from(weights)

    def _set_up(self, planned: Plan) -> None:
        self._engine = Engine(planned, self._context, training=self.phase == TRAIN)
        self._make_params(planned)
        nodes = planned.net.nodes
        self._layer_names = [node.name for node in nodes]
        self.bottom_names = Named("layer", ((n.name, [self._blob_name(v) for v in n.inputs]) for n in nodes))
        self.top_names = Named("layer", ((n.name, [self._blob_name(v) for v in n.outputs]) for n in nodes))
        self.inputs = [self._blob_name(v) for v in planned.net.inputs]
        self.outputs = [self._blob_name(v) for v in planned.net.outputs]
        self._make_blobs()

    def _make_blobs(self) -> None:
        self.blobs: Named[NetBlob] = Named("blob")
        self.blob_loss_weights: Named[float] = Named("blob")
        self._cells: dict[str, NetBlob] = {}
        weights = {value: float(np.float32(weight)) for value, weight in self.plan.loss_weights.items()}
        diffs = {self.plan.net.cell(value): weight for value, weight in weights.items()}
        values = self.plan.net.values
        for node in self.plan.net.nodes:
            for value in node.outputs:
                shared = [v for v in node.inputs[:1] if values[v].memory == values[value].memory]
                below = self._blob(shared[0]) if shared else None
                name, cell = self._blob_name(value), self.plan.net.cell(value)
                if cell not in self._cells:
                    blob = NetBlob(self.plan.shapes[value], diff=diffs.get(cell, 0.0), below=below)
                    self.blobs[name] = self._cells[cell] = blob
                self.blob_loss_weights[name] = weights.get(value, 0.0)
        for index, planned in self.plan.layers.items():
            if runner := self._engine.runner(index):
                runner.use(map(self._blob, planned.node.inputs), map(self._blob, planned.node.outputs))
        for source in self.plan.sources.values():
            for value, default in zip(source.node.outputs, source.defaults or (), strict=False):
                self._blob(value).data[...] = default

    def _blob(self, value: str) -> NetBlob:
        return self._cells[self.plan.net.cell(value)]

    def _blob_name(self, value: str) -> str:
        return self.plan.net.values[value].blob

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[NetBlob]:
        return list(self.blobs.values())

    @property
    def _blob_loss_weights(self) -> list[float]:
        return [self.blob_loss_weights[name] for name in self.blobs]

    @property
    def _inputs(self) -> list[int]:
        """The numbers of the inputs in `_blob_names`."""
        return [self._blob_names.index(name) for name in self.inputs]

    @property
    def _outputs(self) -> list[int]:
        return [self._blob_names.index(name) for name in self.outputs]

    # What pycaffe keeps under these names, scripts read there.
    _input_list = property(lambda self: self.inputs)
    _output_list = property(lambda self: self.outputs)
    _blobs_dict = property(lambda self: self.blobs)
    _params_dict = property(lambda self: self.params)

    def _bottom_ids(self, layer: int) -> list[int]:
        """The numbers of a layer's bottoms in `_blob_names`."""
        return [self._blob_names.index(name) for name in self.bottom_names[self._layer_names[layer]]]

    def _top_ids(self, layer: int) -> list[int]:
        return [self._blob_names.index(name) for name in self.top_names[self._layer_names[layer]]]

    def forward(
        self, blobs: Sequence[str] | None = None, start: str | None = None, end: str | None = None, **inputs: Any
    ) -> dict[str, np.ndarray]:
        """Runs the layers from `start` to `end`, both included.

        Args:
            blobs: names of blobs to return beside the outputs.
            start: name of the first layer; default: the net's first.
            end: name of the last layer; default: the net's last.
            **inputs: {input blob: array}, all of them or none.

        Returns:
            {name: array} of the net's outputs, or of the tops of `end`, and of `blobs`; the arrays are the blobs' own.
        """
        first, last = self._layer_index(start, 0), self._layer_index(end, len(self.layers) - 1)
        wanted = {*(self.outputs if end is None else self.top_names[end]), *(blobs or ())}
        self._check_names("inputs", inputs, self.inputs)
        for name, array in inputs.items():
            _assign(self.blobs[name].data, array, f"input {name!r}")
        self._forward(first, last)
        return {name: self.blobs[name].data for name in wanted}

    def backward(
        self, diffs: Sequence[str] | None = None, start: str | None = None, end: str | None = None, **top_diffs: Any
    ) -> dict[str, np.ndarray]:
        """Runs backward from layer `start` down to layer `end`, both included.

        Bottoms' diffs are overwritten, parameters' diffs are added to. Which layers run is Caffe's choice: those that
        lead from something learnable to a loss, or all with force_backward.

        Args:
            diffs: names of blobs whose diffs to return beside the inputs'.
            start: name of the layer to start at; default: the net's last.
            end: name of the layer to end at; default: the net's first.
            **top_diffs: {output blob: array}, all of them or none; the losses' are their loss weights from the start.

        Returns:
            {name: diff} of the net's inputs, or of the bottoms of `end`, and of `diffs`.

        Raises:
            LayerError: a layer would have to give a gradient that it has none of, as a loss for its labels.
        """
        first, last = self._layer_index(start, len(self.layers) - 1), self._layer_index(end, 0)
        wanted = {*(self.inputs if end is None else self.bottom_names[end]), *(diffs or ())}
        self._check_names("top diffs", top_diffs, self.outputs)
        for name, array in top_diffs.items():
            _assign(self.blobs[name].diff, array, f"diff of {name!r}")
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in wanted}

    def _forward(self, start: int, end: int) -> float:
        """Runs layers by number; returns the loss."""
        self._feeder.feed(start, end, self.blobs)
        if not self._callbacks:
            return sum(self._run(*part) for part in self._engine.parts(start, end))
        return sum(self._with_callbacks("forward", index, self._run) for index in range(start, end + 1))

    def _run(self, start: int, end: int) -> float:
        self.push_params(start, end)
        if runner := self._engine.runner(start):
            return self._run_python(start, runner)
        feeds = {value: self._blob(value).data for value in self._engine.needs(start, end)}
        values, loss = self._engine.forward(start, end, feeds)
        for value, tensor in values.items():
            blob, order = self._blob(value), self.plan.orders[value]
            if value not in feeds:
                blob.put(tensor, order, self.plan.shapes[value])
            if self._engine.backward_plan.layers:
                blob.note(tensor, order)
        self._pull(start, end)
        files = [file for file in self._files if start <= file.node <= end]
        write_output_files(files, lambda value: self._blob(value).data)
        return loss

    def _run_python(self, index: int, runner: Runner) -> float:
        loss = self._engine.forward_python(index, runner)
        self.push_params(index, index)
        return loss

    def _backward(self, start: int, end: int) -> None:
        """Runs layers backward by number, from `start` down to `end`."""
        whole = self._engine.backward_plan
        part = replace(whole, layers=whole.layers.intersection(range(end, start + 1)))
        check_gradients(self.plan.net, part, self.plan.classes)
        if not self._callbacks:
            for first, last in reversed(self._engine.parts(end, start)):
                self._run_backward(last, first)
        else:
            for index in range(start, end - 1, -1):
                self._with_callbacks("backward", index, self._run_backward)

    def _run_backward(self, start: int, end: int) -> None:
        self.push_params(end, start)
        if runner := self._engine.runner(start):
            self._engine.backward_python(start, runner)
            return
        reads, needed = self._engine.reads(start, end), self._engine.diffs_needed(start, end)
        self._check_shapes([*reads, *needed])
        diffs = {value: self._blob(value).diff for value in needed}
        held = {value: self._blob(value).data for value in reads if self._is_held(value)}
        blobs, params = self._engine.backward(start, end, diffs, held)
        for value, tensor in blobs.items():
            self._blob(value).put_diff(tensor, self.plan.orders[value])
        for (index, number), gradient in params.items():
            diff = self.layers[index].blobs[number].diff
            diff += np.asarray(gradient).reshape(diff.shape)

    def _is_held(self, value: str) -> bool:
        """Whether backward reads what the blob holds now, and not what a layer's forward saw or made of it.

        Both are the same unless the script has changed the blob, or has run no forward; but an in-place layer may have
        overwritten what the layer saw, and then its gradient is right only for what it saw.
        """
        if not self._engine.knows(value):
            return True
        return not self._engine.keeps(value) and self._blob(value).data_memory.changed

    def _check_shapes(self, values: Iterable[str]) -> None:
        for value in values:
            if not fits(self.plan.shapes[value], self._blob(value).shape):
                raise ShapeError(
                    f"blob {self._blob_name(value)!r} has another shape than the layers that ran last",
                    expected=self.plan.shapes[value],
                    received=self._blob(value).shape,
                    fix="Call net.reshape() or net.forward() first.",
                )

    def reshape(self) -> None:
        """Gives all blobs the shapes that follow from those of the inputs; parameters stay.

        Raises:
            ShapeError: a layer cannot take its new bottom, or its parameters would change in shape.
        """
        with own_exceptions():
            self._engine.reshape({value: self._blob(value).shape for value in self.plan.inputs})
        for value, shape in self.plan.shapes.items():
            self._blob(value).take_shape(shape)

    def _use(self, bound: Mapping[int, Mapping[int, BoundBlob]]) -> None:
        self._engine.use(bound)

    def _layer_index(self, name: str | None, default: int) -> int:
        if name is None:
            return default
        if name not in self._layer_names:
            raise unknown("layer", [name], self._layer_names)
        return self._layer_names.index(name)

    def _check_names(self, what: str, given: Mapping[str, Any], wanted: Sequence[str]) -> None:
        if given and set(given) != set(wanted):
            raise NetError(f"the {what} do not match the net's", expected=sorted(wanted), received=sorted(given))

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Gives the first MemoryData layer its arrays; forward takes batch after batch, round and round.

        Float32 arrays are not copied: what is written into them later counts from the next forward on.

        Args:
            data: (N, C, H, W), N a multiple of the layer's batch_size.
            labels: (N,) or (N, 1, 1, 1).

        Raises:
            DataError: the net has no such layer, or the arrays do not fit it.
        """
        self._feeder.set_arrays(data, labels)

    _set_input_arrays = set_input_arrays

    def before_forward(self, callback: Callable[[int], Any]) -> None:
        """Calls a function with the layer's number before each layer's forward; so do the other three."""
        self._callbacks.setdefault("before_forward", []).append(callback)

    def after_forward(self, callback: Callable[[int], Any]) -> None:
        self._callbacks.setdefault("after_forward", []).append(callback)

    def before_backward(self, callback: Callable[[int], Any]) -> None:
        self._callbacks.setdefault("before_backward", []).append(callback)

    def after_backward(self, callback: Callable[[int], Any]) -> None:
        self._callbacks.setdefault("after_backward", []).append(callback)

    def _with_callbacks(self, what: str, index: int, run: Callable[[int, int], Any]) -> Any:
        for callback in self._callbacks.get(f"before_{what}", ()):
            callback(index)
        result = run(index, index)
        for callback in self._callbacks.get(f"after_{what}", ()):
            callback(index)
        return result


def _arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name: (phase, level, stages, weights), or in the old order (weights, phase)."""
    old = bool(args) and not isinstance(args[0], (int, np.integer))
    names = ("weights", "phase") if old else ("phase", "level", "stages", "weights")
    if len(args) > len(names):
        raise TypeError(f"Net takes {', '.join(names)} after the prototxt")
    given = {**settings.phase(), **dict(zip(names, args, strict=False)), **kwargs}
    if "phase" not in given:
        what = "Net needs a phase, caffe.TRAIN or caffe.TEST, behind the prototxt or the weights"
        raise TypeError(f"{what}; in scripts of 2014 caffe.set_phase_test() before it")
    if given["phase"] not in (TRAIN, TEST):
        raise NetError("Net knows two phases", expected="caffe.TRAIN (0) or caffe.TEST (1)", received=given["phase"])
    given["stages"] = tuple(given.get("stages") or ())
    return given


def _assign(target: np.ndarray, array: Any, what: str) -> None:
    array = np.asarray(array)
    if array.shape[:1] != target.shape[:1]:
        raise ShapeError(
            f"{what} has another batch size than the net",
            expected=target.shape,
            received=array.shape,
            fix="Reshape the input blob first, or use forward_all.",
        )
    try:
        target[...] = array
    except ValueError:
        raise ShapeError(
            f"{what} has another shape than its blob", expected=target.shape, received=array.shape
        ) from None
