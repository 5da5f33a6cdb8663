"""Runs a stretch of a net's layers forward or backward, compiled, on values that stay tensors in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.share import Slot
from keras_caffe.converters.tensors import Tensors
from keras_caffe.layers.base import BoundBlob, SharedView, takes_training
from keras_caffe.layout import permutation


class Engine:
    """The layers of a plan, built, with what the last forward pass left behind for the backward pass.

    Args:
        plan: of a net with Caffe's Split layers.
        training: whether layers that know two modes compute as in training.
    """

    def __init__(self, plan: Plan, training: bool) -> None:
        self.plan, self.training = plan, training
        self.backward_plan = plan.backward()
        self._reread = {v for i in self.backward_plan.layers for v in plan.net.nodes[i].inputs}
        self.seen: dict[str, Any] = {}  # value id -> what it was when a layer that can run backward read it
        self.states: dict[int, list[Any]] = {}  # node -> its state before its last forward pass
        self._functions: dict[Any, Any] = {}

    def needs(self, start: int, end: int) -> list[str]:
        """The values that layers start..end read, or are sources of, and do not compute."""
        computed: set[str] = set()
        needed: dict[str, None] = {}
        for node in self.plan.net.nodes[start : end + 1]:
            read = node.outputs if node.index in self.plan.sources else node.inputs
            needed.update(dict.fromkeys(v for v in read if v not in computed))
            computed.update(node.outputs)
        return list(needed)

    def forward(self, start: int, end: int, feeds: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """Runs layers start..end.

        Args:
            start, end: the first and the last layer.
            feeds: the values of `needs(start, end)`, stored as the plan says.

        Returns:
            The values that the layers leave behind, and the loss.
        """
        lasting = self._lasting(start, end)
        self.states.update({i: self._state(i) for i in self._runs_backward(start, end)})

        def run(given: Sequence[Any]) -> Any:
            tensors = self._tensors(feeds, given)
            for planned in self._layers(start, end):
                for value, top in zip(planned.node.outputs, self._call(planned, tensors.bottoms(planned)), strict=True):
                    tensors[value] = top
            return [(v, tensors[v]) for v in lasting], [("loss", self._loss(start, end, tensors))]

        feeds = {value: tf.convert_to_tensor(array) for value, array in feeds.items()}
        results, loss = map(dict, self._compiled(("forward", start, end), run, list(feeds.values())))
        self.seen.update({v: t for v, t in {**feeds, **results}.items() if v in self._reread})
        return results, float(loss["loss"])

    def backward(self, start: int, end: int, diffs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Slot, Any]]:
        """Runs layers start..end, start being the greater, on the values that they saw in their last forward pass.

        Args:
            start, end: the first and the last layer to run.
            diffs: by value id, the diffs of `diffs_needed(start, end)`.

        Returns:
            {value id: its new diff}, in the order of computation, and {(node, blob): gradient in Caffe's order}.
        """
        nodes = [i for i in reversed(self._runs_backward(end, start)) if self._was_run(i)]
        seen = {v: self.seen[v] for i in nodes for v in self.plan.net.nodes[i].inputs}

        def run(given: Sequence[Any], values: Sequence[Any]) -> Any:
            read = self._tensors(seen, values)
            current = {self._blob(v): (v, diff) for v, diff in zip(diffs, given, strict=True)}
            new: dict[str, Any] = {}
            params: dict[Slot, Any] = {}
            for index in nodes:
                self._backward_step(index, read, current, new, params)
            return list(new.items()), list(params.items())

        with self._as_before(nodes):
            key = ("backward", tuple(nodes), tuple(diffs))
            new, params = map(dict, self._compiled(key, run, list(diffs.values()), list(seen.values())))
        return new, params

    def diffs_needed(self, start: int, end: int) -> list[str]:
        """The values whose diffs layers start..end read before one of them computes them; one for each blob."""
        needed: dict[str, str] = {}
        written: set[str] = set()
        for index in reversed(self._runs_backward(end, start)):
            node = self.plan.net.nodes[index]
            for value in node.outputs:
                if self._blob(value) not in written:
                    needed.setdefault(self._blob(value), value)
            written.update(self._blob(v) for b, v in enumerate(node.inputs) if (index, b) in self._bottoms)
        return list(needed.values())

    def _backward_step(
        self, index: int, read: Tensors, current: dict[str, Any], new: dict[str, Any], params: dict[Slot, Any]
    ) -> None:
        planned = self.plan.layers[index]
        bottoms = read.bottoms(planned)
        wanted = [b for b in range(len(bottoms)) if (index, b) in self._bottoms]
        slots = {slot: bound for slot, bound in self._trained_blobs(index) if slot in self.backward_plan.params}
        top_diffs = [self._stored_diff(current, v) for v in planned.node.outputs]
        gradients = self._gradients(planned, bottoms, wanted, {n: bound for (_, n), bound in slots.items()}, top_diffs)
        for bottom, gradient in zip(wanted, gradients, strict=False):
            value = planned.node.inputs[bottom]
            diff = tf.transpose(gradient, permutation(planned.orders[bottom], self.plan.orders[value]))
            current[self._blob(value)] = (value, diff)
            new[value] = diff
        for (slot, bound), gradient in zip(slots.items(), gradients[len(wanted) :], strict=True):
            owner = self.plan.owners.get(slot, slot)
            permuted = _owner(bound).blob
            gradient = gradient if permuted.permutation is None else _to_caffe(gradient, permuted.permutation)
            params[owner] = params[owner] + gradient if owner in params else gradient

    def _gradients(
        self,
        planned: PlannedLayer,
        bottoms: Sequence[Any],
        wanted: Sequence[int],
        trained: Mapping[int, BoundBlob],
        diffs: Sequence[Any],
    ) -> list[Any]:
        """The gradients of the wanted bottoms and of the blobs' variables, for the tops' diffs."""
        if hasattr(planned.layer, "runner"):  # A Python layer says itself what its gradient is.
            gradients = _python_gradients(planned.layer, bottoms, diffs)
            return [gradients[b] for b in wanted] + [gradients[len(bottoms) + number] for number in trained]
        sources = [*(bottoms[b] for b in wanted), *(_owner(h).variable.value for h in trained.values())]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for source in sources:
                tape.watch(source)
            tops = self._call(planned, bottoms)
        pairs = [(t, d) for t, d in zip(tops, diffs, strict=True) if t.dtype.is_floating]
        targets, seeds = [t for t, _ in pairs], [tf.cast(d, t.dtype) for t, d in pairs]
        gradients = tape.gradient(targets, sources, seeds, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _stored_diff(self, current: dict[str, Any], value: str) -> Any:
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

    def _tensors(self, values: Iterable[str], tensors: Iterable[Any]) -> Tensors:
        """The tensors of some values, stored as the plan says."""
        known = Tensors(self.plan)
        for value, tensor in zip(values, tensors, strict=True):
            known[value] = tensor
        return known

    def _loss(self, start: int, end: int, tensors: Tensors) -> Any:
        tops = {v for planned in self._layers(start, end) for v in planned.node.outputs}
        pairs = [(v, w) for v, w in self.plan.loss_weights.items() if v in tops]
        return tf.add_n([tf.zeros(()), *(w * tf.reduce_sum(tf.cast(tensors[v], tf.float32)) for v, w in pairs)])

    def _lasting(self, start: int, end: int) -> list[str]:
        """What outlives the run: the last write of each blob, and what a backward pass reads again."""
        computed = [v for planned in self._layers(start, end) for v in planned.node.outputs]
        last = {self._blob(v): v for v in computed}
        return [v for v in computed if v in self._reread or last[self._blob(v)] == v]

    def _layers(self, start: int, end: int) -> list[PlannedLayer]:
        return [planned for index, planned in self.plan.layers.items() if start <= index <= end]

    @property
    def _bottoms(self) -> frozenset[tuple[int, int]]:
        return self.backward_plan.bottoms

    def _blob(self, value: str) -> str:
        return self.plan.net.cell(value)

    def _runs_backward(self, first: int, last: int) -> list[int]:
        return [i for i in range(first, last + 1) if i in self.backward_plan.layers and i in self.plan.layers]

    def _was_run(self, index: int) -> bool:
        return all(v in self.seen for v in self.plan.net.nodes[index].inputs)

    def _state_variables(self, index: int) -> list[Any]:
        """What a forward pass may change: statistics, carried states, seeds of random numbers."""
        layer = self.plan.layers[index].layer
        learned = {id(bound.variable) for bound in layer.caffe_blobs if bound.blob.trainable}
        return [v for v in layer.non_trainable_variables if id(v) not in learned]

    def _state(self, index: int) -> list[Any]:
        return [tf.identity(v.value) for v in self._state_variables(index)]

    @contextmanager
    def _as_before(self, nodes: Iterable[int]) -> Iterator[None]:
        """Layers in the state before their last forward pass, so that they compute the same again."""
        now = {index: self._state(index) for index in nodes}
        try:
            self._set_states({index: self.states.get(index, now[index]) for index in now})
            yield
        finally:
            self._set_states(now)

    def _set_states(self, states: Mapping[int, Sequence[Any]]) -> None:
        for index, values in states.items():
            for variable, value in zip(self._state_variables(index), values, strict=True):
                variable.assign(value)

    def take_states(self, other: Engine) -> None:
        """Carried states of another engine for the same net, where their shapes are still the same."""
        for index in self.plan.layers:
            for mine, theirs in zip(self._state_variables(index), other._state_variables(index), strict=True):
                if tuple(mine.shape) == tuple(theirs.shape) and mine is not theirs:
                    mine.assign(theirs.value)

    def _compiled(self, key: Any, function: Callable[..., Any], *args: Sequence[Any]) -> Any:
        """Calls a function of lists of tensors that returns lists of pairs (name, tensor); names stay out of the graph.

        It is compiled once for each key and each set of shapes.
        """
        args = tuple([tf.convert_to_tensor(tensor) for tensor in tensors] for tensors in args)
        key = (key, tuple(tuple(tensor.shape) for tensors in args for tensor in tensors))
        if key not in self._functions:
            names: list[list[Any]] = []

            def traced(*given: Any) -> Any:
                with tf.name_scope("net"):  # At the root TensorFlow takes fewer names.
                    results = function(*given)
                names[:] = [[name for name, _ in pairs] for pairs in results]
                return [[tensor for _, tensor in pairs] for pairs in results]

            self._functions[key] = tf.function(traced, autograph=False).get_concrete_function(*args), names
        compiled, names = self._functions[key]
        return [list(zip(n, tensors, strict=True)) for n, tensors in zip(names, compiled(*args), strict=True)]


def _python_gradients(layer: Any, bottoms: Sequence[Any], diffs: Sequence[Any]) -> list[Any]:
    """What backward of a pycaffe-style class gives, after the forward pass that it has seen last."""
    runner, params = layer.runner, [bound.variable.value for bound in layer.caffe_blobs]
    ends = (len(bottoms), len(bottoms) + len(params))

    def backward(*arrays: np.ndarray) -> list[np.ndarray]:
        return runner.backward(runner.serial, arrays[: ends[0]], arrays[ends[0] : ends[1]], arrays[ends[1] :])

    inputs = [*bottoms, *map(tf.convert_to_tensor, params)]
    if not inputs and not hasattr(runner.layer, "backward"):
        return []  # A data layer needs none; in Caffe it would be an error.
    gradients = tf.numpy_function(backward, [*inputs, *diffs], [tf.float32] * len(inputs))
    if not inputs:  # A source; TensorFlow gives no list then.
        return []
    return [tf.ensure_shape(diff, x.shape) for diff, x in zip(gradients, inputs, strict=True)]


def _owner(bound: BoundBlob) -> BoundBlob:
    return bound.variable.owner if isinstance(bound.variable, SharedView) else bound


def _to_caffe(gradient: Any, axes: Sequence[int]) -> Any:
    return tf.transpose(gradient, np.argsort(axes))
