"""A SolverParameter as optimizer and policy, and what is refused of it (solver_factory.hpp, sgd_solvers.hpp)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_caffe import optimizers, proto
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.read import Readable, path_of, read_message
from keras_caffe.converters.upgrade import upgrade_solver
from keras_caffe.errors import CaffeError, CaffeWarning, ReadError, SolverError, instead
from keras_caffe.forks.unread import warn_unread_of_solver
from keras_caffe.optimizers.base import REGULARIZATIONS
from keras_caffe.places import Places

POLICIES: dict[str, tuple[type[optimizers.Policy], tuple[str, ...]]] = {
    "fixed": (optimizers.Fixed, ()),
    "step": (optimizers.Step, ("gamma", "stepsize")),
    "exp": (optimizers.Exp, ("gamma",)),
    "inv": (optimizers.Inv, ("gamma", "power")),
    "multistep": (optimizers.MultiStep, ("gamma", "stepvalue")),
    "poly": (optimizers.Poly, ("power", "max_iter")),
    "sigmoid": (optimizers.Sigmoid, ("gamma", "stepsize")),
    "plateau": (optimizers.Plateau, ("gamma", "plateau_winsize", "average_loss")),
}
"""lr_policy -> its class and the fields that it is made of, after base_lr."""

METHODS: dict[str, tuple[type[optimizers.CaffeOptimizer], tuple[str, ...]]] = {
    "SGD": (optimizers.SGD, ("momentum",)),
    "Nesterov": (optimizers.Nesterov, ("momentum",)),
    "AdaGrad": (optimizers.AdaGrad, ("delta",)),
    "RMSProp": (optimizers.RMSProp, ("rms_decay", "delta")),
    "AdaDelta": (optimizers.AdaDelta, ("momentum", "delta")),
    "Adam": (optimizers.Adam, ("momentum", "momentum2", "delta")),
}
"""type -> its class and the fields that it is made of."""

WITHOUT_MOMENTUM = ("AdaGrad", "RMSProp")
NEEDED = ("stepsize", "stepvalue", "max_iter", "plateau_winsize")  # of those that a policy is made of


@dataclass(frozen=True)
class SolverDefinition:
    """A solver's definition and where it was read.

    Args:
        param: the SolverParameter, upgraded and checked.
        path: the file it was read from; None for a text or a message.
    """

    param: Any
    path: Path | None = None

    def places(self, base_dir: str | os.PathLike[str] | None = None, confine: bool = False) -> Places:
        """Where the files that it names are looked for."""
        return Places(base_dir, self.path, confine)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Errors inside name the solver's file: as their place, or as what names the file that is missing."""
        try:
            yield
        except CaffeError as error:
            if self.path is not None and isinstance(error, SolverError):
                error.at(where=str(self.path))
            elif self.path is not None and isinstance(error, FileNotFoundError):
                error.fix = (*error.cures, f"{self.path} names it.")
            raise

    @property
    def seed(self) -> int | None:
        """Its random_seed; None: another one each time."""
        return self.param.random_seed if self.param.random_seed >= 0 else None

    @property
    def weights(self) -> list[str]:
        """The files of parameters that it begins with."""
        return [name.strip() for names in self.param.weights for name in names.split(",") if name.strip()]


def read_solver(source: Readable, method: str | None = None) -> SolverDefinition:
    """Reads a solver's definition.

    Args:
        source: path, text or SolverParameter.
        method: replaces the definition's `type`.

    Raises:
        ReadError: there is no such file, or it is not a solver definition; unknown fields are refused.
        SolverError: an unknown type or lr_policy, a missing or contradictory value.
    """
    definition = SolverDefinition(_read(source), path_of(source))
    with definition.located():
        param = upgrade_solver(definition.param)
        if method is not None:
            param.type = method
        _check(param)
        return replace(definition, param=param)


def _read(source: Readable) -> Any:
    try:
        return read_message(source, proto.SolverParameter, strict=True)
    except ReadError as error:
        if _is_net(source):
            fix = "Give the file that states base_lr, and names this one as its net."
            raise ReadError("this is a net, not a solver", where=error.where, fix=fix) from None
        raise


def _check(param: Any) -> None:
    _check_known("type", param.type, METHODS)
    if not param.lr_policy and param.HasField("max_iter") and param.max_iter == 0:
        warnings.warn(CaffeWarning("max_iter is 0 and lr_policy is missing: nothing is trained"), stacklevel=4)
        param.lr_policy, param.base_lr = "fixed", 0.0  # which Caffe first reads in an update
    _check_known("lr_policy", param.lr_policy, POLICIES)
    if not param.HasField("base_lr"):
        raise SolverError("base_lr is missing", expected="the learning rate to begin with, e.g. base_lr: 0.01")
    _check_policy(param)
    if param.weight_decay:  # else Caffe never reads it
        _check_known("regularization_type", param.regularization_type, REGULARIZATIONS)
    if param.type in WITHOUT_MOMENTUM and param.momentum:
        raise SolverError(
            f"momentum cannot be used with {param.type}",
            expected="momentum 0",
            received=param.momentum,
            fix="Delete momentum, or take another type.",
        )
    for field in ("average_loss", "iter_size"):
        if getattr(param, field) < 1:
            raise SolverError(f"{field} is below 1", expected="at least 1", received=getattr(param, field))
    if param.debug_info:
        warnings.warn(CaffeWarning("debug_info prints nothing here"), stacklevel=4)
    warn_unread_of_solver(param)
    make_optimizer(param)


def _is_net(source: Readable) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaffeWarning)
            return bool(read_definition(source).message.layer)
    except CaffeError:
        return False


def _check_known(field: str, value: str, known: Collection[str]) -> None:
    """Refuses a name that Caffe does not know; in a file upper and lower case matter."""
    if value not in known:
        problem = f"unknown {field} {value!r}" if value else f"{field} is missing"
        raise SolverError(problem, **instead([value], known))


def _check_policy(param: Any) -> None:
    fields = POLICIES[param.lr_policy][1]
    missing = [field for field in fields if field in NEEDED and not getattr(param, field)]
    if missing and param.lr_policy != "multistep":  # without stepvalue it is "fixed"
        raise SolverError(
            f"lr_policy {param.lr_policy!r} needs {missing[0]}", expected=f"a positive {missing[0]}", received="none"
        )
    for field in ("gamma", "power"):
        if field in fields and not param.HasField(field):
            warnings.warn(CaffeWarning(f"lr_policy {param.lr_policy!r} without {field}: it is 0"), stacklevel=5)


def make_policy(param: Any) -> optimizers.Policy:
    """The learning rate policy of a checked SolverParameter."""
    cls, fields = POLICIES[param.lr_policy]
    values = (getattr(param, field) for field in fields)
    return cls(param.base_lr, *(value if isinstance(value, (int, float)) else list(value) for value in values))


def make_optimizer(param: Any, multipliers: optimizers.base.Multipliers | None = None) -> optimizers.CaffeOptimizer:
    """The optimizer of a checked SolverParameter.

    Args:
        param: the SolverParameter.
        multipliers: {path of a variable: (lr_mult, decay_mult)}.

    Raises:
        SolverError: a value is out of range.
    """
    cls, fields = METHODS[param.type]
    make: Callable[..., optimizers.CaffeOptimizer] = cls
    return make(
        make_policy(param),
        **{field: getattr(param, field) for field in fields},
        weight_decay=param.weight_decay,
        regularization_type=param.regularization_type if param.weight_decay else "L2",  # only read with a decay
        clip_gradients=param.clip_gradients,
        iter_size=param.iter_size,
        multipliers=multipliers,
    )
