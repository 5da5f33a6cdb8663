"""Caffe's training loop on Keras's fit (solver.cpp)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import SolverError
from keras_caffe.optimizers import Plateau
from keras_caffe.places import Places
from keras_caffe.solver import snapshots
from keras_caffe.solver.diagnose import Bad, first_bad_blob
from keras_caffe.solver.display import Display, say
from keras_caffe.solver.feed import Feed
from keras_caffe.solver.hooks import Hooks
from keras_caffe.solver.params import History, Param
from keras_caffe.solver.scores import Scorer, Scores
from keras_caffe.solver.train_net import TrainNet

EPOCH = 1000  # iterations of an epoch for Keras's callbacks where no tests divide them


class Interrupted(Exception):
    """A request to stop came while test nets ran."""


class Solver:
    """A solver definition with its nets, made by `keras_caffe.load_solver`.

    An iteration is what Caffe's is: test nets are run first where their interval says so, then iter_size forward and
    backward passes, one update, a line on the screen, a snapshot. `step` and `fit` share data, iteration count and
    histories, so calls of both can follow each other.

    Attributes:
        param: the SolverParameter.
        model: the train net, a CaffeModel; its variables are those that the test nets use.
        test_models: the test nets.
        optimizer: a `keras_caffe.optimizers.CaffeOptimizer`.
        train_data, test_data: where batches come from (one entry for each test net).
        iter: iterations done.
        params: the learnable parameters in Caffe's order.
        prefix: what the names of snapshots begin with.
        places: where files that it names are looked for.
        tell: takes each line that Caffe would log; default: prints it.
        tells: whether there are lines of tests and snapshots; default: if the solver displays any.

    Caffe: src/caffe/solver.cpp
    """

    def __init__(
        self,
        param: Any,
        model: TrainNet,
        test_models: Sequence[CaffeModel],
        params: Sequence[Param],
        train_data: Feed,
        test_data: Sequence[Feed],
        prefix: str,
        places: Places,
    ) -> None:
        self.param: Any = param
        self.model: TrainNet = model
        self.test_models: list[CaffeModel] = list(test_models)
        self.params: list[Param] = list(params)
        self.prefix: str = prefix
        self.places: Places = places
        self.iter: int = 0
        self.request: str | None = None
        """"stop" or "snapshot": asked for from outside, done after the iteration that runs."""
        self.tell: Callable[[str], None] = say
        self.tells: bool = bool(param.display)
        self.scores: Scores | None = None
        self.display: Display = Display(self)
        self._train, self._tests = train_data, list(test_data)
        self._scorers = [Scorer(*pair) for pair in zip(self.test_models, self._tests, strict=True)]
        self._tested_at = self._saved_at = -1
        self._finished = False

    @property
    def optimizer(self) -> Any:
        """The Caffe optimizer; Keras may scale the loss around it."""
        return self.model.caffe_optimizer

    @property
    def train_data(self) -> Any:
        return self._train.data

    @property
    def test_data(self) -> list[Any]:
        return [feed.data for feed in self._tests]

    @property
    def policy(self) -> Any:
        return self.optimizer.schedule

    @property
    def lr(self) -> float:
        """The learning rate of the next iteration, without the parameters' lr_mult."""
        return float(self.policy(self.iter))

    @property
    def history(self) -> History:
        """The optimizer's state in Caffe's order."""
        return History(self.optimizer, self.params)

    def step(self, iterations: int = 1) -> list[float]:
        """Runs some iterations, including the tests, log lines and snapshots that are due.

        Args:
            iterations: how many.

        Returns:
            The loss of each, the mean over its iter_size passes. Fewer if `request` became "stop".

        Raises:
            SolverError: the loss is no number any more, or a snapshot cannot be written.
            DataError: the data end or do not fit.
        """
        self.begin()
        run = self.model.make_train_function()
        losses: list[float] = []
        for _ in range(iterations):
            if not self.before_iteration():
                break
            try:
                logs = run(self._train.iterator)
            except tf.errors.OpError as error:
                self._train.raise_error(error)
                raise
            losses.append(self.after_iteration(logs))
            if self.request == "stop":
                break
        return losses

    def fit(
        self, *, callbacks: Iterable[keras.callbacks.Callback] = (), verbose: Any = "auto"
    ) -> keras.callbacks.History:
        """Trains until max_iter with Keras's `fit`.

        An epoch is what lies between two tests; without test nets, 1000 iterations. Its logs are the means of the loss
        and of the train net's outputs, and the test scores as `val_<blob>` (of further test nets `val<number>_<blob>`).

        Args:
            callbacks: Keras callbacks of your own.
            verbose: as in Keras; "auto" shows a progress bar unless the solver displays lines.

        Returns:
            Keras's History.

        Raises:
            SolverError: max_iter is missing; else as `step`.
        """
        if self.param.max_iter < 1:
            raise SolverError("max_iter is missing", expected="the number of iterations to train for")
        snapshots.check_prefix(self.prefix, needed=bool(self.param.snapshot or self.param.snapshot_after_train))
        self.request, self._finished = None, False
        length = self._epoch()
        left = max(self.param.max_iter - self.iter, 0)
        first = self.iter // length
        self.begin()
        if left and not self.before_iteration():  # Keras looks for a stop after an iteration only.
            self.finish()
            return keras.callbacks.History()
        try:
            history = self.model.fit(
                self._train.dataset(self.iter),
                initial_epoch=first,
                epochs=first + math.ceil(left / length),
                steps_per_epoch=length,
                shuffle=False,
                callbacks=[Hooks(self), *callbacks],
                verbose=verbose if verbose != "auto" else 0 if self.param.display else "auto",
            )
        except tf.errors.OpError as error:
            self._train.raise_error(error)
            raise
        self.finish()
        return history

    def _epoch(self) -> int:
        return min(self.param.test_interval if self.test_models else EPOCH, self.param.max_iter)

    def finish(self) -> None:
        """Ends a run of `fit`: the last snapshot, line and tests, in Caffe's order."""
        if self._finished:
            return
        self._finished = True
        if tf.distribute.has_strategy():  # Keras read through an iterator of its own.
            self._train.seek(self.iter)
        wanted = self.param.snapshot_after_train or self.request == "stop"
        if wanted and self._saved_at != self.iter:
            self.snapshot()
        if self.request != "stop":
            if self.display.due:
                self.display.end(self._further_loss())
            self.test_if_due(first=True)

    def _further_loss(self) -> float | None:
        """Caffe runs the train net forward once more for its last line; batch statistics move by it."""
        try:
            return self.model.loss_of(self._train.iterator)
        except tf.errors.OpError:
            self._train.error = None  # data of the caller's that ended with the last iteration
            return None

    def begin(self) -> None:
        """Forgets the losses of an earlier run, as Caffe does."""
        self.display.clear()
        self.policy.begin()

    def before_iteration(self) -> bool:
        """Runs the tests that are due; whether the iteration may begin: not if a stop was asked for meanwhile."""
        asked_before = self.request == "stop"
        self.test_if_due(first=self.param.test_initialization)
        return asked_before or self.request != "stop"

    def test_if_due(self, first: bool) -> Scores | None:
        """Runs the test nets where their interval says so; `first`: also before the first iteration."""
        if not self.test_models or self.iter % self.param.test_interval or self._tested_at == self.iter:
            return None
        if self.iter == 0 and not first:
            return None
        self._tested_at = self.iter
        try:
            self.scores = self._test(self._heed)
        except Interrupted:
            self.tell("Test interrupted.")
            return None
        self.display.scores(self.scores, [scorer.loss for scorer in self._scorers])
        return self.scores

    def _heed(self, *_: Any) -> None:
        if self.request == "stop":
            raise Interrupted
        if self.request == "snapshot":
            self.request = None
            self.snapshot()

    def after_iteration(self, logs: Mapping[str, Any]) -> float:
        """Counts the iteration and does what falls due after it; returns its loss."""
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            self._refuse(loss)
        self.display.iteration(loss)
        self.iter += 1
        interval = self.param.snapshot
        if self.request == "snapshot" or (interval and self.iter % interval == 0):
            self.request = None if self.request == "snapshot" else self.request
            self.snapshot()
        return loss

    def _refuse(self, loss: float) -> None:
        bad = first_bad_blob(self.model, self.model.last_step.batches) or Bad("", None)
        raise SolverError(
            f"the loss is {loss} in iteration {self.iter}" + (f": {bad.what}" if bad.what else ""),
            layer=bad.layer,
            expected=bad.expected,
            received=bad.received,
            fix=("The parameters are those before this iteration.", *bad.cures),
        )

    def test(self) -> Scores:
        """Runs every test net for its test_iter batches.

        Returns:
            For each test net {blob: mean of the outputs over the batches}, a float or an array in the blob's shape.
            With one net it can be asked for a blob at once: `solver.test()["accuracy"]`.
        """
        return self._test()

    def _test(self, each: Callable[[int, Any], None] | None = None) -> Scores:
        return Scores(scorer(count, each) for scorer, count in zip(self._scorers, self.param.test_iter, strict=True))

    def snapshot(self) -> tuple[str, str]:
        """Writes the train net's parameters and the solver's state.

        Returns:
            The paths `<prefix>_iter_<n>.caffemodel` and `.solverstate`, each with `.h5` if snapshot_format is HDF5.

        Raises:
            SolverError: they cannot be written; training can go on.
        """
        paths = snapshots.write(self)
        self._saved_at = self.iter
        return paths

    def restore(self, path: str | Path) -> None:
        """Resumes from a snapshot, ours or Caffe's.

        Data that can be read from the beginning are read up to where the snapshot was taken; iterators go on where they
        are.

        Args:
            path: the `.solverstate` or `.solverstate.h5`. The parameters are read from the file that it names.

        Raises:
            ReadError: a file is missing or broken. WeightsError: it belongs to another net or type of solver. Nothing
                is changed then.
        """
        state = snapshots.restore(self, path)
        self.optimizer.iterations.assign(state.iteration)
        if self.policy.restore(state.iteration, state.current_step, **state.plateau):
            self.model.train_function = None
        self._train.seek(state.iteration)
        self._go_on_at(state.iteration)

    def _go_on_at(self, iteration: int) -> None:
        self.iter = iteration
        self.display.clear()
        self._tested_at = self._saved_at = -1
        for feed, batches in zip(self._tests, self.param.test_iter, strict=True):
            feed.seek(self._tests_before(iteration) * batches)
        self.model.count_draws(iteration * self.param.iter_size)

    def follow(self) -> None:
        """Goes to the iteration to which a callback, such as Keras's BackupAndRestore, has taken the optimizer."""
        iteration = int(keras.ops.convert_to_numpy(self.optimizer.iterations))
        if iteration == self.iter:
            return
        if tf.distribute.has_strategy() or isinstance(self.policy, Plateau):
            raise SolverError(
                f"a callback went on from iteration {iteration}, and the solver cannot follow it",
                expected="one replica, and a policy that depends on the iteration alone",
                fix="Go on from a snapshot with `restore`.",
            )
        self._train.skip(iteration - self.iter)
        self._go_on_at(iteration)

    def _tests_before(self, iteration: int) -> int:
        """How often the test nets ran before an iteration began."""
        if not self.test_models or iteration == 0:
            return 0
        return math.ceil(iteration / self.param.test_interval) - (not self.param.test_initialization)

    def load_weights(self, *files: str | Path) -> None:
        """Copies parameters by layer name into the train net, as Caffe does for fine-tuning."""
        self.model.load_weights_from(*files)
