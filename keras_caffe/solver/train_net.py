"""The net that a solver trains: a CaffeModel whose training step is one iteration of Caffe's solver."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers import LossScaleOptimizer

from keras_caffe.converters.model import CaffeModel, output_name
from keras_caffe.data.output_files import write_output_files
from keras_caffe.layers.base import serializable
from keras_caffe.layout import edge_order, inverse
from keras_caffe.ops.refusals import refusals_collected
from keras_caffe.ops.update import dense
from keras_caffe.optimizers import CaffeOptimizer, Plateau


@dataclass(frozen=True)
class Updates:
    """What an update changes. Keras looks for variables in lists and dicts that are set on a model, but not in here.

    Args:
        variables: the Keras variables that it changes, or whose history it changes.
        taken: {id of a variable: variable with what the last update took from it}; empty if nothing asks for it.
        learned: ids of those that were trainable at first; who freezes one of them later wants it to stay as it is.
    """

    variables: Sequence[Any] = ()
    taken: Mapping[int, Any] = field(default_factory=dict)
    learned: Collection[int] = ()

    @property
    def trainable(self) -> list[bool]:
        return [variable.trainable for variable in self.variables]

    def changed(self, gradients: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Pairs (gradient, variable) of what is not frozen."""
        pairs = zip(gradients, self.variables, strict=True)
        return [(g, v) for g, v in pairs if v.trainable or id(v) not in self.learned]


@dataclass(frozen=True)
class LastStep:
    """The batches of the last iteration, and the values of the net's outputs."""

    batches: Any
    outputs: dict[str, Any]


