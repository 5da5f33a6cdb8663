"""`keras_caffe.load_solver`: from a solver definition to a Solver."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_caffe.converters.definition import Definition, weight_files
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.read import Readable
from keras_caffe.errors import CaffeWarning, SolverError
from keras_caffe.places import Places
from keras_caffe.solver import nets, snapshots
from keras_caffe.solver.definition import SolverDefinition, make_optimizer, read_solver
from keras_caffe.solver.feed import Feed
from keras_caffe.solver.nets import NetChoice
from keras_caffe.solver.opener import Opener
from keras_caffe.solver.params import Param, params_of, updated
from keras_caffe.solver.solver import Solver
from keras_caffe.solver.train_net import TrainNet

MOST_PASSES = 1000  # of an iteration


def load_solver(
    solver: Readable,
    *,
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    train_data: Any = None,
    test_data: Any = None,
    base_dir: str | os.PathLike[str] | None = None,
    confine: bool = False,
    data_format: str | None = None,
    stages: Sequence[str] = (),
    level: int | None = None,
    dtype: Any = None,
    jit: bool = False,
    **options: Any,
) -> Solver:
    """Loads a Caffe solver with its nets.

    Names in the solver and its nets start at the working directory, as in Caffe, those of snapshots too; nets,
    weights and data that are not there are looked for beside the solver's file.

    Args:
        solver: path, prototxt text, or SolverParameter.
        weights: `.caffemodel` files that replace the solver's own `weights`; copied by layer name.
        train_data: a tf.data.Dataset or an iterable of {blob: batch}, which starts again when it ends; default: the
            train net's own data layers. Axes of images are in the order of `data_format`.
        test_data: the same for the test nets: one for all of them, or a list with one for each.
        base_dir, confine: where these names start, and whether they may leave it, as for `keras_caffe.dataset`.
        data_format: order of blobs at the models' edges: "channels_last" or "channels_first"; default: Keras's.
        stages, level: added to train_state, and in place of its level, as by Caffe's `-stage` and `-level`.
        dtype: Keras dtype policy, such as "mixed_bfloat16"; default: Keras's own.
        jit: compile the training step with XLA.
        **options: further arguments of `keras_caffe.load` for all nets (custom_layers, python_layers, fork, ...).

    Returns:
        A Solver; under the scope of a `tf.distribute` strategy, one that takes a batch for each replica.

    Raises:
        ReadError, SolverError: the definition is refused; what `load` and `dataset` raise of its nets and their data.

    Examples:
        >>> solver = '''base_lr: 0.1 lr_policy: "fixed" max_iter: 10 net_param {
        ... layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 1] } } }
        ... layer { name: "wanted" type: "Input" top: "wanted" input_param { shape { dim: [1, 1] } } }
        ... layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 } }
        ... layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "wanted" top: "loss" } }'''
        >>> batches = [{"x": np.float32([[1]]), "wanted": np.float32([[3]])}]
        >>> solver = keras_caffe.load_solver(solver, train_data=batches)
        >>> [round(loss, 2) for loss in solver.step(3)]
        [4.5, 2.88, 1.84]

    Caffe: src/caffe/solver.cpp
    """
    definition = read_solver(solver)
    with definition.located():
        param, places = definition.param, definition.places(base_dir, confine)
        read = nets.reader(places, options)
        train, tests = nets.train_net(param, read, stages, level), nets.test_nets(param, read)
        prefix = snapshots.prefix_of(param, places, definition.path)
        snapshots.check_prefix(prefix, needed=bool(param.snapshot))
        if definition.seed is not None:
            keras.utils.set_random_seed(definition.seed % 2**32)
        files = _weights(weights, definition, places)
        opened = Opener(data_format, definition.seed, {**options, "dtype": dtype}, places)
        model, train_feed = opened.net(TrainNet, train, train_data, _passes(param), files, "train data")
        donors = {name: layer.caffe_blobs for name, layer in model.caffe_layers.items() if layer.caffe_blobs}
        pairs = enumerate(zip(tests, _each(test_data, len(tests)), strict=True))
        test_nets = [opened.net(CaffeModel, *pair, 1, files, f"data of test net {n}", donors) for n, pair in pairs]
        params = _prepare(param, model, jit)
        return Solver(
            param, model, [m for m, _ in test_nets], params, train_feed, [f for _, f in test_nets], prefix, places
        )


def _passes(param: Any) -> int:
    """Of an iteration, which can be compiled."""
    if param.iter_size > MOST_PASSES:
        raise SolverError(
            "iter_size is too large: a step is compiled with all its passes",
            expected=f"at most {MOST_PASSES}",
            received=param.iter_size,
            fix="Make batch_size larger, and iter_size smaller by the same factor.",
        )
    return int(param.iter_size)


def _weights(given: Any, definition: SolverDefinition, places: Places) -> list[str]:
    """The files of parameters: those that the caller names, wherever they are, or the solver's own."""
    own = [nets.locate(name, places) for name in definition.weights]
    return own if given is None else [nets.locate(os.fspath(n), definition.places()) for n in weight_files(given)]


def _prepare(param: Any, model: Any, jit: bool) -> list[Param]:
    """Gives the train net its optimizer; returns its parameters."""
    params = params_of(model.plan)
    optimizer = make_optimizer(param, {p.variable.path: (p.lr_mult, p.decay_mult) for p in params})
    variables = [p.variable for p in updated(params, optimizer)]
    model.prepare(optimizer, variables, jit=jit, keep_steps=_keeps_steps(param))
    return params


def _keeps_steps(param: Any) -> bool:
    if not param.snapshot_diff or not tf.distribute.has_strategy():
        return bool(param.snapshot_diff)
    warnings.warn(CaffeWarning("snapshot_diff: with several replicas the diffs are written as 0"), stacklevel=3)
    return False


def open_test_net(
    prototxt: Readable | Definition,
    weights: Sequence[str | os.PathLike[str]] = (),
    *,
    level: int = 0,
    stages: Sequence[str] = (),
    data: Any = None,
    base_dir: str | os.PathLike[str] | None = None,
    confine: bool = False,
    data_format: str | None = None,
    **options: Any,
) -> tuple[CaffeModel, Feed]:
    """A net of phase TEST with the batches that its data layers read, or with `data`.

    Arguments as of `load_solver`.
    """
    given, places = Places(), Places(base_dir, confine=confine)
    choice = NetChoice(nets.reader(given, options)(prototxt), "TEST", level, tuple(stages))
    return Opener(data_format, None, options, places).net(
        CaffeModel, choice, data, 1, [os.fspath(file) for file in weights], "test data", {}
    )


def _each(data: Any, count: int) -> list[Any]:
    """The data of each test net."""
    if isinstance(data, (list, tuple)) and data and not isinstance(data[0], Mapping):
        if len(data) != count:
            raise SolverError("test_data must be given once for each test net", expected=count, received=len(data))
        return list(data)
    return [data] * count
