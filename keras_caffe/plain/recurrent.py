"""Recurrent layers: what the input gives as a Dense layer, then step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe.converters.unique_names import free_name
from keras_caffe.layers.lstm import LSTM
from keras_caffe.layers.lstm_clipped import Lstm
from keras_caffe.layers.rnn import RNN
from keras_caffe.plain.over_time import caffe_lstm, caffe_older_lstm, caffe_rnn
from keras_caffe.plain.registry import turns
from keras_caffe.plain.site import Part, Site
from keras_caffe.plain.traced import recorded


@turns(LSTM, shared=True)
def lstm(site: Site, x: Any, cont: Any, *static: Any) -> Any:
    """Each call begins with zeros, as Keras's layers do; Caffe's go on where the last batch ended unless cont is 0."""
    if site.layer.expose_hidden:
        return None
    return _over_time(site, caffe_lstm, _of_inputs(site, x, *static), cont, len(site.arrays) - 1)


@turns(RNN, shared=True)
def rnn(site: Site, x: Any, cont: Any, *static: Any) -> Any:
    """As above."""
    if site.layer.expose_hidden:
        return None
    first = len(site.arrays) - 3
    (states,) = _over_time(site, caffe_rnn, _of_inputs(site, x, *static), cont, first)
    return _product(site, "output", states, first + 1, first + 2, "tanh")


@turns(Lstm, shared=True)
def older_lstm(site: Site, x: Any, *cont: Any) -> Any:
    """Keras's own, or, with flags, as above."""
    weights, hidden, bias = site.arrays
    streams = site.layer.batch_size or x.shape[1]
    steps = ops.reshape(x, (-1, streams, weights.shape[1])) if site.layer.batch_size else _flat(x)
    if not cont and not site.shared:
        # Keras has the gates in the order i, f, g, o, and the batch before time.
        order = np.arange(len(bias)).reshape(4, -1)[[0, 1, 3, 2]].ravel()
        main = keras.layers.LSTM(site.layer.num_output, return_sequences=True, **site.keras_args)
        y = site.weighted(main, ops.transpose(steps, (1, 0, 2)), weights[order].T, hidden[order].T, bias[order])
        top = ops.transpose(y, (1, 0, 2))
    else:
        flags = ops.reshape(cont[0], (-1, streams)) if cont else ops.ones_like(steps[:, :, 0])
        (top,) = _over_time(site, caffe_older_lstm, _product(site, "input", steps, 0, 2), flags, 1)
    return ops.reshape(top, (-1, site.layer.num_output)) if site.layer.batch_size else top


def _flat(x: Any) -> Any:
    if len(x.shape) == 3:
        return x
    outer = (-1 if size is None else size for size in x.shape[:2])
    return ops.reshape(x, (*outer, math.prod(x.shape[2:])))


def _of_inputs(site: Site, x: Any, *static: Any) -> Any:
    """What the inputs of all steps give, and the one that is the same at all of them."""
    given = _product(site, "input", _flat(x), 0, 1)
    for number, still in enumerate(static, 2):
        rows = ops.reshape(still, (-1, site.arrays[number].shape[1]))
        given = ops.add(given, _product(site, "static", rows, number))
    return given


def _product(
    site: Site, part: str, x: Any, weights: int, bias: int | None = None, activation: str | None = None
) -> Any:
    """x times the blob of an index: a Dense layer, or operations where other layers use some of the blobs."""
    matrix, biases = site.arrays[weights], [] if bias is None else [bias]
    if not site.shared:
        dense = _dense(site, part, len(matrix), use_bias=bool(biases), activation=activation)
        return site.weighted(dense, x, matrix.T, *(site.arrays[number] for number in biases))
    y = ops.matmul(x, site.learned(weights))
    for number in biases:
        y = ops.add(y, site.learned(number))
    return keras.activations.get(activation)(y)


def _over_time(site: Site, function: Callable[..., Any], given: Any, cont: Any, weights: int) -> list[Any]:
    if site.shared:
        matrix = site.learned(weights)
        return recorded(site, [given, cont], lambda: function(given, cont, lambda h: ops.matmul(h, matrix)))
    array = site.arrays[weights]
    hidden = _dense(site, "hidden", len(array), use_bias=False)
    site.fill(hidden, (given.shape[1], array.shape[1]), array.T)
    tops = recorded(site, [given, cont], lambda: function(given, cont, hidden))
    site.parts[id(tops[0])] = Part(function, (given, cont), hidden)
    return tops


def _dense(site: Site, part: str, units: int, **arguments: Any) -> keras.layers.Dense:
    name = free_name(f"{site.name}_{part}", site.taken)
    return keras.layers.Dense(units, **site.keras_args | {"name": name}, **arguments)
