"""Caffe's six solver types as Keras optimizers: g is the gradient after clipping and decay, r the rate with lr_mult."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from keras_caffe.errors import SolverError
from keras_caffe.layers.arguments import number
from keras_caffe.layers.serializable import serializable_as
from keras_caffe.ops import update
from keras_caffe.optimizers.base import CaffeOptimizer

LEAST_MOMENTUM = 0.1  # what is divided by


@serializable_as("optimizers")
class SGD(CaffeOptimizer):
    """v <- momentum v + r g; w <- w - v.

    Args:
        learning_rate: a number or a schedule (0.01).
        momentum: share of the last step that is taken again (0).
        **kwargs: see `CaffeOptimizer`.

    Caffe: src/caffe/solvers/sgd_solver.cpp
    """

    method: ClassVar[str] = "SGD"
    sign: ClassVar[int] = -1
    nesterov: ClassVar[bool] = False

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum: float = number("momentum", momentum, error=SolverError)

    def regularize_and_apply(
        self, variable: Any, histories: Sequence[Any], gradient: Any, rate: Any, decay: float
    ) -> None:
        if decay and self.regularization_type == "L2" and self.momentum >= LEAST_MOMENTUM and not self.nesterov:
            # v = momentum (v + rate decay / momentum w) + rate g takes less memory and time than g + decay w.
            update.subtract(histories[0], variable, rate * (decay / self.momentum))
            decay = 0.0
        super().regularize_and_apply(variable, histories, gradient, rate, decay)

    def apply_formula(self, variable: Any, history: Any, gradient: Any, rate: Any) -> None:
        update.momentum(variable, history, gradient, rate, self.momentum, self.nesterov)

    def kernel_arguments(self) -> dict[str, float]:
        return {"momentum": self.momentum}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}


@serializable_as("optimizers")
class Nesterov(SGD):
    """v' = momentum v + r g; w <- w - (1 + momentum) v' + momentum v.

    Args: as of `SGD`.

    Caffe: src/caffe/solvers/nesterov_solver.cpp
    """

    method: ClassVar[str] = "Nesterov"
    nesterov: ClassVar[bool] = True


@serializable_as("optimizers")
class AdaGrad(CaffeOptimizer):
    """h <- h + g^2; w <- w - r g / (sqrt(h) + delta). h starts at 0.

    Args:
        learning_rate: a number or a schedule (0.01).
        delta: keeps the divisor from 0 (1e-8).
        **kwargs: see `CaffeOptimizer`.

    Caffe: src/caffe/solvers/adagrad_solver.cpp
    """

    method: ClassVar[str] = "AdaGrad"

    def __init__(self, learning_rate: Any = 0.01, delta: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.delta: float = number("delta", delta, error=SolverError)

    def apply_formula(self, variable: Any, history: Any, gradient: Any, rate: Any) -> None:
        update.adagrad(variable, history, gradient, rate, self.delta)

    def kernel_arguments(self) -> dict[str, float]:
        return {"delta": self.delta}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


@serializable_as("optimizers")
class RMSProp(CaffeOptimizer):
    """h <- rms_decay h + (1 - rms_decay) g^2; w <- w - r g / (sqrt(h) + delta).

    Args:
        learning_rate: a number or a schedule (0.01).
        rms_decay: share of the history that is kept, 0 <= rms_decay < 1 (0.99).
        delta: keeps the divisor from 0 (1e-8).
        **kwargs: see `CaffeOptimizer`.

    Raises:
        SolverError: rms_decay is out of range.

    Caffe: src/caffe/solvers/rmsprop_solver.cpp
    """

    method: ClassVar[str] = "RMSProp"

    def __init__(self, learning_rate: Any = 0.01, rms_decay: float = 0.99, delta: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rms_decay: float = number("rms_decay", rms_decay, error=SolverError)
        if not 0 <= self.rms_decay < 1:
            raise SolverError("rms_decay is out of range", expected="0 <= rms_decay < 1", received=rms_decay)
        self.delta: float = number("delta", delta, error=SolverError)

    def apply_formula(self, variable: Any, history: Any, gradient: Any, rate: Any) -> None:
        update.rmsprop(variable, history, gradient, rate, self.rms_decay, self.delta)

    def kernel_arguments(self) -> dict[str, float]:
        return {"decay2": self.rms_decay, "delta": self.delta}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rms_decay": self.rms_decay, "delta": self.delta}


@serializable_as("optimizers")
class AdaDelta(CaffeOptimizer):
    """h <- p h + (1 - p) g^2; u = g sqrt((s + delta) / (h + delta)); s <- p s + (1 - p) u^2; w <- w - r u.

    Args:
        learning_rate: a number or a schedule (1).
        momentum: p, share of the histories that is kept (0.95).
        delta: added to both (1e-8).
        **kwargs: see `CaffeOptimizer`.

    Caffe: src/caffe/solvers/adadelta_solver.cpp
    """

    method: ClassVar[str] = "AdaDelta"
    slots: ClassVar[tuple[str, ...]] = ("history", "steps")

    def __init__(self, learning_rate: Any = 1.0, momentum: float = 0.95, delta: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum: float = number("momentum", momentum, error=SolverError)
        self.delta: float = number("delta", delta, error=SolverError)

    def apply_formula(self, variable: Any, history: Any, steps: Any, gradient: Any, rate: Any) -> None:
        update.adadelta(variable, history, steps, gradient, rate, self.momentum, self.delta)

    def kernel_arguments(self) -> dict[str, float]:
        return {"momentum": self.momentum, "delta": self.delta}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "delta": self.delta}


@serializable_as("optimizers")
class Adam(CaffeOptimizer):
    """m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w <- w - r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + delta).

    t is the number of the iteration, from 1.

    Args:
        learning_rate: a number or a schedule (0.001).
        momentum: b1 (0.9). (A solver file that does not state it means 0.)
        momentum2: b2 (0.999).
        delta: keeps the divisor from 0 (1e-8).
        **kwargs: see `CaffeOptimizer`.

    Caffe: src/caffe/solvers/adam_solver.cpp
    """

    method: ClassVar[str] = "Adam"
    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        momentum: float = 0.9,
        momentum2: float = 0.999,
        delta: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum: float = number("momentum", momentum, error=SolverError)
        self.momentum2: float = number("momentum2", momentum2, error=SolverError)
        self.delta: float = number("delta", delta, error=SolverError)

    def apply_formula(self, variable: Any, mean: Any, square: Any, gradient: Any, rate: Any) -> None:
        betas = self.momentum, self.momentum2
        update.adam(variable, mean, square, gradient, rate, self.iterations + 1, betas, self.delta)

    def kernel_arguments(self) -> dict[str, float]:
        return {"momentum": self.momentum, "decay2": self.momentum2, "delta": self.delta}

    def bias_correction(self, dtype: Any) -> Any:
        return update.adam_correction(self.iterations + 1, (self.momentum, self.momentum2), dtype)

    def get_config(self) -> dict[str, Any]:
        own = ("momentum", "momentum2", "delta")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
