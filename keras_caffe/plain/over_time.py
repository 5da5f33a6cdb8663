"""Caffe's recurrent layers step by step, in Keras's own words: `to_keras` calls these functions, and `to_code` writes
them as they stand here. What they call must be in `keras` or `ops`."""

import keras
from keras import ops


def caffe_lstm(gates: keras.KerasTensor, cont: keras.KerasTensor, hidden: keras.Layer) -> keras.KerasTensor:
    """Caffe's LSTM, time first, from zeros on; where cont is 0, a sequence begins."""
    cont = ops.expand_dims(ops.stop_gradient(cont), -1)
    gates = ops.reshape(gates, gates.shape)  # refuses batches of more or fewer steps
    h = c = ops.zeros_like(gates[0, :, : gates.shape[-1] // 4])
    steps = []
    for step in range(gates.shape[0]):
        i, f, o, g = ops.split(gates[step] + hidden(cont[step] * h), 4, axis=-1)
        c = cont[step] * ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        steps.append(h)
    return ops.stack(steps)


def caffe_older_lstm(gates: keras.KerasTensor, cont: keras.KerasTensor, hidden: keras.Layer) -> keras.KerasTensor:
    """The Lstm of Caffe's forks; the gradient of its hidden weights takes what a new sequence forgets, too."""
    cont = ops.expand_dims(ops.stop_gradient(cont), -1)
    gates = ops.reshape(gates, gates.shape)  # refuses batches of more or fewer steps
    h = c = ops.zeros_like(gates[0, :, : gates.shape[-1] // 4])
    steps = []
    for step in range(gates.shape[0]):
        forgotten = hidden((1 - cont[step]) * ops.stop_gradient(h))
        inner = hidden(cont[step] * h) + (forgotten - ops.stop_gradient(forgotten))
        i, f, o, g = ops.split(gates[step] + inner, 4, axis=-1)
        c = cont[step] * ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        steps.append(h)
    return ops.stack(steps)


def caffe_rnn(inner: keras.KerasTensor, cont: keras.KerasTensor, hidden: keras.Layer) -> keras.KerasTensor:
    """The states of Caffe's RNN, time first, from zeros on; where cont is 0, a sequence begins."""
    cont = ops.expand_dims(ops.stop_gradient(cont), -1)
    inner = ops.reshape(inner, inner.shape)  # refuses batches of more or fewer steps
    h = ops.zeros_like(inner[0])
    steps = []
    for step in range(inner.shape[0]):
        h = ops.tanh(inner[step] + hidden(cont[step] * h))
        steps.append(h)
    return ops.stack(steps)
