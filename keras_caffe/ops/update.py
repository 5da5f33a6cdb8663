"""Caffe's parameter updates, in place (src/caffe/solvers/*_solver.cpp).

Each function changes the variable and its history. With TensorFlow those that its kernels compute in the same way are
one pass over memory; the portable twins are the same formulas in `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_caffe.ops import native


def momentum(variable: Any, history: Any, gradient: Any, rate: Any, momentum: float, nesterov: bool = False) -> None:
    """h <- momentum h - rate g; then w <- w + h, with nesterov w <- w + momentum h - rate g.

    The history is Caffe's with the sign turned.
    """
    if _has_kernel(variable):
        raw("ResourceApplyKerasMomentum", variable, [history], gradient, lr=rate, momentum=momentum)(
            use_nesterov=nesterov
        )
        return
    step = ops.multiply(rate, gradient)
    history.assign(ops.multiply(momentum, history) - step)
    variable.assign_add(ops.multiply(momentum, history) - step if nesterov else history)


def subtract(variable: Any, other: Any, factor: Any) -> None:
    """w <- w - factor other."""
    if _has_kernel(variable):
        import tensorflow as tf

        factor = tf.cast(factor, variable.dtype)
        tf.raw_ops.ResourceApplyGradientDescent(
            var=_tensor_variable(variable).handle, alpha=factor, delta=tf.convert_to_tensor(other)
        )
        return
    variable.assign_sub(ops.multiply(factor, other))


def adagrad(variable: Any, history: Any, gradient: Any, rate: Any, delta: float) -> None:
    """h <- h + g^2; w <- w - rate g / (sqrt(h) + delta)."""
    if _has_kernel(variable):
        raw("ResourceApplyAdagradV2", variable, [history], gradient, lr=rate, epsilon=delta)()
        return
    history.assign_add(ops.square(gradient))
    variable.assign_sub(ops.multiply(rate, gradient) / (ops.sqrt(history) + delta))


def rmsprop(variable: Any, history: Any, gradient: Any, rate: Any, decay: float, delta: float) -> None:
    """h <- decay h + (1 - decay) g^2; w <- w - rate g / (sqrt(h) + delta)."""
    history.assign(ops.multiply(decay, history) + (1 - decay) * ops.square(gradient))
    variable.assign_sub(ops.multiply(rate, gradient) / (ops.sqrt(history) + delta))


def adadelta(variable: Any, history: Any, steps: Any, gradient: Any, rate: Any, momentum: float, delta: float) -> None:
    """h <- p h + (1 - p) g^2; u = g sqrt((s + delta) / (h + delta)); s <- p s + (1 - p) u^2; w <- w - rate u."""
    if _has_kernel(variable):
        raw("ResourceApplyAdadelta", variable, [history, steps], gradient, lr=rate, rho=momentum, epsilon=delta)()
        return
    history.assign(ops.multiply(momentum, history) + (1 - momentum) * ops.square(gradient))
    step = gradient * ops.sqrt((steps + delta) / (history + delta))
    steps.assign(ops.multiply(momentum, steps) + (1 - momentum) * ops.square(step))
    variable.assign_sub(ops.multiply(rate, step))


def adam(
    variable: Any,
    mean: Any,
    square: Any,
    gradient: Any,
    rate: Any,
    power: Any,
    betas: tuple[float, float],
    delta: float,
) -> None:
    """m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w <- w - r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + delta).

    Args:
        power: t, the number of this update, from 1.
        betas: b1 and b2.
    """
    first, second = betas
    powers = [ops.power(ops.cast(beta, variable.dtype), ops.cast(power, variable.dtype)) for beta in betas]
    if _has_kernel(variable):
        numbers = {"beta1_power": powers[0], "beta2_power": powers[1], "lr": rate, "beta1": first, "beta2": second}
        raw("ResourceApplyAdam", variable, [mean, square], gradient, **numbers, epsilon=delta)()
        return
    mean.assign(ops.multiply(first, mean) + (1 - first) * gradient)
    square.assign(ops.multiply(second, square) + (1 - second) * ops.square(gradient))
    rate = rate * adam_correction(power, betas, variable.dtype)
    variable.assign_sub(rate * mean / (ops.sqrt(square) + delta))


def adam_correction(power: Any, betas: tuple[float, float], dtype: Any) -> Any:
    """sqrt(1 - b2^t) / (1 - b1^t), t the number of the update, from 1."""
    first, second = (ops.power(ops.cast(beta, dtype), ops.cast(power, dtype)) for beta in betas)
    return ops.sqrt(1 - second) / (1 - first)


def raw(kernel: str, variable: Any, slots: Sequence[Any], gradient: Any, **numbers: Any) -> Callable[..., Any]:
    """A TensorFlow kernel ready to be called: its slots are passed in the kernel's own order and names."""
    import tensorflow as tf

    op = getattr(tf.raw_ops, kernel)
    names = {"ResourceApplyAdadelta": ("accum", "accum_update"), "ResourceApplyAdam": ("m", "v")}.get(
        kernel, ("accum",)
    )
    handles = {name: _tensor_variable(slot).handle for name, slot in zip(names, slots, strict=True)}
    numbers = {name: tf.cast(number, variable.dtype) for name, number in numbers.items()}
    arguments = {"var": _tensor_variable(variable).handle, **handles, **numbers, "grad": gradient}
    return lambda **options: op(**arguments, **options)


