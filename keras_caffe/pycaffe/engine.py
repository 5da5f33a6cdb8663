"""Runs a stretch of a net's layers forward or backward, compiled, on values that stay tensors in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.backward import Backward
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.share import Slot
from keras_caffe.converters.tensors import Tensors
from keras_caffe.layers.base import BoundBlob, SharedView, takes_training
from keras_caffe.layers.context import LoadContext
from keras_caffe.layers.python import Python
from keras_caffe.layout import permutation, to_caffe, to_stored
from keras_caffe.ops.python_layer import Runner
from keras_caffe.pycaffe.compiled import Compiled
from keras_caffe.pycaffe.recent import Recent
from keras_caffe.pycaffe.reshaper import Reshaper
from keras_caffe.pycaffe.states import States
from keras_caffe.shapes import Shape, fits, known


class Engine:
    """The layers of a plan, built, with what the last forward pass left behind for the backward pass.

    As in Caffe, each layer takes its bottoms in the shapes that they have when it runs. A net runs in parts: a Python
    layer, which may decide on its tops' shapes while it runs, is one of its own and runs as it is, on the net's blobs;
    the layers in between are compiled for the shapes that they get.

    Args:
        plan: of a net with Caffe's Split layers.
        context: that it was planned in.
        training: whether layers that know two modes compute as in training.
    """

    def __init__(self, plan: Plan, context: LoadContext, training: bool) -> None:
        self.plan: Plan = plan
        self.training: bool = training
        self._reshaper = Reshaper(plan, context)
        self.backward_plan: Backward = plan.backward()
        self._reread = set(self._read_by(self.backward_plan.layers))
        self.seen: dict[str, Any] = {}  # value id -> what it was in the last forward pass, if a backward pass reads it
        self._states, self._compiled = States(plan), Compiled()
        self._needed: Recent[tuple[int, int], list[str]] = Recent()

    def needs(self, start: int, end: int) -> list[str]:
        """The values that layers start..end read, or are sources of, and do not compute."""
        return self._needed.get((start, end), lambda: self._read_from_outside(start, end))

    def _read_from_outside(self, start: int, end: int) -> list[str]:
        computed: set[str] = set()
        needed: dict[str, None] = {}
        for node in self.plan.net.nodes[start : end + 1]:
            read = node.outputs if node.index in self.plan.sources else node.inputs
            needed.update(dict.fromkeys(v for v in read if v not in computed))
            computed.update(node.outputs)
        return list(needed)

    def reshape(self, shapes: Mapping[str, Shape]) -> None:
        """Gives all values the shapes that follow from those of the inputs; computes nothing.

        Args:
            shapes: {input's value id: its shape in Caffe's order}.

        Raises:
            ShapeError, LayerError: a layer refuses its bottoms, or would need other parameters.
        """
        for value, shape in shapes.items():
            self._reshaper.set_shape(value, shape)
        for index, planned in self.plan.layers.items():
            self._fit(index)
            if runner := self.runner(index):
                tops = runner.reshape([known(self.plan.shapes[v]) for v in planned.node.inputs])
                for value, top in zip(planned.node.outputs, tops, strict=True):
                    self._reshaper.set_shape(value, top)

    def forward(self, start: int, end: int, feeds: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], float]:
        """Runs layers start..end.

        Args:
            start, end: the first and the last layer.
            feeds: the values of `needs(start, end)` in Caffe's order.

        Returns:
            The feeds and the values that the layers leave behind, stored as the plan says; and the loss.
        """
        values: dict[str, Any] = {}
        loss = 0.0
        for value, array in feeds.items():
            self._reshaper.set_shape(value, array.shape)
            values[value] = self._stored(value, array)
        results, loss = self._forward(self._computing(start, end), values)
        values.update(results)
        self.seen.update({v: tensor for v, tensor in values.items() if v in self._reread})
        return values, loss

    def _forward(self, indices: Sequence[int], values: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        if not indices:
            return {}, 0.0
        start, end = indices[0], indices[-1]
        for index in indices:
            self._fit(index)
        self._states.keep(self._runs_backward(start, end))
        needed, lasting = self.needs(start, end), self._lasting(start, end)
        layers = [self.plan.layers[index] for index in indices]

        def run(given: Sequence[Any]) -> Any:
            tensors = self._tensors(needed, given)
            for planned in layers:
                for value, top in zip(planned.node.outputs, self._call(planned, tensors.bottoms(planned)), strict=True):
                    tensors[value] = top
            return [(v, tensors[v]) for v in lasting], [("loss", loss) for loss in self._loss(layers, tensors)]

        given = [values[v] for v in needed]
        results, loss = map(dict, self._compiled.call(("forward", start, end), layers, run, given))
        for value, top in results.items():
            if None in self.plan.shapes[value]:
                self.plan.shapes[value] = to_caffe(tuple(top.shape), self.plan.orders[value])
        return results, float(loss.get("loss", 0))

    def runner(self, index: int) -> Runner | None:
        """What runs a layer whose class was written for pycaffe."""
        planned = self.plan.layers.get(index)
        return planned.layer.runner if planned and isinstance(planned.layer, Python) else None

    def forward_python(self, index: int, runner: Runner) -> float:
        """Runs a Python layer on the net's blobs; returns its part of the loss."""
        planned = self.plan.layers[index]
        runner.run()
        for value, blob in zip(planned.node.outputs, runner.top, strict=True):
            self._reshaper.set_shape(value, blob.shape)
        losses = zip(planned.loss_weights, runner.top, strict=True)
        return sum((weight * float(blob.data.sum()) for weight, blob in losses if weight), 0.0)

    def backward_python(self, index: int, runner: Runner) -> None:
        """Runs a Python layer backward on the net's blobs, if Caffe does. A data layer needs no such method here."""
        if index in self.backward_plan.layers and (runner.bottom or runner.blobs or hasattr(runner.layer, "backward")):
            runner.run_backward()

    def reads(self, start: int, end: int) -> list[str]:
        """The values that a backward pass over layers start..end, start being the greater, reads."""
        return self._read_by(self._runs_backward(end, start))

    def _read_by(self, nodes: Iterable[int]) -> list[str]:
        """What the layers read backward: their bottoms, and some their tops."""
        found: list[str] = []
        for planned in (self.plan.layers[index] for index in nodes if index in self.plan.layers):
            found += [*planned.node.inputs, *(planned.node.outputs if planned.layer.reads_top else ())]
        return found

    def keeps(self, value: str) -> bool:
        """Whether Caffe's backward uses what its forward kept of a value, whatever the blob holds by then."""
        readers = [self.plan.layers[index] for index in self.plan.net.values[value].consumers]
        return any(self._keeps(planned, planned.node.inputs.index(value)) for planned in readers)

    def _keeps(self, planned: PlannedLayer, bottom: int) -> bool:
        cell = self._blob(planned.node.inputs[0])
        in_place = bottom == 0 and cell in map(self._blob, planned.node.outputs)
        return bottom in planned.layer.kept_bottoms or (planned.layer.kept_in_place and in_place)

    def knows(self, value: str) -> bool:
        """Whether `seen` has a value, in the shape that it has now."""
        if value not in self.seen:
            return False
        shape = to_stored(self.plan.shapes[value], self.plan.orders[value])
        return fits(shape, tuple(self.seen[value].shape))

    def backward(
        self, start: int, end: int, diffs: Mapping[str, np.ndarray], held: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, Any], dict[Slot, Any]]:
        """Runs layers start..end, start being the greater, on the values that they saw in their last forward pass.

        Args:
            start, end: the first and the last layer to run.
            diffs: by value id, the diffs of `diffs_needed(start, end)` in Caffe's order.
            held: by value id, in Caffe's order, what counts in place of what was seen. A layer whose top is among them
                computes its gradient from the top.

        Returns:
            {value id: its new diff}, in the order of computation, and {(node, blob): gradient in Caffe's order}.
        """
        values = {**self.seen, **{value: self._stored(value, array) for value, array in held.items()}}
        current = {self._blob(v): (v, self._stored(v, diff)) for v, diff in diffs.items()}
        nodes = list(reversed(self._runs_backward(end, start)))
        return self._backward(nodes, values, current, held.keys()) if nodes else ({}, {})

    def _backward(
        self,
        nodes: Sequence[int],
        values: Mapping[str, Any],
        current: Mapping[str, tuple[str, Any]],
        held: Set[str],
    ) -> tuple[dict[str, Any], dict[Slot, Any]]:
        layers = [self.plan.layers[index] for index in nodes]
        read, diffs = self._read_by(nodes), self._diffs_read(nodes)
        from_tops = frozenset(p.node.index for p in layers if p.layer.reads_top and held & {*p.node.outputs})

        def run(given: Sequence[Any], seen: Sequence[Any]) -> Any:
            tensors = self._tensors(read, seen)
            latest = {self._blob(v): (v, diff) for v, diff in zip(diffs, given, strict=True)}
            new: dict[str, Any] = {}
            params: dict[Slot, Any] = {}
            for planned in layers:
                self._backward_step(planned, planned.node.index in from_tops, tensors, latest, new, params)
            return list(new.items()), list(params.items())

        given, seen = [self._stored_diff(current, v) for v in diffs], [values[v] for v in read]
        with self._states.as_before(nodes):
            new, params = map(
                dict, self._compiled.call(("backward", tuple(nodes), from_tops), layers, run, given, seen)
            )
        return new, params

    def diffs_needed(self, start: int, end: int) -> list[str]:
        """The values whose diffs layers start..end read before one of them computes them; one for each blob."""
        return self._diffs_read(list(reversed(self._runs_backward(end, start))))

    def _diffs_read(self, nodes: Sequence[int]) -> list[str]:
        needed: dict[str, str] = {}
        written: set[str] = set()
        for node in (self.plan.net.nodes[index] for index in nodes):
            for value in node.outputs:
                if self._blob(value) not in written:
                    needed.setdefault(self._blob(value), value)
            written.update(self._blob(v) for b, v in enumerate(node.inputs) if (node.index, b) in self._bottoms)
        return list(needed.values())

    def _backward_step(
        self,
        planned: PlannedLayer,
        from_top: bool,
        read: Tensors,
        current: dict[str, tuple[str, Any]],
        new: dict[str, Any],
        params: dict[Slot, Any],
    ) -> None:
        index, node = planned.node.index, planned.node
        wanted = [b for b in range(len(node.inputs)) if (index, b) in self._bottoms]
        slots = {slot: bound for slot, bound in self._trained_blobs(index) if slot in self.backward_plan.params}
        top_diffs = [self._stored_diff(current, v) for v in node.outputs]
        trained = {number: bound for (_, number), bound in slots.items()}
        gradients = self._gradients(planned, from_top, read, wanted, trained, top_diffs)
        for bottom, gradient in zip(wanted, gradients, strict=False):
            value = node.inputs[bottom]
            diff = tf.transpose(gradient, permutation(planned.orders[bottom], self.plan.orders[value]))
            current[self._blob(value)] = (value, diff)
            new[value] = diff
        for (slot, bound), gradient in zip(slots.items(), gradients[len(wanted) :], strict=True):
            permuted = _owner(bound).blob
            params[slot] = gradient if permuted.permutation is None else _to_caffe(gradient, permuted.permutation)

    def _gradients(
        self,
        planned: PlannedLayer,
        from_top: bool,
        read: Tensors,
        wanted: Sequence[int],
        trained: Mapping[int, BoundBlob],
        diffs: Sequence[Any],
    ) -> list[Any]:
        """The gradients of the wanted bottoms and of the blobs' variables, for the tops' diffs."""
        bottoms = read.bottoms(planned)
        if from_top:
            top = read[planned.node.outputs[0]]
            return [planned.layer.gradient_from_top(bottoms[0], top, diffs[0]) for _ in wanted]
        sources = [*(bottoms[b] for b in wanted), *(_owner(h).variable.value for h in trained.values())]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for source in sources:
                tape.watch(source)
            tops = self._call(planned, bottoms)
        pairs = [(t, d) for t, d in zip(tops, diffs, strict=True) if t.dtype.is_floating]
        targets, seeds = [t for t, _ in pairs], [tf.cast(d, t.dtype) for t, d in pairs]
        gradients = tape.gradient(targets, sources, seeds, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _stored_diff(self, current: Mapping[str, tuple[str, Any]], value: str) -> Any:
        """The blob's diff, in the order of this value; another value in the same blob may be stored otherwise."""
        writer, diff = current[self._blob(value)]
        return tf.transpose(diff, permutation(self.plan.orders[writer], self.plan.orders[value]))

    def _trained_blobs(self, index: int) -> Iterator[tuple[Slot, BoundBlob]]:
        for number, bound in enumerate(self.plan.bound_blobs(index)):
            if bound.blob.trainable:
                yield (index, number), bound

    def _call(self, planned: PlannedLayer, bottoms: Sequence[Any]) -> list[Any]:
        bottoms = bottoms or [tf.zeros(1)]
        more = {"training": self.training} if takes_training(planned.layer) else {}
        tops = planned.layer(bottoms[0] if len(bottoms) == 1 else list(bottoms), **more)
        return list(tops) if isinstance(tops, (list, tuple)) else [tops]

    def _stored(self, value: str, array: np.ndarray) -> Any:
        """An array in Caffe's order as a tensor, stored as the plan says, with memory of its own."""
        order = self.plan.orders[value]
        return tf.constant(np.array(array.transpose(order) if order else array, order="C"))

    def _tensors(self, values: Iterable[str], tensors: Iterable[Any]) -> Tensors:
        """The tensors of some values, stored as the plan says."""
        known = Tensors(self.plan)
        for value, tensor in zip(values, tensors, strict=True):
            known[value] = tensor
        return known

    def _loss(self, layers: Sequence[PlannedLayer], tensors: Tensors) -> list[Any]:
        """The loss, if any of the layers adds to it."""
        pairs = [pair for planned in layers for pair in zip(planned.node.outputs, planned.loss_weights, strict=True)]
        parts = [w * tf.reduce_sum(tf.cast(tensors[v], tf.float32)) for v, w in pairs if w]
        return [tf.add_n(parts)] if parts else []

    def _lasting(self, start: int, end: int) -> list[str]:
        """What outlives the run: the last write of each blob, and what a backward pass reads again."""
        computed = [v for index in self._computing(start, end) for v in self.plan.net.nodes[index].outputs]
        last = {self._blob(v): v for v in computed}
        return [v for v in computed if v in self._reread or last[self._blob(v)] == v]

    def _computing(self, start: int, end: int) -> list[int]:
        return [index for index in self.plan.layers if start <= index <= end]

    def parts(self, start: int, end: int) -> list[tuple[int, int]]:
        """The layers start..end as (first, last) of what runs in one go: cut before and behind each Python layer."""
        parts = groupby(range(start, end + 1), lambda i: i if self.runner(i) else None)
        return [(part[0], part[-1]) for part in (list(indices) for _, indices in parts)]

    def _fit(self, index: int) -> None:
        """Makes a layer fit its bottoms' shapes; its state stays as far as it fits, and begins with 0 where not."""
        if not self.runner(index) and (before := self._reshaper.fit(index)) is not None:
            self._states.hand_over(before.layer, index)

    @property
    def _bottoms(self) -> frozenset[tuple[int, int]]:
        return self.backward_plan.bottoms

    def _blob(self, value: str) -> str:
        return self.plan.net.cell(value)

    def _runs_backward(self, first: int, last: int) -> list[int]:
        return [i for i in range(first, last + 1) if i in self.backward_plan.layers and i in self.plan.layers]

    def use(self, bound: Mapping[int, Mapping[int, BoundBlob]]) -> None:
        """Lets layers use other blobs, {node: blobs}, from now on; their states stay."""
        for index, blobs in bound.items():
            before = self._reshaper.use(index, blobs)
            self._states.hand_over(before.layer, index)


def _owner(bound: BoundBlob) -> BoundBlob:
    return bound.variable.owner if isinstance(bound.variable, SharedView) else bound


def _to_caffe(gradient: Any, axes: Sequence[int]) -> Any:
    return tf.transpose(gradient, np.argsort(axes))
