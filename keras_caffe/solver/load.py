"""`keras_caffe.load_solver`: from a solver definition to a Solver."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_caffe.converters import load as loading
from keras_caffe.converters import weights as weight_files
from keras_caffe.converters.build import build
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.read import Source, read_net
from keras_caffe.converters.recipe import Recipe
from keras_caffe.converters.select import select
from keras_caffe.converters.upgrade import upgrade
from keras_caffe.data import dataset
from keras_caffe.errors import DataError, SolverError
from keras_caffe.layout import edge_order, to_caffe
from keras_caffe.solver import nets, snapshots
from keras_caffe.solver.definition import make_optimizer, read_solver
from keras_caffe.solver.feed import Feed, peek
from keras_caffe.solver.nets import NetChoice
from keras_caffe.solver.params import params_of, updated
from keras_caffe.solver.solver import Solver
from keras_caffe.solver.train_net import TrainNet

FED = ("Input", "DummyData", "Parameter")  # Layers without bottoms that read no data.


def load_solver(
    solver: Source,
    *,
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    train_data: Any = None,
    test_data: Any = None,
    data_format: str | None = None,
    stages: Sequence[str] = (),
    level: int | None = None,
    dtype: Any = None,
    jit: bool = False,
    **options: Any,
) -> Solver:
    """Loads a Caffe solver with its nets.

    Relative names start at the working directory, as in Caffe; nets, weights and data that are not there are looked for
    beside the solver's file, and snapshots are written beside it then.

    Args:
        solver: path, prototxt text, or SolverParameter.
        weights: `.caffemodel` files that replace the solver's own `weights`; copied by layer name.
        train_data: a tf.data.Dataset or an iterable of {blob: batch}, which starts again when it ends; default: the
            train net's own data layers. Axes of images are in the order of `data_format`.
        test_data: the same for the test nets: one for all of them, or a list with one for each.
        data_format: order of blobs at the models' edges: "channels_last" or "channels_first"; default: Keras's.
        stages: added to train_state, as by Caffe's `-stage`.
        level: replaces the level of train_state, as by `-level`.
        dtype: Keras dtype policy, such as "mixed_bfloat16"; default: Keras's own.
        jit: compile the training step with XLA.
        **options: further arguments of `keras_caffe.load` for all nets (custom_layers, python_layers, fork, ...).

    Returns:
        A Solver; under the scope of a `tf.distribute` strategy, one that takes a batch for each replica.

    Raises:
        ReadError, SolverError: the definition is refused.
        NetError, LayerError, ShapeError, UnknownLayerError, WeightsError, DataError: a net, its weights or data are.

    Caffe: src/caffe/solver.cpp
    """
    folder = Path(solver).parent if isinstance(solver, (str, os.PathLike)) and _is_file(solver) else None
    try:
        param = read_solver(solver)
    except SolverError as error:
        raise error.at(where=str(solver) if folder is not None else None) from None
    train = nets.train_net(param, folder, stages, level)
    tests = nets.test_nets(param, folder)
    base = _base(train, folder)
    prefix = snapshots.prefix_of(param, base, Path(solver) if folder is not None else None)
    snapshots.check_prefix(prefix, needed=bool(param.snapshot))
    if param.random_seed >= 0:
        keras.utils.set_random_seed(param.random_seed % 2**32)
    files = [nets.locate(os.fspath(name), folder) for name in _files(param, weights)]
    seed = param.random_seed if param.random_seed >= 0 else None
    opened = _Opened(data_format, seed, {**options, "dtype": dtype})
    model, train_feed = opened.net(train, train_data, param.iter_size, files, "train data")
    donors = {name: layer.caffe_blobs for name, layer in model.caffe_layers.items() if layer.caffe_blobs}
    found = [
        opened.net(test, data, 1, files, f"data of test net {number}", donors)
        for number, (test, data) in enumerate(zip(tests, _each(test_data, len(tests)), strict=True))
    ]
    params = params_of(model.plan)
    optimizer = make_optimizer(param, {p.variable.path: (p.lr_mult, p.decay_mult) for p in params})
    model.prepare(optimizer, [p.variable for p in updated(params, optimizer)], jit=jit)
    return Solver(param, model, [m for m, _ in found], params, train_feed, [feed for _, feed in found], prefix)


def open_test_net(
    prototxt: Source,
    weights: Sequence[str | os.PathLike[str]] = (),
    *,
    level: int = 0,
    stages: Sequence[str] = (),
    data: Any = None,
    data_format: str | None = None,
    **options: Any,
) -> tuple[CaffeModel, Feed]:
    """A net of phase TEST with the batches that its data layers read, or with `data`; arguments as of `load_solver`."""
    choice = NetChoice(prototxt, "TEST", level, tuple(stages))
    return _Opened(data_format, None, options).net(choice, data, 1, list(map(os.fspath, weights)), "test data", {})


class _Opened:
    """Builds nets with the arguments that all nets of a solver share."""

    def __init__(self, data_format: str | None, seed: int | None, options: Mapping[str, Any]) -> None:
        self.data_format = data_format or keras.config.image_data_format()
        self.seed, self.options = seed, dict(options)
        self.skip_mismatch = self.options.pop("skip_mismatch", False)

    def net(
        self,
        choice: NetChoice,
        data: Any,
        per_step: int,
        files: Sequence[str],
        what: str,
        donors: Mapping[str, Any] | None = None,
    ) -> tuple[CaffeModel, Feed]:
        """The model of a net and its stream of batches; a test net has `donors`."""
        shapes, data = self._data(choice, data, what)
        plan, recipe = loading.plan(
            choice.source, **choice.selection, data_format=self.data_format, input_shapes=shapes, **self.options
        )
        model = self._model(plan, recipe, files, donors)
        inputs = {name: tensor for name, tensor in _inputs(model).items() if name not in model._defaults}
        return model, Feed(data, inputs, per_step, what)

    def _model(self, plan: Plan, recipe: Recipe, files: Sequence[str], donors: Any) -> CaffeModel:
        initial, report = weight_files.match(plan, files, skip_mismatch=self.skip_mismatch)
        kind = TrainNet if donors is None else CaffeModel
        model = build(plan, recipe, initial, donors=donors, model_class=kind)
        model.__dict__["load_report"] = report
        return model

    def _data(self, choice: NetChoice, data: Any, what: str) -> tuple[dict[str, Any], Any]:
        """Shapes in Caffe's order of the blobs that data layers fill, and the data; by default those of the layers."""
        net = read_net(choice.source)
        message = select(upgrade(net.message, net.where), **choice.selection)
        sources = [layer for layer in message.layer if not layer.bottom and layer.type not in FED]
        fed = [top for layer in message.layer if layer.type == "Input" for top in layer.top]
        if data is None and fed:
            raise DataError(
                f"there are no {what}: the net has Input layers",
                where=net.file,
                expected=f"batches of {', '.join(fed)}",
                fix="Pass train_data= and test_data=, or use a net with data layers.",
            )
        if data is None and not sources:
            return {}, [{}]
        if data is None:
            first = self._own(choice)
            spec = first.element_spec
            return self._shapes(sources, {name: tuple(s.shape) for name, s in spec.items()}), _Own(self, choice, first)
        found, data = peek(data)
        return self._shapes(sources, found), data

    def _shapes(self, sources: Sequence[Any], found: Mapping[str, Any]) -> dict[str, Any]:
        tops = {top for layer in sources for top in layer.top}
        return {n: to_caffe(s, edge_order(len(s), self.data_format)) for n, s in found.items() if n in tops}

    def _own(self, choice: NetChoice, context: Any = None) -> Any:
        """The data set of a net's own layers for a worker."""
        given = {"input_context": context} if context is not None else {"shard": (0, 1)}
        extra = {"python_layers": self.options["python_layers"]} if self.options.get("python_layers") else {}
        return dataset(
            choice.source, **choice.selection, seed=self.seed, data_format=self.data_format, **given, **extra
        )


