"""pycaffe's solvers: Caffe's training loop on a pycaffe net (python/caffe/_caffe.cpp, src/caffe/solver.cpp)."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_caffe.errors import SolverError
from keras_caffe.places import Places
from keras_caffe.pycaffe.net import PHASES, Net
from keras_caffe.pycaffe.parallel import NCCL
from keras_caffe.solver import nets, snapshots
from keras_caffe.solver.definition import SolverDefinition, make_optimizer, make_policy, read_solver
from keras_caffe.solver.display import output_lines, say
from keras_caffe.solver.params import History, params_of, updated


class Solver:
    """pycaffe's solver: it trains `net`, whose blobs, parameters and diffs a script may read and write in between.

    An iteration is Caffe's: the parameters' diffs are set to 0, test nets run where they are due, then iter_size
    forward and backward passes on the next batches, the update, a snapshot. Afterwards blobs hold the last batch, and
    the parameters' diffs what was subtracted. `keras_caffe.load_solver` gives a faster loop for plain training.

    Args:
        solver_file: path or text of a solver prototxt, or a SolverParameter. The classes SGDSolver to AdamSolver take
            their own method whatever `type` it states.
        **options: further arguments of `Net` (base_dir, confine, python_layers, fork, ...).

    Attributes:
        net, test_nets: pycaffe nets; test nets use the parameters of `net`.
        param: the SolverParameter; a new `param.base_lr` counts from the next iteration on.
        iter: iterations done.
        max_iter: where `solve` ends.
        lr: the rate of the next iteration, without the parameters' lr_mult.

    Raises:
        CaffeError: what `keras_caffe.load_solver` raises.

    Caffe: src/caffe/solver.cpp, python/caffe/_caffe.cpp
    """

    type: ClassVar[str | None] = None
    places: Places
    net: Net
    test_nets: list[Net]
    prefix: str

    def __init__(self, solver_file: Any, **options: Any) -> None:
        read_before = isinstance(solver_file, SolverDefinition)  # by get_solver
        definition = solver_file if read_before else read_solver(solver_file, self.type)
        self.param: Any = definition.param
        self.iter: int = 0
        self._by_hand = False  # whether a script counts iterations, and not the updates
        self._reached = 0  # the iterations when a script counted last, or `step` or `restore` ended
        self.tell: Callable[[str], None] = say
        self.tells: bool = bool(self.param.display)
        self._losses: deque[float] = deque(maxlen=self.param.average_loss)
        self._callbacks: list[tuple[Callable[[], Any], Callable[[], Any]]] = []
        with definition.located():
            self._open(definition, options)

    def _open(self, definition: SolverDefinition, options: dict[str, Any]) -> None:
        """Makes the nets and the optimizer."""
        self.places = definition.places(options.get("base_dir"), options.get("confine", False))
        if definition.seed is not None:
            keras.utils.set_random_seed(definition.seed % 2**32)
        read = nets.reader(self.places, options)
        self.net = _net(nets.train_net(self.param, read), options)
        self.test_nets = [_net(choice, options) for choice in nets.test_nets(self.param, read)]
        self.net.copy_from(*(nets.locate(name, self.places) for name in definition.weights))
        for net in self.test_nets:
            net.share_with(self.net)
        self.prefix = snapshots.prefix_of(self.param, self.places, definition.path)
        snapshots.check_prefix(self.prefix, needed=bool(self.param.snapshot))
        self._make_optimizer()

    def _make_optimizer(self) -> None:
        self._params = params_of(self.net.plan)
        multipliers = {p.variable.path: (p.lr_mult, p.decay_mult) for p in self._params}
        self._optimizer = make_optimizer(self.param, multipliers)
        self._updated = updated(self._params, self._optimizer)
        self._optimizer.build([p.variable for p in self._updated])
        self._base_lr = self.param.base_lr
        self._update = tf.function(self._updates, autograph=False)

    @property
    def max_iter(self) -> int:
        return self.param.max_iter

    @property
    def lr(self) -> float:
        return float(self.policy(self.iter))

    @property
    def policy(self) -> Any:
        """The schedule of the rate, for `param.base_lr` as it is now."""
        self._follow_base_lr()
        return self._optimizer.schedule

    def _follow_base_lr(self) -> None:
        if self.param.base_lr != self._base_lr:
            self._base_lr = self.param.base_lr
            self._optimizer.learning_rate = make_policy(self.param)
            self._update = tf.function(self._updates, autograph=False)

    @property
    def history(self) -> History:
        """The optimizer's state in Caffe's order."""
        return History(self._optimizer, self._params)

    def add_callback(self, on_start: Callable[[], Any], on_gradients_ready: Callable[[], Any] | None = None) -> None:
        """Calls one function before each iteration's passes, another between them and the update; or takes an NCCL."""
        if on_gradients_ready is None:
            if not isinstance(on_start, NCCL):
                raise TypeError("add_callback takes two functions, or an NCCL")
            on_gradients_ready = on_start
        self._callbacks.append((on_start, on_gradients_ready))

    def step(self, iterations: int) -> None:
        """Runs some iterations, including the tests, log lines and snapshots that are due.

        Raises:
            SolverError: the loss is no number any more; the parameters are those before that iteration.
        """
        self._by_hand = False
        self.policy.begin()
        self._losses.clear()
        for _ in range(iterations):
            self.net.clear_param_diffs()
            if self._test_is_due() and (self.iter or self.param.test_initialization):
                self._test_all()
            for on_start, _ready in self._callbacks:
                on_start()
            loss = sum(self._forward_backward() for _ in range(self.param.iter_size)) / self.param.iter_size
            self._display(loss)
            for _start, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            self.apply_update()
            self._reached = self.iter
            if self.param.snapshot and self.iter % self.param.snapshot == 0:
                self.snapshot()

    def solve(self, resume_file: str | os.PathLike[str] | None = None) -> None:
        """Trains up to max_iter, from a snapshot's state if one is given."""
        if resume_file is not None:
            self.restore(resume_file)
        self.step(max(self.max_iter - self.iter, 0))
        saved = self.param.snapshot and self.iter % self.param.snapshot == 0
        if self.param.snapshot_after_train and not saved:
            self.snapshot()
        if self.param.display and self.iter % self.param.display == 0:
            self._losses.append(self.net._forward(0, len(self.net.layers) - 1))
            self.tell(f"Iteration {self.iter}, loss = {np.mean(self._losses):.6g}")
        if self._test_is_due():
            self._test_all()

    def _forward_backward(self) -> float:
        last = len(self.net.layers) - 1
        loss = self.net._forward(0, last)
        self.net._backward(last, 0)
        if not all(np.isfinite(blob.data).all() for blob in self.net.own_params()):
            loss = math.nan  # Kernels that skip zeros may not have met it.
        if not math.isfinite(loss):
            raise SolverError(
                f"the loss is {loss} in iteration {self.iter}",
                expected="a finite loss",
                fix="Try a lower base_lr, or clip_gradients; net.blobs hold the values of this batch.",
            )
        return loss

    def apply_update(self) -> None:
        """Updates the parameters by their diffs, which then hold what was subtracted; this ends an iteration."""
        self.net.push_params()
        blobs = dict(zip(map(str, self._params), self.net.own_params(), strict=True))
        gradients = [p.bound.blob.to_keras(blobs[str(p)].diff) for p in self._updated]
        self._follow_base_lr()
        steps = self._update([tf.constant(gradient) for gradient in gradients])
        for blob in blobs.values():
            blob.data_memory.pull()
        moved = {str(p): p.bound.blob.to_caffe(step.numpy()) for p, step in zip(self._updated, steps, strict=True)}
        for name, blob in blobs.items():
            blob.diff[...] = moved.get(name, 0)
        if self._by_hand:
            self._optimizer.iterations.assign(self.iter)
        else:
            self.iter += 1

    def increment_iter(self) -> None:
        """Intel's and Dosovitskiy's, whose `apply_update` counts nothing: begins or ends an iteration of any updates.

        From then on only `step` counts its updates.
        """
        self._by_hand = True
        self.iter = self._reached = self._reached + 1
        self._optimizer.iterations.assign(self.iter)

    def _updates(self, gradients: Sequence[Any]) -> list[Any]:
        variables = [p.variable for p in self._updated]
        before = [tf.identity(v.value) for v in variables]
        with tf.control_dependencies(before):
            self._optimizer.apply(list(gradients), variables)
            return [old - v.value for old, v in zip(before, variables, strict=True)]

    def _test_is_due(self) -> bool:
        return bool(self.test_nets) and self.iter % self.param.test_interval == 0

    def _test_all(self) -> None:
        for number, (net, batches) in enumerate(zip(self.test_nets, self.param.test_iter, strict=True)):
            outputs = [{name: np.array(x) for name, x in net.forward().items()} for _ in range(batches)]
            self._say_outputs(f"Iteration {self.iter}, Testing net (#{number})", "Test", net, outputs)

    def _display(self, loss: float) -> None:
        self._losses.append(loss)
        outputs = {name: self.net.blobs[name].data for name in self.net.outputs}
        if self.param.display and self.iter % self.param.display == 0:
            title = f"Iteration {self.iter}, loss = {np.mean(self._losses):.6g}"
            self._say_outputs(title, "Train", self.net, [outputs])
            self.tell(f"Iteration {self.iter}, lr = {self.lr:.6g}")

    def _say_outputs(self, title: str, which: str, net: Net, batches: Sequence[dict[str, np.ndarray]]) -> None:
        if self.param.display:
            self.tell(title)
            means = {name: _mean(name, [outputs[name] for outputs in batches]) for name in net.outputs}
            for number, line in enumerate(output_lines(means, net.blob_loss_weights)):
                self.tell(f"    {which} net output #{number}: {line}")

    def share_weights(self, net: Net) -> None:
        """Lets a net use the parameters of this solver's net from now on."""
        net.share_with(self.net)

    def snapshot(self) -> tuple[str, str]:
        """Writes the parameters and the solver's state; returns the two paths."""
        hdf5 = self.param.snapshot_format == type(self.param).HDF5
        save = self.net.save_hdf5 if hdf5 else self.net.save
        return snapshots.write(self, lambda path: save(path, write_diff=self.param.snapshot_diff))

    def restore(self, state_file: str | os.PathLike[str]) -> None:
        """Goes on from a snapshot, ours or Caffe's; data layers go on where they are.

        Raises:
            ReadError, WeightsError: a file is missing or broken, or belongs to another net or type of solver.
        """
        state = snapshots.restore(self, state_file, self.net.copy_from)
        self.iter = self._reached = state.iteration
        self._by_hand = False
        self._optimizer.iterations.assign(self.iter)
        self.policy.restore(self.iter, state.current_step, **state.plateau)
        self._update = tf.function(self._updates, autograph=False)