@serializable
class TrainNet(CaffeModel):
    """A CaffeModel with Caffe's iteration as its `train_step`: iter_size forward and backward passes, then an update.

    The loss of a pass is the sum of the blobs with a loss weight. The step returns the mean loss and the mean of each
    of the net's outputs in the last pass, by the blobs' names. Where the loss is not finite nothing is changed.

    Attributes:
        updates: what an update changes; set by `prepare`.
        last_step: set by each call of the function that `make_train_function` makes.
    """

    updates: Updates = Updates()
    last_step: LastStep
    train_function: Callable[[Any], dict[str, Any]] | None
    _compiled_for: Sequence[bool] = ()

    def prepare(
        self, optimizer: CaffeOptimizer, variables: Sequence[Any], jit: bool = False, keep_steps: bool = False
    ) -> None:
        """Compiles the net for Caffe's iteration.

        Args:
            optimizer: what updates.
            variables: the Keras variables that it changes, or whose history it changes.
            jit: compile with XLA.
            keep_steps: keep in `updates.taken` what the last update took from each variable.
        """
        self.compile(optimizer=optimizer, jit_compile=jit)
        with self.distribute_strategy.scope():
            self.optimizer.build(list(variables))
        taken = {id(v): tf.Variable(tf.zeros_like(v.value)) for v in variables} if keep_steps else {}
        self.updates = Updates(list(variables), taken, {id(v) for v in variables if v.trainable})

    @property
    def caffe_optimizer(self) -> CaffeOptimizer:
        """The optimizer; with mixed_float16 Keras scales the loss around it."""
        optimizer = self.optimizer
        return optimizer.inner_optimizer if isinstance(optimizer, LossScaleOptimizer) else optimizer

    def train_step(self, data: Any) -> dict[str, Any]:
        loss, outputs = self.iteration(data if isinstance(data, tuple) else (data,))
        return {**{name: tf.reduce_mean(value) for name, value in outputs.items()}, "loss": loss}

    def iteration(self, batches: Sequence[Mapping[str, Any]]) -> tuple[Any, dict[str, Any]]:
        """One iteration of the solver; its loss, and the net's outputs in the last pass."""
        statistics = [tf.identity(v.value) for v in self._statistics()]
        loss, outputs, gradients = self.accumulate(batches)
        loss = self._nan_if_diverged(loss / len(batches))
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            loss, outputs = context.all_reduce(tf.distribute.ReduceOp.MEAN, (loss, outputs))
        context.merge_call(self._apply_if_finite, args=(loss, gradients, statistics))
        return loss, outputs

    def accumulate(self, batches: Sequence[Mapping[str, Any]]) -> tuple[Any, dict[str, Any], list[Any]]:
        """Loss summed over the batches, outputs of the last one, gradients summed over the batches."""
        first, *others = batches
        one_pass: Callable[[Any], Any] = self._forward_backward
        if others and not tf.executing_eagerly() and tf.distribute.get_strategy().num_replicas_in_sync == 1:
            one_pass = _once(one_pass)
        loss, outputs, gradients = one_pass(first)
        for batch in others:
            one, outputs, new = one_pass(batch)
            loss = loss + one
            gradients = [a + b for a, b in zip(gradients, new, strict=True)]
        return loss, outputs, gradients

    def _forward_backward(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any], list[Any]]:
        learned = [v.value for v in self.updates.variables if v.trainable]
        with tf.GradientTape() as tape, refusals_collected() as refusals:
            outputs = self(batch, training=True)
            loss = self._loss()
            loss = tf.where(tf.reduce_any(refusals), np.nan, loss) if refusals else loss
            scaled = self.optimizer.scale_loss(loss / tf.distribute.get_strategy().num_replicas_in_sync)
        of_learned = iter(tape.gradient(scaled, learned, unconnected_gradients="zero") if learned else [])
        gradients = [dense(next(of_learned)) if v.trainable else tf.zeros_like(v.value) for v in self.updates.variables]
        named = {name: tf.cast(x, "float32") for name, x in named_outputs(self, outputs).items()}
        return loss, named, gradients

    def _apply_if_finite(self, strategy: Any, loss: Any, gradients: Any, statistics: Any) -> None:
        """Updates, or puts the statistics back. The choice is made for all replicas: none may make its own."""
        each = strategy.extended.call_for_each_replica
        tf.cond(
            tf.math.is_finite(strategy.experimental_local_results(loss)[0]),
            lambda: each(self._apply, args=(gradients, loss)),
            lambda: each(self._put_back, args=(statistics,)),
        )

    def _apply(self, gradients: Sequence[Any], loss: Any) -> Any:
        variables, taken = self.updates.variables, self.updates.taken
        schedule = self.caffe_optimizer.schedule
        if isinstance(schedule, Plateau):
            schedule.observe(loss, self.optimizer.iterations)
        for variable in variables if taken else ():
            taken[id(variable)].assign(variable.value)
        done = tf.identity(self.optimizer.iterations)
        if changed := self.updates.changed(gradients):
            self.optimizer.apply(*zip(*changed, strict=True))
        self.optimizer.iterations.assign(done + 1)  # Keras skips an update whose scaled gradients overflow.
        for variable in variables if taken else ():
            taken[id(variable)].assign_sub(variable.value)
        return tf.constant(True)

    def _put_back(self, statistics: Sequence[Any]) -> Any:
        for variable, value in zip(self._statistics(), statistics, strict=True):
            variable.assign(value)
        return tf.constant(False)

    def loss_of(self, iterator: Any) -> float:
        """The loss of a forward pass in training, on the next batch: statistics change, parameters do not."""

        strategy = tf.distribute.get_strategy()

        def forward(batches: Any) -> Any:
            self(batches[0], training=True)
            return self._loss()

        def mean(iterator: Any) -> Any:
            return strategy.reduce("MEAN", strategy.run(forward, args=(next(iterator),)), axis=None)

        return float(tf.function(mean, autograph=False)(iterator))

    def _loss(self) -> Any:
        return tf.add_n(self.losses) if self.losses else tf.zeros(())

    def _nan_if_diverged(self, loss: Any) -> Any:
        """The loss; NaN where a parameter is no finite number, though kernels that skip zeros may not have met it."""
        total = tf.add_n([tf.zeros(()), *(tf.cast(tf.reduce_sum(v.value), "float32") for v in self.updates.variables)])
        return tf.where(tf.math.is_finite(total), loss, np.nan)

    def _statistics(self) -> list[Any]:
        """The variables that a forward pass changes."""
        changed = [layer.caffe_blobs for layer in self.caffe_layers.values()]
        bound = [h for blobs in changed for h in blobs if not h.blob.trainable]
        return [h.variable for h in bound if isinstance(h.variable, keras.Variable)]

    def count_draws(self, passes: int) -> None:
        """Sets the layers' random numbers to where they are after so many passes."""
        for layer in self.caffe_layers.values():
            generator = getattr(layer, "random", None)
            if isinstance(generator, keras.random.SeedGenerator):
                generator.state.assign([generator.state[0], passes])

    def make_train_function(self, force: bool = False) -> Callable[[Any], dict[str, Any]]:
        """One compiled function for an iteration, data included; each call sets `last_step`."""
        trainable = self.updates.trainable
        if self.train_function is None or force or trainable != self._compiled_for:
            self._compiled_for = trainable
            step = self._one_step if self.run_eagerly else tf.function(self._one_step, autograph=False)

            def function(iterator: Any) -> dict[str, Any]:
                loss, outputs, batches = step(iterator)
                self.last_step = LastStep(batches, outputs)
                write_files(self, outputs)
                shown = {name: np.mean(value) for name, value in outputs.items() if name not in self.plan.also_out}
                return {**shown, "loss": loss}

            self.train_function = function
        return self.train_function

    def _one_step(self, iterator: Any) -> tuple[Any, dict[str, Any], Any]:
        data = next(iterator)
        if not tf.distribute.has_strategy():
            step = (
                tf.function(self.iteration, jit_compile=True, autograph=False) if self.jit_compile else self.iteration
            )
            return *step(data), data
        strategy = self.distribute_strategy
        results = *strategy.run(self.iteration, args=(data,)), data
        return tf.nest.map_structure(lambda x: strategy.experimental_local_results(x)[0], results)

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """There is nothing left to build; Keras would take a batch for it."""


def _once(one_pass: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A pass that is traced and optimized once, however often a step calls it."""
    return tf.function(one_pass, autograph=False, experimental_attributes={"_noinline": True})


def write_files(model: CaffeModel, outputs: Mapping[str, Any]) -> None:
    """Writes what the net's HDF5Output layers write, of a pass that gave these outputs."""

    def array(value: str) -> np.ndarray:
        at_edge = np.asarray(outputs[value])
        return at_edge.transpose(inverse(edge_order(at_edge.ndim, model.data_format)))

    write_output_files(model.plan.output_files, array)


def named_outputs(model: CaffeModel, outputs: Any) -> dict[str, Any]:
    """{blob name: value} of what calling a model gave; a loss that has no name goes by its layer's."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    return {output_name(model.net, model.plan.outputs()[0]): outputs}
