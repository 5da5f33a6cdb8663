"""What Caffe's solvers do with gradients before each method's own formula (sgd_solver.cpp)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from keras import ops

from keras_caffe._keras import Optimizer
from keras_caffe.errors import Option, SolverError
from keras_caffe.layers.arguments import number, numbers, one_of, optional, whole
from keras_caffe.ops import update

REGULARIZATIONS = ("L2", "L1")

Multipliers = Mapping[str, tuple[float, float]]
"""{path of a variable: (lr_mult, decay_mult)}"""


class CaffeOptimizer(Optimizer):
    """Base of Caffe's optimizers.

    Before the method's own formula gradients are clipped (all together, by the L2 norm of what came in), divided
    by iter_size and regularised: g + decay w (L2) or g + decay sign(w) (L1) with decay = weight_decay decay_mult. The
    method's rate is learning_rate lr_mult.

    Args:
        learning_rate: a number, or a schedule such as those of `keras_caffe.optimizers`.
        weight_decay: lambda of the penalty, lambda/2 sum w^2 (L2) or lambda sum |w| (L1); it is part of the gradient.
            None is 0 (default).
        regularization_type: "L2" (default) or "L1".
        clip_gradients: greatest norm of the gradients; negative: no limit (-1).
        iter_size: how many gradients were added up into the one that comes in, at least 1 (1). (Keras's own
            `gradient_accumulation_steps` adds them up and hands on their mean; the norm is that of the sum then.
            Keras itself cannot do so on several replicas; a solver's iter_size can.)
        multipliers: {`variable.path`: (lr_mult, decay_mult)}; (1, 1) for all others.

    Raises:
        SolverError: an argument is none of the above.

    Caffe: src/caffe/solvers/sgd_solver.cpp
    """

    slots: ClassVar[tuple[str, ...]] = ("history",)
    """Names of the history variables, one list each, in the order in which Caffe stores them."""

    method: ClassVar[str] = ""
    """Caffe's name of the type; none for a method that the native kernel does not know."""

    scale: Any = None
    """What the gradients of the step that is being taken are still to be multiplied by; None: nothing."""

    sign: ClassVar[int] = 1
    """-1 where the history is stored with the other sign than in Caffe."""

    def __init__(
        self,
        learning_rate: Any,
        *,
        weight_decay: float | None = 0.0,
        regularization_type: str = "L2",
        clip_gradients: float = -1.0,
        iter_size: int = 1,
        multipliers: Multipliers | None = None,
        **kwargs: Any,
    ) -> None:
        if not callable(learning_rate):
            learning_rate = number("learning_rate", learning_rate, error=SolverError)
        super().__init__(learning_rate=learning_rate, **kwargs)
        for name in ("clipnorm", "clipvalue", "global_clipnorm"):
            if getattr(self, name) is not None:
                fix = Option("clip_gradients", ..., "for a limit of the norm of all gradients together")
                raise SolverError(f"Caffe's optimizers have no {name}", received=getattr(self, name), fix=fix)
        self.weight_decay: float = optional(number, "weight_decay", weight_decay, error=SolverError) or 0.0
        self.regularization_type: str = one_of("regularization_type", regularization_type, REGULARIZATIONS, SolverError)
        self.clip_gradients: float = number("clip_gradients", clip_gradients, error=SolverError)
        self.iter_size: int = whole("iter_size", iter_size, 1, error=SolverError)
        self.multipliers: dict[str, tuple[float, float]] = _checked_multipliers(
            {} if multipliers is None else multipliers
        )

    def build(self, variables: Sequence[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        for slot in self.slots:
            setattr(self, slot, self.add_optimizer_variables(variables, slot))

    @property
    def schedule(self) -> Any:
        """The schedule or variable that gives the rate; Keras's `learning_rate` is the rate itself."""
        return self._learning_rate

    @property
    def trainable_variables(self) -> Sequence[Any]:
        """What the optimizer was built on, in that order."""
        return self._trainable_variables

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        lr_mult, decay_mult = self.multipliers.get(self.trainable_variables[index].path, (1.0, 1.0))
        rate = ops.cast(learning_rate, variable.dtype)
        rate = rate if lr_mult == 1 else rate * lr_mult
        histories = [getattr(self, slot)[index] for slot in self.slots]
        gradient, decay = ops.cast(gradient, variable.dtype), self.weight_decay * decay_mult
        if not (self.method and update.has_native(variable)):
            self.regularize_and_apply(
                variable, histories, gradient if self.scale is None else gradient * self.scale, rate, decay
            )
            return
        scale = 1.0 if self.scale is None else self.scale
        update.in_one_pass(
            self.method,
            variable,
            histories,
            gradient,
            rate=rate * self.bias_correction(variable.dtype),
            decay=decay,
            scale=scale,
            regularization_type=self.regularization_type,
            **self.kernel_arguments(),
        )

    def regularize_and_apply(
        self, variable: Any, histories: Sequence[Any], gradient: Any, rate: Any, decay: float
    ) -> None:
        """Regularises the gradient, and updates."""
        self.apply_formula(variable, *histories, self._regularized(gradient, variable, decay), rate)

    def apply_formula(self, variable: Any, *args: Any) -> None:
        """The method's formula: changes a variable and its histories in place, given the gradient and the rate."""
        raise NotImplementedError

    def kernel_arguments(self) -> dict[str, float]:
        """What the native kernel takes: momentum, decay2, delta."""
        raise NotImplementedError

    def bias_correction(self, dtype: Any) -> Any:
        """What the native kernel's rate is multiplied by."""
        return 1.0

    def _regularized(self, gradient: Any, variable: Any, decay: float) -> Any:
        if not decay:
            return gradient
        return gradient + decay * (ops.sign(variable) if self.regularization_type == "L1" else variable)

    def _clip_gradients(self, grads: Sequence[Any]) -> list[Any]:
        """Clips by the norm of all gradients, and divides by iter_size.

        Keras has no public hook that sees all gradients at once. This is the only one that it calls after unscaling a
        loss and adding up passes, and before any update.
        """
        grads = [update.dense(g) for g in update.sum_over_replicas(grads)]
        self.scale = None
        scale = 1 / self.iter_size
        if self.clip_gradients >= 0:
            norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in grads))
            norm = norm * (self.gradient_accumulation_steps or 1)
            limit = ops.convert_to_tensor(self.clip_gradients, "float32")
            scale = scale * ops.where(norm > limit, ops.divide_no_nan(limit, norm), 1.0)
        elif self.iter_size == 1:
            return grads
        if self.method and all(map(update.has_native, self.trainable_variables)) and not update.is_distributed():
            self.scale = scale  # The kernel multiplies in passing, which saves a pass over every gradient.
            return grads
        return [g * ops.cast(scale, g.dtype) for g in grads]

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars  # `_clip_gradients` has done it.

    def _apply_weight_decay(self, variables: Any) -> None:
        """Keras's decay is another one, beside the gradient."""

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Keras's way to leave variables out. Raises SolverError: Caffe's are multipliers."""
        fix = Option("multipliers", ..., "as {variable.path: (1, 0)}")
        raise SolverError("Caffe's optimizers take what does not decay as multipliers", fix=fix)

    def get_config(self) -> dict[str, Any]:
        own = ("weight_decay", "regularization_type", "clip_gradients", "iter_size")
        multipliers = {path: list(value) for path, value in self.multipliers.items()}
        return {**super().get_config(), **{name: getattr(self, name) for name in own}, "multipliers": multipliers}


def _checked_multipliers(multipliers: Any) -> dict[str, tuple[float, float]]:
    given = multipliers if isinstance(multipliers, Mapping) else {"": ()}
    pairs: dict[str, Any] = {
        path: numbers(f"multipliers[{path!r}]", pair, error=SolverError) for path, pair in given.items()
    }
    if any(len(pair) != 2 for pair in pairs.values()):
        wanted = "{path of a variable: (lr_mult, decay_mult)}"
        raise SolverError("multipliers are not pairs of numbers", expected=wanted, received=multipliers)
    return pairs