class _Own:
    """The data layers of a net; called with a worker's input context they open its data set."""

    def __init__(self, opened: _Opened, choice: NetChoice, first: Any) -> None:
        self.opened, self.choice, self.first = opened, choice, first

    def __call__(self, context: Any) -> Any:
        return self.first if context is None else self.opened._own(self.choice, context)


def _inputs(model: CaffeModel) -> dict[str, Any]:
    tensors = model.input.values() if isinstance(model.input, dict) else [model.input]
    return {tensor.name: tensor for tensor in tensors}


def _base(train: NetChoice, folder: Path | None) -> Path:
    """The folder that snapshots start at: the working directory, or the solver's where the net was found there."""
    beside = isinstance(train.source, str) and folder is not None and train.source.startswith(str(folder))
    found_here = not isinstance(train.source, str) or Path(train.source).exists()
    return folder if folder is not None and beside and found_here else Path()


def _files(param: Any, weights: Any) -> list[Any]:
    if weights is None:
        return [name.strip() for names in param.weights for name in names.split(",") if name.strip()]
    return [weights] if isinstance(weights, (str, os.PathLike)) else list(weights)


def _each(data: Any, count: int) -> list[Any]:
    """The data of each test net."""
    if isinstance(data, (list, tuple)) and data and not isinstance(data[0], Mapping):
        if len(data) != count:
            raise SolverError("test_data must be given once for each test net", expected=count, received=len(data))
        return list(data)
    return [data] * count


def _is_file(source: str | os.PathLike[str]) -> bool:
    try:
        return Path(source).is_file()
    except (OSError, ValueError):  # the text of a prototxt
        return False