class SGDSolver(Solver):
    type: ClassVar[str | None] = "SGD"


class NesterovSolver(SGDSolver):
    type: ClassVar[str | None] = "Nesterov"


class AdaGradSolver(SGDSolver):
    type: ClassVar[str | None] = "AdaGrad"


class RMSPropSolver(SGDSolver):
    type: ClassVar[str | None] = "RMSProp"


class AdaDeltaSolver(SGDSolver):
    type: ClassVar[str | None] = "AdaDelta"


class AdamSolver(SGDSolver):
    type: ClassVar[str | None] = "Adam"


def get_solver(solver_file: Any, **options: Any) -> Solver:
    """The solver whose class is the `type` that a solver prototxt states; arguments as for the classes."""
    kinds: list[type[Solver]] = [SGDSolver, *SGDSolver.__subclasses__()]
    classes = {cls.type: cls for cls in kinds}
    definition = read_solver(solver_file)
    return classes[definition.param.type](definition, **options)


def _mean(name: str, batches: Sequence[np.ndarray]) -> np.ndarray:
    shapes = sorted({batch.shape for batch in batches})
    if len(shapes) > 1:
        raise SolverError(
            f"output {name!r} of a test net has no mean over batches of several shapes",
            received=" and ".join(map(str, shapes)),
            fix="Let a Silence layer read it, or set display: 0.",
        )
    return np.mean(batches, axis=0)


def _net(choice: nets.NetChoice, options: dict[str, Any]) -> Net:
    return Net(choice.definition, PHASES.index(choice.phase), choice.level, choice.stages, **options)
