"""Running a recurrence over time, and the cell of Caffe's LSTM (lstm_unit_layer.cpp). Time is axis 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_caffe.ops.stock import custom_gradient, loops_allowed, on_tensorflow

UNROLL = 32  # Up to this many steps are laid out one after the other; more, or an unknown number, run in a loop.

State = tuple[Any, ...]
TimeStep = Callable[[State, Sequence[Any]], State]


def over_time(step: TimeStep, state: State, inputs: Sequence[Any]) -> tuple[State, Any]:
    """Applies `state = step(state, inputs at t)` for t = 0, 1, ...

    Args:
        step: takes and returns the state, a tuple of tensors whose shapes and dtypes stay the same.
        state: the first one.
        inputs: tensors (T, ...).

    Returns:
        The last state, and the first entry of the state after each step, (T, ...).
    """
    length = next((x.shape[0] for x in inputs if x.shape[0] is not None), None)
    if length is not None and (length <= UNROLL or not loops_allowed()):
        return _unrolled(step, state, inputs, length)
    if on_tensorflow():
        return _tensorflow(step, state, inputs)
    last, history = ops.scan(lambda carry, xs: (step(carry, xs),) * 2, state, inputs)
    return last, history[0]


def _unrolled(step: TimeStep, state: State, inputs: Sequence[Any], length: int) -> tuple[State, Any]:
    history = []
    for now in zip(*(ops.unstack(x, length, axis=0) for x in inputs), strict=True):
        state = step(state, now)
        history.append(state[0])
    return state, ops.stack(history, axis=0)


def _tensorflow(step: TimeStep, state: State, inputs: Sequence[Any]) -> tuple[State, Any]:
    import tensorflow as tf

    length = tf.shape(inputs[0])[0]
    arrays = [tf.TensorArray(x.dtype, length, element_shape=x.shape[1:]).unstack(x) for x in inputs]
    history = tf.TensorArray(state[0].dtype, length, element_shape=state[0].shape)

    def body(t: Any, state: State, history: Any) -> tuple[Any, State, Any]:
        after = step(state, [array.read(t) for array in arrays])
        state = tuple(tf.ensure_shape(new, old.shape) for new, old in zip(after, state, strict=True))
        return t + 1, state, history.write(t, state[0])

    _, state, history = tf.while_loop(lambda t, *_: t < length, body, (0, tuple(state), history))
    return state, history.stack()


def lstm_unit(c: Any, gates: Any, cont: Any) -> tuple[Any, Any]:
    """c' = f c + i g, h' = o tanh(c'), with f cut to 0 (and scaled) by cont.

    Args:
        c: (..., H) cell state.
        gates: (..., 4 H) before the sigmoids (i, f, o) and the tanh (g), in the order i, f, o, g.
        cont: (..., 1): 0 where a sequence begins, else 1.

    Returns:
        c', h': (..., H)
    """
    i, f, o, g = ops.split(gates, 4, axis=-1)
    c = _forget(f, cont) * c + ops.sigmoid(i) * ops.tanh(g)
    return c, ops.sigmoid(o) * ops.tanh(c)


def clipped_gradient(x: Any, threshold: float) -> Any:
    """`x`, whose gradient is cut to between -threshold and threshold; as it is for a threshold of 0."""
    if threshold <= 0:
        return x

    @custom_gradient
    def identity(x: Any) -> Any:
        def gradient(*args: Any, upstream: Any = None) -> Any:
            return ops.clip(args[0] if upstream is None else upstream, -threshold, threshold)

        return x, gradient

    return identity(x)


def state_product(h: Any, weights: Any, cont: Any, counts: Any) -> Any:
    """cont h W as the older Lstm differentiates it: the gradient of W takes h itself, in the rows that count.

    Args:
        h: (N, H)
        weights: (H, ...)
        cont, counts: (N, 1)
    """
    for_state = ops.matmul(cont * h, ops.stop_gradient(weights))
    for_weights = ops.matmul(counts * ops.stop_gradient(h), weights)
    return for_state + (for_weights - ops.stop_gradient(for_weights))


def _forget(f: Any, cont: Any) -> Any:
    """cont sigmoid(f). Caffe's slope is that value v times 1 - v, also where cont is neither 0 nor 1."""
    value = ops.stop_gradient(cont * ops.sigmoid(f))
    return value + value * (1 - value) * (f - ops.stop_gradient(f))