def has_native(variable: Any) -> bool:
    """Whether `in_one_pass` can take a variable: float32 of TensorFlow's, and the native operations are loaded."""
    kernel = native.operation("SolverUpdate") if _has_kernel(variable) else None
    return kernel is not None and variable.dtype == "float32" and not native.made_for_xla()


def in_one_pass(
    method: str,
    variable: Any,
    histories: Sequence[Any],
    gradient: Any,
    *,
    rate: Any,
    decay: float,
    scale: Any,
    regularization_type: str,
    **numbers: float,
) -> None:
    """The native kernel: g <- scale gradient + decay w (or sign(w)), then the method's formula, in one pass.

    Args:
        method: "SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta" or "Adam".
        variable: the parameter, `has_native`.
        histories: in Caffe's order.
        gradient: as it came in.
        rate: with lr_mult; Adam: and with the correction of its start.
        decay: weight_decay decay_mult.
        scale: of the gradient.
        regularization_type: "L2" or "L1".
        **numbers: momentum; decay2 (RMSProp's rms_decay, Adam's momentum2); delta.
    """
    import tensorflow as tf

    native.function("SolverUpdate")(
        weights=_tensor_variable(variable).handle,
        histories=[_tensor_variable(history).handle for history in histories],
        gradient=gradient,
        rate=tf.cast(rate, tf.float32),
        decay=tf.cast(decay, tf.float32),
        scale=tf.cast(scale, tf.float32),
        method=method,
        regularization_type=regularization_type,
        **numbers,
    )


def _tensor_variable(variable: Any) -> Any:
    return variable.value if isinstance(variable, keras.Variable) else variable


def _has_kernel(variable: Any) -> bool:
    return keras.backend.backend() == "tensorflow" and hasattr(_tensor_variable(variable), "handle")


def dense(gradient: Any) -> Any:
    """A gradient without the compressed form in which lookups give it: an index that repeats has one row, their sum."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor(gradient)  # Keras's own function would leave the rows apart.
    return ops.convert_to_tensor(gradient)


def sum_over_replicas(gradients: Sequence[Any]) -> Sequence[Any]:
    """The gradients added up over the replicas of a `tf.distribute` strategy; else as they are."""
    if not is_distributed():
        return gradients
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))


def is_distributed() -> bool:
    """Whether this is one of several replicas of a `tf.distribute` strategy."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1
